"""Gates before SQL statements and commits, for SQLAlchemy and for drivers that are used without it.

Inside SQLAlchemy's asyncio the handler runs in a greenlet, so one hook on the engine's events serves every
driver below it
(https://docs.sqlalchemy.org/en/20/core/events.html). Without SQLAlchemy the methods of the drivers'
connections are wrapped.
"""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any

from .frames import Project, stack
from .lanes import LANE, Gate, House, Lane
from .threads import Stepper
from .values import plain_locals, shown

#: Methods of drivers' connections which send a statement, or end a transaction: module, class, method, kind of gate.
DRIVER_METHODS = (
    ("asyncpg.connection", "Connection", "execute", "statement"),
    ("asyncpg.connection", "Connection", "executemany", "statement"),
    ("asyncpg.connection", "Connection", "fetch", "statement"),
    ("asyncpg.connection", "Connection", "fetchrow", "statement"),
    ("asyncpg.connection", "Connection", "fetchval", "statement"),
    ("asyncpg.transaction", "Transaction", "commit", "commit"),
    ("asyncpg.transaction", "Transaction", "rollback", "rollback"),
    ("aiosqlite.core", "Connection", "execute", "statement"),
    ("aiosqlite.core", "Connection", "executemany", "statement"),
    ("aiosqlite.core", "Connection", "commit", "commit"),
    ("aiosqlite.core", "Connection", "rollback", "rollback"),
    ("psycopg.connection_async", "AsyncConnection", "execute", "statement"),
    ("psycopg.connection_async", "AsyncConnection", "commit", "commit"),
    ("psycopg.connection_async", "AsyncConnection", "rollback", "rollback"),
    ("psycopg.cursor_async", "AsyncCursor", "execute", "statement"),
    ("redis.asyncio.client", "Redis", "execute_command", "statement"),
    ("redis.asyncio.client", "Pipeline", "execute", "statement"),
)


#: Packages whose calls of a driver, or of themselves, are part of a step that had its gate.
_SENDERS = frozenset(["sqlalchemy", "asyncpg", "psycopg", "redis"])

#: Modules of theirs which only pass a call of the application on.
_PROXIES = frozenset(["asyncpg.pool"])


#: What is raised in the place of a statement that is to fail.
_REFUSED = ConnectionError("the database refuses: autolock lets this statement fail")


