"""The stage's side of the wire: opens an application and answers commands until the other side is gone."""

from __future__ import annotations

import socket
import traceback
from collections.abc import Callable
from typing import Any

from .asgi import Request
from .explore import Bound, follow
from .opening import CannotOpen, Opened
from .oracle import Rules
from .play import Outcome
from .remote import RemoteData
from .search import Search, outcome_told, run_told
from .windows import Span
from .wire import Wire

Message = dict[str, Any]


class Server:
    """Answers one command after the other."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._opened: Opened | None = None
        self._rules = Rules()

    def serve(self) -> None:
        """Answer until the other side closes the connection."""
        commands: dict[str, Callable[[Message], Any]] = {
            "open": self._open,
            "keep": self._keep,
            "try": self._try,
            "explore": self._explore,
            "replay": self._replay,
        }
        while True:
            try:
                message = self._wire.receive()
            except EOFError:
                return
            try:
                self._wire.send({"answer": commands[message["do"]](message)})
            except CannotOpen as error:
                self._wire.send({"error": str(error)})
            except Exception as error:
                where = traceback.extract_tb(error.__traceback__)[-1]
                self._wire.send({"error": f"{type(error).__name__}: {error} ({where.name}, line {where.lineno})"})

    @property
    def _app(self) -> Opened:
        if self._opened is None:
            raise CannotOpen("no application is open")
        return self._opened

    def _open(self, message: Message) -> Message:
        remote = RemoteData(self._wire) if message.get("postgres") else None
        self._opened = Opened.of(message["app"], message["root"], message, remote)
        self._opened.remember()
        self._rules = Rules(message["invariants"], frozenset(message["ignore"]))
        return {
            "openapi": self._opened.document(),
            "state": self._start().state,
            "dependencies": self._opened.dependencies(),
            "hints": self._opened.hints(),
        }

    def _start(self) -> Outcome:
        return self._app.stage.play((), lambda enabled, previous: enabled[0]).outcome

    def _keep(self, message: Message) -> Message:
        return outcome_told(self._app.keep(_requests(message)))

    def _try(self, message: Message) -> Message:
        """What requests come to, one after the other; it is undone."""
        requests = _requests(message)
        return outcome_told(self._app.stage.play_in_turn(requests, tuple(range(len(requests)))).outcome)

    def _explore(self, message: Message) -> Message:
        """All schedules of the requests within the bound, after the `prelude`, compared with their serial orders."""
        opened = self._app
        opened.keep(tuple(Request(**request) for request in message["prelude"]))
        try:
            return self._searched(opened, message)
        finally:
            opened.forget()

    def _searched(self, opened: Opened, message: Message) -> Message:
        requests = _requests(message)
        if message["instances"] > 1 and opened.only_one:
            return {"problems": [f"a second instance cannot be made: {opened.only_one}"]}
        opened.stage.spread = message["instances"] > 1
        opened.warm(requests)
        try:
            watched = message["watched"]
            search = Search(
                opened.stage,
                requests,
                self._rules,
                watched and frozenset(watched),
                answers_matter=message["answers_matter"],
                window=_spans(message["window"]),
                towards=_spans(message["towards"]),
                apart=message["apart"],
                may_change_nothing=message["may_change_nothing"],
                lenient=message["lenient"],
                at_once=message["at_once"],
            )
            if message["crowd"]:
                return search.run_crowd(message["crowd"])
            if message["failing"]:
                return search.run_failing(message["failing"])
            bound = Bound(
                message["preemptions"],
                message["schedules"],
                message["seconds"],
                message["seed"],
                message["reduce_beyond"],
            )
            return search.run(bound, stop_at_first=message["first"])
        finally:
            opened.stage.spread = False
            opened.forget()

    def _replay(self, message: Message) -> Message:
        requests = _requests(message)
        return run_told(self._app.stage.play(requests, follow(tuple(message["choices"]))), self._app.stage.project)


def _spans(told: list[list[Any]]) -> tuple[Span, ...]:
    return tuple((path, first, last) for path, first, last in told)


def _requests(message: Message) -> tuple[Request, ...]:
    return tuple(Request(**request) for request in message["requests"])


def main(descriptor: int) -> None:
    """Serve on a connected socket that was inherited under this number."""
    Server(Wire(socket.socket(fileno=descriptor))).serve()
