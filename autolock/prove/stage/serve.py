"""The stage's side of the wire: opens an application and answers commands until the other side is gone."""

from __future__ import annotations

import socket
import traceback
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from .asgi import Request
from .explore import Bound, Diverged, Exploration, follow
from .opening import CannotOpen, Opened, changed_by
from .oracle import Oracle, Violation
from .play import Outcome, Run
from .remote import RemoteData
from .wire import Wire

Message = dict[str, Any]


class Server:
    """Answers one command after the other."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._opened: Opened | None = None
        self._invariants: dict[str, str] = {}

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
        self._invariants = message.get("invariants", {})
        return {"openapi": self._opened.document(), "state": self._start().state}

    def _start(self) -> Outcome:
        return self._app.stage.play((), lambda enabled, previous: enabled[0]).outcome

    def _keep(self, message: Message) -> Message:
        return _outcome(self._app.keep(_requests(message)))

    def _try(self, message: Message) -> Message:
        """What requests come to, one after the other, and which state they change; it is undone."""
        requests = _requests(message)
        outcome = self._app.stage.play_in_turn(requests, tuple(range(len(requests)))).outcome
        return {**_outcome(outcome), "changed": changed_by(self._start(), outcome)}

    def _explore(self, message: Message) -> Message:
        requests = _requests(message)
        stage = self._app.stage
        self._app.warm(requests)
        oracle = Oracle(stage, requests, self._invariants)
        oracle.prepare()
        if oracle.problems:
            return {"problems": oracle.problems}
        bound = Bound(message["preemptions"], message["schedules"], message["seconds"])
        exploration = Exploration(lambda prefix: stage.play(requests, follow(prefix)), bound)
        witness: Message | None = None
        violations = longest = 0
        diverged = ""
        try:
            for run in exploration:
                longest = max(longest, len(run.steps))
                violation = oracle.judge(run)
                if violation is not None:
                    violations += 1
                    if witness is None:
                        witness = {**_run(run), **_violation(violation), "number": exploration.played}
                        if message.get("first"):
                            break
        except Diverged as error:
            diverged = str(error)
        return {
            "played": exploration.played,
            "violations": violations,
            "exhausted": exploration.exhausted and not diverged,
            "beyond": exploration.beyond,
            "diverged": diverged,
            "steps": longest,
            "witness": witness,
            "serial": [
                {"order": list(order), **_outcome(outcome)}
                for order, outcome in oracle.orders(range(len(requests))).items()
            ],
            "masked": sorted(".".join(path) for path in oracle.masked),
        }

    def _replay(self, message: Message) -> Message:
        requests = _requests(message)
        return _run(self._app.stage.play(requests, follow(tuple(message["choices"]))))


def _requests(message: Message) -> tuple[Request, ...]:
    return tuple(Request(**request) for request in message["requests"])


def _outcome(outcome: Outcome) -> Message:
    return {
        "responses": [None if answer is None else asdict(answer) for answer in outcome.responses],
        "state": outcome.state,
        "stuck": outcome.stuck,
    }


def _violation(violation: Violation) -> Message:
    return {"why": violation.why, "differences": [list(difference) for difference in violation.differences]}


def _run(run: Run) -> Message:
    steps = [
        {
            "lane": step.lane,
            "kind": step.gate.kind,
            "label": step.gate.label,
            "spot": asdict(step.gate.spot) if step.gate.spot else None,
            "values": step.gate.values,
        }
        for step in run.steps
    ]
    return {**_outcome(run.outcome), "choices": list(run.choices), "preemptions": run.preemptions, "steps": steps}


def main(descriptor: int) -> None:
    """Serve on a connected socket that was inherited under this number."""
    Server(Wire(socket.socket(fileno=descriptor))).serve()