class Statements:
    """Makes requests stop before what they send to a database."""

    def __init__(self, stepper: Stepper) -> None:
        self._stepper = stepper

    @property
    def _project(self) -> Project:
        return self._stepper.project

    def follow(self) -> None:
        """Hook every library that the application has imported. Once for a process; code without a lane runs
        as before.
        """
        self._follow_sqlalchemy()
        for module, owner, method, kind in DRIVER_METHODS:
            self._follow_method(module, owner, method, kind)

    def _follow_sqlalchemy(self) -> None:
        if "sqlalchemy" not in sys.modules:
            return
        from sqlalchemy import Engine, event

        event.listen(Engine, "before_cursor_execute", self._before_statement)
        event.listen(Engine, "commit", self._before_commit)
        event.listen(Engine, "rollback", lambda connection: self._sync_gate("rollback", "ROLLBACK"))

    def _before_statement(
        self, connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
    ) -> None:
        self._sync_gate("statement", _one_line(statement, parameters))

    def _before_commit(self, connection: Any) -> None:
        from sqlalchemy.exc import OperationalError

        try:
            self._sync_gate("commit", "COMMIT")
        except OperationalError:
            connection.connection.rollback()  # a commit that a database refuses leaves no transaction open
            raise

    def _sync_gate(self, kind: str, label: str) -> None:
        """Stop inside SQLAlchemy: in its greenlet, or on a worker thread."""
        lane = LANE.get()
        if lane is None or lane.closed or self._is_of_a_library(lane, sys._getframe(2)):
            return
        if not self._stepper.on_loop_thread():
            self._stepper.stop(lane, kind, label, self._stepper.caller(sys._getframe(2)), error=_refusal(kind))
            return
        import greenlet  # type: ignore[import-untyped, unused-ignore]

        here = greenlet.getcurrent()
        if here.parent is not None and type(here).__name__ == "_AsyncIoGreenlet":
            # As sqlalchemy.util.await_ does; its name differs between versions.
            here.parent.switch(
                self._turn(lane, kind, label, self._stepper.caller(here.parent.gr_frame), _refusal(kind))
            )

    def _is_of_a_library(self, lane: Lane, frame: FrameType) -> bool:
        """Whether a task that no request has started sends something by itself, such as one that keeps a pool."""
        if not isinstance(lane, House) or self._stepper.caller(frame) is not None:
            return False
        import greenlet

        parent = greenlet.getcurrent().parent
        return parent is None or self._stepper.caller(parent.gr_frame) is None

    async def _turn(self, lane: Lane, kind: str, label: str, frame: FrameType | None, error: Exception | None) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        spot = self._project.spot(frame) if frame is not None else None
        values = plain_locals(frame) if frame is not None else {}
        fail = functools.partial(_let_fail, turn, error) if error is not None else None
        trail = self._project.trail(stack(frame))
        lane.gates.append(Gate(kind, label, functools.partial(_let_go, turn), spot, values, trail=trail, fail=fail))
        await turn

    def _follow_method(self, module: str, owner: str, method: str, kind: str) -> None:
        found = getattr(sys.modules.get(module), owner, None)
        if found is None:
            return
        setattr(found, method, self._stopping(getattr(found, method), kind))

    def _stopping(self, send: Callable[..., Any], kind: str) -> Callable[..., Any]:
        """The method of a driver, with a gate before it. What a driver returns is awaited or entered, so the
        gate is in its start.
        """

        @functools.wraps(send)
        def with_gate(*args: Any, **options: Any) -> Any:
            lane = LANE.get()
            if lane is None or lane.closed or self._inside_another(sys._getframe(1)):
                return send(*args, **options)
            if self._is_of_a_library(lane, sys._getframe(1)):
                return send(*args, **options)
            label = _one_line(args[1], args[2:]) if len(args) > 1 and isinstance(args[1], str) else kind.upper()
            frame = self._stepper.caller(sys._getframe(1))
            sent = send(*args, **options)
            # A driver's commit that raises would leave the transaction open, which no database does.
            error = _REFUSED if kind == "statement" else None
            return _Gated(sent, self._turn(lane, kind, label, frame, error))

        return with_gate

    def _inside_another(self, frame: FrameType | None) -> bool:
        """Whether SQLAlchemy, or the same driver, sends this on behalf of a call that had its gate."""
        while frame is not None:
            name = str(frame.f_globals.get("__name__", ""))
            if name.split(".")[0] in _SENDERS and name not in _PROXIES:
                return True
            if self._project.owner(frame.f_code).value == "project":
                return False
            frame = frame.f_back
        return False


class _Gated:
    """What a driver's method returned (a coroutine, or an object to await or to enter), behind a gate."""

    def __init__(self, sent: Any, gate: Coroutine[Any, Any, None]) -> None:
        self._sent, self._gate = sent, gate

    def __await__(self) -> Any:
        yield from self._gate.__await__()
        return (yield from self._sent.__await__())

    async def __aenter__(self) -> Any:
        await self._gate
        return await self._sent.__aenter__()

    async def __aexit__(self, *raised: Any) -> Any:
        return await self._sent.__aexit__(*raised)


def _let_go(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)


def _let_fail(turn: asyncio.Future[None], error: Exception) -> None:
    if not turn.done():
        turn.set_exception(error)


def _refusal(kind: str) -> Exception | None:
    """What SQLAlchemy raises when a database refuses; None for a rollback, whose failure is nothing new."""
    from sqlalchemy.exc import OperationalError

    return None if kind == "rollback" else OperationalError(kind.upper(), None, _REFUSED)


def _one_line(statement: str, parameters: Any) -> str:
    text = " ".join(statement.split())
    return f"{text} {shown(parameters)}" if parameters else text
