"""One run: the requests of a schedule, from the start of the state to its end."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from .asgi import Request, Response, converse, send
from .chance import start_again
from .crowds import Crowd
from .director import Chooser, Director, Failure, Probe, Step
from .frames import Project, stack
from .lanes import LANE, Gate, House, Lane
from .loop import GatedLoop
from .outside import SENT
from .renaming import in_order
from .sessions import close_sessions, empty_pools
from .threads import Abandoned, Stepper
from .values import plain_locals


class Data(Protocol):
    """Where the application keeps what outlives a request: it can be put back, and looked at."""

    def restore(self) -> None:
        """Put back what was there at the start."""

    def picture(self) -> dict[str, Any]:
        """What is there now, as plain data by name."""


@dataclass(frozen=True)
class Outcome:
    """What a run came to: the answers in the order of the requests, the state that was left, and what was `sent` to
    others.
    """

    responses: tuple[Response | None, ...]
    state: dict[str, Any]
    stuck: str = ""
    sent: tuple[str, ...] = ()

    def served(self) -> tuple[int, ...]:
        """The numbers of the requests that were answered with success."""
        return tuple(n for n, answer in enumerate(self.responses) if answer is not None and answer.status < 400)


@dataclass(frozen=True)
class Run:
    """An outcome, and the steps that led to it."""

    outcome: Outcome
    steps: tuple[Step, ...]

    @property
    def choices(self) -> tuple[int, ...]:
        """Which lane went at each decision: with these the run can be repeated."""
        return tuple(step.lane for step in self.steps)

    @property
    def preemptions(self) -> int:
        """How often a request was left that could have gone on."""
        return sum(step.preempts for step in self.steps)


@dataclass(frozen=True)
class Instance:
    """An application, and what its lifespan left for requests."""

    app: Any
    state: dict[str, Any] = field(default_factory=dict)


@dataclass
class Stage:
    """An application ready to be played: its loop, its state, and the hooks that make requests stop.

    With `spread`, requests go to the `instances` in turn, else all to the first. With `keeps_open`, connections of
    clients that stay are not ended after a run. `kept` counts the requests whose work is in the state from the start.
    With `rows_are_one`, the database lets one request write at a time. `answers` are those to requests with a name.
    """

    instances: tuple[Instance, ...]
    project: Project
    loop: GatedLoop
    stepper: Stepper
    data: tuple[Data, ...] = ()
    probe: Probe | None = None
    spread: bool = False
    keeps_open: bool = False
    rows_are_one: bool = True
    kept: int = 0
    answers: dict[str, Response] = field(default_factory=dict)

    def play(self, requests: tuple[Request, ...], choose: Chooser) -> Run:
        """Run the requests at once, as `choose` decides, from the same state as every other run."""
        return self.loop.run_until_complete(self._play(requests, choose))

    def play_in_turn(
        self, requests: tuple[Request, ...], order: tuple[int, ...], failure: Failure | None = None
    ) -> Run:
        """Run the requests of `order` one after the other; each has come to rest before the next begins.

        The number after those of all requests stands for the application's own tasks, which else come last. With a
        `failure`, one of the requests fails on its way.
        """
        return self.loop.run_until_complete(
            self._play(requests, _one_after_the_other(order, len(requests)), order, failure)
        )

    def play_crowd(self, requests: tuple[Request, ...], crowd: Crowd) -> Run:
        """Run many requests at once, as a crowd wants them to be played."""
        return self.loop.run_until_complete(self._play(requests, crowd.choose, meet=crowd.meet))

    def play_at_once(self, requests: tuple[Request, ...], *, apart: bool) -> Run:
        """Run requests, or the tasks of one, without waiting for what they ask of drivers, whose pools are empty."""
        self.loop.run_until_complete(empty_pools())
        return self.loop.run_until_complete(self._play(requests, _first, apart=apart, at_once=True))

    def play_apart(self, request: Request, choose: Chooser, *, in_turn: bool = False) -> Run:
        """Run one request, whose tasks go on as `choose` decides; `in_turn`, until they can't, before others do."""
        return self.loop.run_until_complete(self._play((request,), choose, apart=True, in_turn=in_turn))

    async def _play(
        self,
        requests: tuple[Request, ...],
        choose: Chooser,
        sent: Collection[int] | None = None,
        failure: Failure | None = None,
        *,
        apart: bool = False,
        in_turn: bool = False,
        at_once: bool = False,
        meet: Callable[[list[Lane]], None] | None = None,
    ) -> Run:
        if not self.keeps_open:
            await close_sessions()
        for data in self.data:
            data.restore()
        SENT.clear()
        start_again(self.kept)
        lanes = [Lane(number, self.kept + number) for number in range(len(requests))]
        for lane in lanes:
            lane.answered = sent is not None and lane.number not in sent
        together = not (apart or at_once or meet)
        house = House(len(lanes), self.kept) if together else None
        over = self.loop.create_future()
        in_turn = in_turn or sent is not None
        touches = self.stepper.touches
        played = [*lanes, house] if house is not None else lanes
        director = Director(self.project, played, choose, self.probe, failure, in_turn, apart, at_once, touches)
        if meet is not None:
            meet(lanes)
        if touches is not None:
            touches.begin()
        responses: dict[int, Response] = {}
        self.stepper.director = director
        self.loop.begin(director, partial(_finish, over), house)
        self.stepper.follow_loop()
        open_state: dict[str, Any] | None = None
        try:
            for lane, request in zip(lanes, requests, strict=True):
                if lane.answered:
                    continue
                self.loop.start(lane, partial(self._request, lane, request, responses))
            await over
            self.stepper.unfollow_loop()
            if any(lane.resting for lane in lanes):
                open_state = self._picture()  # as long as the connections are open: their end changes it
        finally:
            self.stepper.unfollow_loop()
            self.loop.end()
            await _abandon([lane for lane in lanes if not (lane.resting and self.keeps_open)])
        state = self._picture() if open_state is None else open_state
        answers = tuple(responses.get(lane.number) for lane in lanes)
        return Run(Outcome(answers, state, str(director.stuck or ""), tuple(SENT)), tuple(director.steps))

    def _picture(self) -> dict[str, Any]:
        return in_order({name: value for data in self.data for name, value in data.picture().items()})

    async def _pause(self, label: str) -> None:
        """Stand at a gate in the code of the project that has led here."""
        lane, frame = LANE.get(), self.stepper.caller(sys._getframe(1))
        if lane is None or lane.closed:
            return
        turn = self.loop.create_future()
        spot = self.project.spot(frame) if frame is not None else None
        values = plain_locals(frame) if frame is not None else {}
        trail = self.project.trail(stack(frame))
        lane.gates.append(Gate("resume", label, partial(_finish, turn), spot, values, trail=trail))
        await turn

    async def _request(self, lane: Lane, request: Request, responses: dict[int, Response]) -> None:
        begin = self.loop.create_future()
        lane.gates.append(Gate("start", request.title, partial(begin.set_result, None)))
        await begin
        request = request.filled(self.answers)
        try:
            served = self.instances[lane.number % len(self.instances) if self.spread else 0]
            if request.method == "WEBSOCKET":
                at_rest = partial(_rest, lane, responses)
                responses[lane.number] = await converse(served.app, request, served.state, self._pause, at_rest)
            else:
                responses[lane.number] = await send(served.app, request, served.state, partial(_tell, lane))
                if request.name:
                    self.answers[request.name] = responses[lane.number]
        except (Abandoned, asyncio.CancelledError):
            return
        finally:
            lane.answered = True


def _tell(lane: Lane) -> None:
    lane.told = True


def _one_after_the_other(order: tuple[int, ...], house: int) -> Chooser:
    """The first of an order that can go; the application's own tasks never in the middle of a request."""

    def choose(enabled: tuple[int, ...], previous: int | None) -> int:
        first = next((number for number in order if number in enabled), enabled[0])
        return previous if first == house and previous is not None and previous in enabled else first

    return choose


def _first(enabled: tuple[int, ...], previous: int | None) -> int:
    return enabled[0]


def _rest(lane: Lane, responses: dict[int, Response], answer: Response) -> None:
    responses[lane.number] = answer
    lane.answered = lane.resting = True


def _finish(over: asyncio.Future[None]) -> None:
    if not over.done():
        over.set_result(None)


async def _abandon(lanes: list[Lane]) -> None:
    """End what a run that was given up has left: its tasks, and its threads at their gates."""
    left: list[asyncio.Task[Any]] = []
    for lane in lanes:
        lane.closed = True
        for gate in lane.gates:
            gate.go()
        lane.gates.clear()
        left.extend(task for task in lane.tasks if not task.done())
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=2)
