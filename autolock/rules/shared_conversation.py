"""AL402 shared-conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.rules.base import Match
from autolock.rules.shapes import function_name

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


class SharedConversation:
    """A conversation is kept in shared state, and another request changes it while the model works on it.

    History, prompt, persona or the user's identity are given to the model, and are written before or after that.
    While the model works, another request does the same: its turns are lost, or one user's text is in the context
    from which the model answers another one.

    ## Racy

        history = sessions.get(session_id, [])
        answer = await client.messages.create(messages=[*history, turn])
        sessions[session_id] = [*history, turn, answer]

    ## Interleaving

        A reads the history, asks; B reads the same, asks; A stores its turns; B stores its own over them

    ## Fix

    A lock that spans the exchange, from the look at the history to the answer that is stored. The next message waits
    for the answer to the one before, as it does in a conversation. Where one function alone changes conversations and
    names their key, each has a lock of its own, and the others go on:

        sessions_locks = defaultdict(asyncio.Lock)

        async with sessions_locks[session_id]:
            history = sessions.get(session_id, [])
            ...

    Otherwise one lock is for all of them, which is unsafe where calls of the model wait for one of several slots: only
    one would be in use. Turns that are added to a list one after the other (`history.append(...)` before the call and
    after it) are not lost, but two messages at once get in between each other's turns: they get such locks, too, or
    one that the object has which keeps the turns.

    ## Refused

    Where one place holds the turns of everybody, no lock helps: the model would still be given all of them, one after
    the other. Keep them under the key of the conversation (`history[session_id].append(...)`), and pass a prompt or
    persona as an argument.
    """

    id: ClassVar[str] = "AL402"
    name: ClassVar[str] = "shared-conversation"
    category: ClassVar[str] = "llm"
    summary: ClassVar[str] = "a conversation in shared state is changed by another request while the model works on it"
    codemods: ClassVar[tuple[str, ...]] = ("wrap-in-lock", "define-lock", "import-name", "insert-after")

    def match(self, window: RaceWindow) -> Match | None:
        call = window.exchange
        if call is None:
            return None
        if window.kind == "conversation-shared":
            return Match(
                Severity.HIGH,
                f"`{function_name(window)}` adds what this request says to `{window.shown}`, gives all of it to the "
                f"model (`{call.text}`) and adds more: one user's text is in the context of another's answer.",
            )
        if window.kind == "turns-mixed":
            return Match(
                Severity.MEDIUM,
                f"`{function_name(window)}` adds what was said to `{window.shown}`, waits for the model "
                f"(`{call.text}`), then adds its answer: of two messages at once, one's turn and answer stand between "
                "those of the other, and the model is given them in that order.",
            )
        if not window.handed:
            return None
        if window.kind == "late-read":
            return Match(
                Severity.HIGH,
                f"`{function_name(window)}` keeps what this request sent in `{window.shown}` and gives it to the model "
                f"(`{call.text}`): another request has put its own there by then, and its text is what the model sees.",
            )
        if window.kind != "read-write" or not window.is_stored_back:
            return None
        return Match(
            Severity.HIGH,
            f"`{function_name(window)}` gives the conversation in `{window.shown}` to the model (`{call.text}`), then "
            "stores it with what was said: of two messages at once, one overwrites the turns of the other.",
        )
