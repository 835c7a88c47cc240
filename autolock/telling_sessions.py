"""The steps of two requests, or of two tasks of one, that get hold of a session."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING

from autolock.findings import Action, Step

if TYPE_CHECKING:
    from autolock.database.session_windows import SessionWindow

Tell = Callable[..., Step]


def session_steps(window: SessionWindow, step: Tell) -> list[Step]:
    """What two of them do, and what becomes of the second."""
    first, second = window.steps[0], window.steps[-1]
    if window.kind in ("session-shared", "session-direct"):
        return [
            step("A", _action(window), first, note=f"on `{window.name}`"),
            step("B", _action(window), second, note=_refused(window), lost=True),
        ]
    if window.kind == "session-parallel":
        one, other = _tasks(window)
        return [
            step("A", Action.READ, first, note=f"the first task, {one}, is using `{window.name}`"),
            step("B", Action.READ, second, note=f"the second task, {other}, is refused it", lost=True),
        ]
    if window.kind in ("effect-early", "effect-dependency"):
        write, effect, commit = window.steps
        return [
            step("A", Action.WRITE, write),
            step("A", Action.READ, effect, note="starts it"),
            step("B", Action.READ, effect, note="what was started looks for the row: not there yet", lost=True),
            step("A", Action.WRITE, commit, note="commits"),
        ]
    if window.kind == "effect-answer":
        return [
            step("A", Action.WRITE, first, note="not sent yet; A is told that it worked"),
            step("B", Action.WRITE, first, note="not sent yet; B is told that it worked"),
            step("A", Action.WRITE, second, note="commits"),
            step("B", Action.WRITE, second, note="refused, and the client has its answer", lost=True),
        ]
    if window.kind == "session-outlives":
        return [
            step("A", Action.READ, first, note="has answered; its task goes on with the session and its connection"),
            step("B", Action.READ, second, note="waits for a connection that A's task still has", lost=True),
        ]
    one, other = _PROVIDERS[window.kind]
    return [step("A", Action.READ, first, note=one), step("B", Action.READ, second, note=other, lost=True)]


_PROVIDERS = {
    "provider-wrapped": ("gets a context manager, no session", "gets a 500, like every request"),
    "provider-cached": ("uses the generator up", "gets the same generator: it yields no more"),
    "provider-open": ("opens a session that nobody closes", "opens another: the pool runs dry"),
}


def _action(window: SessionWindow) -> Action:
    return Action.WRITE if window.writes else Action.READ


def _refused(window: SessionWindow) -> str:
    if window.session is not None and window.session.is_async:
        return "the same session: refused while A uses it, else part of A's transaction"
    return "the same session, on another thread: part of A's transaction"


def _tasks(window: SessionWindow) -> tuple[str, str]:
    """The calls of two tasks that use the session, in short."""
    calls = [w.call for w in window.works if window.session in w.sessions]
    texts = [f"`{_short(c)}`" for c in calls[:2]] or ["`...`"]
    return texts[0], texts[-1]


def _short(call: ast.Call) -> str:
    return f"{ast.unparse(call.func)}(...)"
