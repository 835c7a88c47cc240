"""Locks of `threading` which a schedule can see.

A thread of a request that finds its lock taken stands at a gate until the lock is free, instead of blocking the
process. Put in place of `threading.Lock` and `threading.RLock` before the application is imported, so that conditions,
events, semaphores and queues, which the standard library builds on them, are seen as well. Elsewhere they
are the real locks.
"""

from __future__ import annotations

import _thread
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from .frames import Owner, Project
from .lanes import LANE, Lane
from .threads import Stepper


class WatchedLock:
    """A `threading.Lock`, or a reentrant one, whose waiting threads are known."""

    _real: Any

    def __init__(self) -> None:
        self._real = self._make()

    _make: Callable[[], Any] = staticmethod(_thread.allocate_lock)
    stepper: Stepper | None = None

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """As `threading.Lock.acquire`."""
        if self._real.acquire(False):
            return True
        if not blocking:
            return False
        lane = LANE.get()
        if lane is None or lane.closed or self.stepper is None:
            return bool(self._real.acquire(True, timeout))
        return self._wait(lane, self.stepper, timeout)

    def _wait(self, lane: Lane, stepper: Stepper, timeout: float) -> bool:
        if stepper.on_loop_thread():
            return stepper.wait_on_loop(lambda: bool(self._real.acquire(False)))
        here = stepper.caller(sys._getframe(2))
        while True:
            stepper.stop(lane, "lock", "waits for a lock", here, self._is_free, expires=timeout >= 0)
            if self._real.acquire(False):
                return True
            if timeout >= 0:
                return False

    def _is_free(self) -> bool:
        """Looked up without taking it, as a thread that moves may want it at this moment."""
        return not self._real.locked()

    def release(self) -> None:
        """As `threading.Lock.release`."""
        self._real.release()

    def locked(self) -> bool:
        """As `threading.Lock.locked`."""
        return not self._is_free()

    def keeper(self) -> Callable[[], None]:
        """Puts the lock back to how it is now: a request of another run may have left it taken."""
        free = self._is_free()

        def restore() -> None:
            if free and not self._is_free():
                self._real = self._make()

        return restore

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def _at_fork_reinit(self) -> None:
        self._real = self._make()


class WatchedRLock(WatchedLock):
    """A `threading.RLock` whose waiting threads are known."""

    _make = staticmethod(_thread.RLock)

    def _is_free(self) -> bool:
        return repr(self._real).startswith("<unlocked")  # there is no other way to ask before Python 3.14

    def _release_save(self) -> Any:
        return self._real._release_save()

    def _acquire_restore(self, state: Any) -> None:
        count, _ = state
        for _again in range(count):
            self.acquire()

    def _is_owned(self) -> bool:
        return bool(self._real._is_owned())


def watch_locks(stepper: Stepper) -> None:
    """Put the watched locks in the place of `threading`'s own, for all that the project makes from now on.

    Locks which libraries make for themselves (the start of a thread, logging, connection pools) stay what they are.
    """
    WatchedLock.stepper = stepper
    threading.Lock = _chosen(WatchedLock, stepper)  # type: ignore[assignment]
    threading.RLock = _chosen(WatchedRLock, stepper)  # type: ignore[assignment]
    threading._allocate_lock = _chosen(WatchedLock, stepper)  # type: ignore[attr-defined]


def _chosen(watched: type[WatchedLock], stepper: Stepper) -> Callable[[], Any]:
    def make() -> Any:
        return watched() if _for_project(sys._getframe(1), stepper.project) else watched._make()

    return make


def _for_project(frame: FrameType | None, project: Project) -> bool:
    """Whether the project asks for a lock, itself or through a condition, an event, a semaphore or a queue."""
    while frame is not None and frame.f_globals.get("__name__") in {"threading", "queue"}:
        if isinstance(frame.f_locals.get("self"), threading.Thread):
            return False
        frame = frame.f_back
    return frame is not None and project.owner(frame.f_code) is Owner.PROJECT
