"""AL304 dependency-not-a-generator."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.rules.base import Match
from autolock.rules.sessions import handlers, session_window

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


class DependencyNotAGenerator:
    """A dependency that FastAPI cannot open and close: decorated as a context manager, cached, or without an end.

    FastAPI makes a context manager of a function that yields; of one that is one already it gets an object
    that it cannot iterate, and every request is a 500. A cached generator works once. What is opened and
    returned is never closed: each request keeps its connection until the garbage collector comes by.

    ## Racy

        @asynccontextmanager
        async def get_session():
            async with SessionLocal() as session:
                yield session

    ## Interleaving

        A and B depend on it: both get a 500
        without an end: A keeps its connection, B keeps another, the pool is dry

    ## Fix

    A plain function that yields:

        async def get_session():
            async with SessionLocal() as session:
                yield session

    ## Refused

    When the function is used in a `with` statement as well: it must stay a context manager there, and the
    dependency becomes a second function that enters it and yields.
    """

    id: ClassVar[str] = "AL304"
    name: ClassVar[str] = "dependency-not-a-generator"
    category: ClassVar[str] = "dependency"
    summary: ClassVar[str] = "a dependency that FastAPI cannot open and close for each request"
    codemods: ClassVar[tuple[str, ...]] = ("undecorate", "yield-session", "remove-statement")

    def match(self, window: RaceWindow) -> Match | None:
        found = session_window(window, *_MESSAGES)
        if found is None:
            return None
        return Match(_SEVERITY[found.kind], _MESSAGES[found.kind].format(name=found.shown, who=handlers(found)))


_SEVERITY = {"provider-wrapped": Severity.HIGH, "provider-cached": Severity.HIGH, "provider-open": Severity.MEDIUM}
_MESSAGES = {
    "provider-wrapped": "`{name}` is a context manager already, which FastAPI makes of a function that yields: {who} "
    "fail, or get the context manager instead of what it yields.",
    "provider-cached": "`{name}` yields, and its generator is cached: the first request uses it up, and all others "
    "fail.",
    "provider-open": "`{name}` opens a session for {who}, and nobody closes it: its connection is not given back in "
    "time, and under load the pool runs dry.",
}
