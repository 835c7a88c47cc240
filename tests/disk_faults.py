"""A disk that fails, and processes that die, at a chosen step: the n-th call that changes a file or a folder."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from enum import Enum
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from autolock.errors import AutolockError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CALLS = ("open", "write", "fsync", "replace", "rename", "unlink", "mkdir", "rmdir", "chmod", "chown", "utime")
NEEDING_SPACE = {"open", "write", "fsync", "mkdir"}


class Fault(Enum):
    """What happens at the chosen step."""

    NONE = "nothing; the steps are counted"
    KILL = "the process is killed before it"
    KILL_HALFWAY = "the process is killed before it, or with half of it done where it is a write"
    FAIL_ONCE = "the call fails, the later ones do not"
    DISK_FULL = "it and all later calls that need space fail"
    DISK_GONE = "it and all later calls fail"


class Disk:
    """Stands in for the functions of `os`; `calls` are the steps taken so far, in order."""

    def __init__(self, fault: Fault, step: int) -> None:
        self.calls: list[str] = []
        self._fault = fault
        self._step = step

    def wrapped(self, name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            if name == "open" and args[1] & (os.O_WRONLY | os.O_RDWR) == 0:
                return real(*args, **kwargs)
            self.calls.append(name)
            if self._is_due(name):
                if name == "write" and self._fault is Fault.KILL_HALFWAY:
                    real(args[0], bytes(args[1])[: len(args[1]) // 2])
                self._strike()
            return real(*args, **kwargs)

        return call

    def _is_due(self, name: str) -> bool:
        reached = len(self.calls)
        if self._fault is Fault.DISK_GONE:
            return reached >= self._step
        if self._fault is Fault.DISK_FULL:
            return reached >= self._step and name in NEEDING_SPACE
        return self._fault is not Fault.NONE and reached == self._step

    def _strike(self) -> None:
        if self._fault in (Fault.KILL, Fault.KILL_HALFWAY):
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextlib.contextmanager
def faulty_disk(fault: Fault, step: int = 0) -> Iterator[Disk]:
    """Within the block, the calls go through a Disk."""
    disk = Disk(fault, step)
    with contextlib.ExitStack() as stack:
        for name in CALLS:
            stack.enter_context(patch.object(os, name, disk.wrapped(name)))
        yield disk


def steps_of(action: Callable[[], object]) -> int:
    """How many steps the action takes when nothing goes wrong."""
    with faulty_disk(Fault.NONE) as disk:
        action()
    return len(disk.calls)


def run_killed(action: Callable[[], object], fault: Fault, step: int) -> bool:
    """Runs the action in a process of its own, and says whether it was killed there; it must not fail otherwise."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with faulty_disk(fault, step):
                action()
            status = 0
        finally:
            os._exit(status)
    _, result = os.waitpid(child, 0)
    if os.WIFSIGNALED(result):
        return True
    assert os.WEXITSTATUS(result) == 0
    return False


def fails(action: Callable[[], object], fault: Fault, step: int) -> AutolockError | None:
    """Runs the action on a failing disk, and returns the error it ends with, if it does."""
    with faulty_disk(fault, step):
        try:
            action()
        except AutolockError as error:
            return error
    return None
