"""Worker threads of requests: `def` endpoints and what runs in executors, stepped line by line.

One thread of all requests runs at a time. A thread stops at a gate before every line of the project's code
that it is told to watch, where it waits for a lock, and where it sleeps.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from time import sleep as _pause
from types import FrameType
from typing import Any

from .director import Director, Stuck
from .frames import Owner, Project, stack
from .lanes import LANE, Gate, Lane
from .loop import GatedLoop
from .touches import Touches
from .values import plain_locals

_Trace = Callable[[FrameType, str, Any], Any]


class Abandoned(BaseException):
    """Raised inside the code of a request whose run was given up, so that it ends."""


@dataclass
class Stepper:
    """Stops threads of requests at lines.

    `lines` names the lines to stop at, by path; None stops at every line of the project.
    """

    project: Project
    loop: GatedLoop
    lines: dict[str, Collection[int]] | None = None
    director: Director | None = None
    touches: Touches | None = None
    _loop_thread: int = field(default_factory=threading.get_ident)
    _moving: set[int] = field(default_factory=set)

    def run(self, lane: Lane, work: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Call `work` in this thread as a part of the lane's request."""
        self._moving.add(threading.get_ident())
        sys.settrace(lambda frame, event, arg: self._enter(lane, frame))
        try:
            return work(*args, **options)
        finally:
            sys.settrace(None)
            if self.touches is not None:
                self.touches.called(lane, work)
            self._moving.discard(threading.get_ident())

    def _enter(self, lane: Lane, frame: FrameType) -> _Trace | None:
        if lane.closed or self.project.owner(frame.f_code) is not Owner.PROJECT:
            return None
        wanted = None if self.lines is None else self.lines.get(self.project.spot(frame).path, ())
        if wanted is not None and not wanted:
            return None

        def at_line(here: FrameType, event: str, arg: Any) -> _Trace:
            if event == "line" and (wanted is None or here.f_lineno in wanted):
                self.stop(lane, "line", "before this line", here)
            if self.touches is not None:
                self.touches.hear(lane, here, event, arg)
            return at_line

        return at_line

    def stop(
        self,
        lane: Lane,
        kind: str,
        label: str,
        frame: FrameType | None,
        ready: Callable[[], bool] = lambda: True,
        polls: bool = False,
        error: Exception | None = None,
        expires: bool = False,
    ) -> None:
        """Stand at a gate until the schedule lets this thread go.

        With `expires` it also goes on when nobody else can. Raises Abandoned when the run was given up meanwhile, and
        `error` where the schedule wants a failure here.
        """
        if lane.closed:
            raise Abandoned
        me, turn, failed = threading.get_ident(), threading.Semaphore(0), threading.Event()

        def go() -> None:
            self._moving.add(me)
            turn.release()

        def fail() -> None:
            failed.set()
            go()

        spot = self.project.spot(frame) if frame is not None else None
        values = plain_locals(frame) if frame is not None else {}
        trail = self.project.trail(stack(frame))
        gate = Gate(kind, label, go, spot, values, ready, polls, trail, fail if error is not None else None)
        gate.expire = go if expires else None
        if kind == "line" and self._moving == {me} and self.director is not None and self.director.passes(lane, gate):
            return
        lane.gates.append(gate)
        self._moving.discard(me)
        self.loop.call_soon_threadsafe(_wake_up)
        turn.acquire()
        if lane.closed:
            raise Abandoned
        if error is not None and failed.is_set():
            raise error

    def follow_loop(self) -> None:
        """Tell `touches` of what the event loop runs for requests, until `unfollow_loop`."""
        if self.touches is not None:
            sys.settrace(self._enter_on_loop)

    def unfollow_loop(self) -> None:
        """Go back to full speed."""
        if self.touches is not None:
            sys.settrace(None)

    def _enter_on_loop(self, frame: FrameType, event: str, arg: Any) -> _Trace | None:
        lane = LANE.get()
        if lane is None or lane.closed or self.project.owner(frame.f_code) is not Owner.PROJECT:
            return None

        def at_line(here: FrameType, event: str, arg: Any) -> _Trace:
            if self.touches is not None:
                self.touches.hear(lane, here, event, arg)
            return at_line

        return at_line(frame, event, arg)

    def on_loop_thread(self) -> bool:
        """Whether this is the thread of the event loop, which can stand at no gate."""
        return threading.get_ident() == self._loop_thread

    def wait_on_loop(self, try_again: Callable[[], bool]) -> bool:
        """The event loop itself waits for what a worker thread holds: only worker threads can go on.

        Raises Abandoned when none of them can, which is a deadlock of the whole process.
        """
        while not try_again():
            while self._moving:
                _pause(0.00005)
            if try_again():
                return True
            if not self._let_a_thread_go():
                if self.director is not None:
                    self.director.stuck = Stuck(
                        "the event loop waits for a lock of `threading` that nobody can release"
                    )
                raise Abandoned
        return True

    def _let_a_thread_go(self) -> bool:
        for lane in self.director.lanes if self.director is not None else ():
            for gate in lane.gates:
                if gate.kind in {"line", "lock", "sleep"} and gate.ready():
                    lane.gates.remove(gate)
                    gate.go()
                    return True
        return False

    def caller(self, frame: FrameType | None) -> FrameType | None:
        """The nearest frame of the project that led here."""
        while frame is not None and self.project.owner(frame.f_code) is not Owner.PROJECT:
            frame = frame.f_back
        return frame


def _wake_up() -> None:
    """Makes the event loop look again."""
