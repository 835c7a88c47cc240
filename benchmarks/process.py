"""Running a command and measuring it from outside."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_MEBIBYTE = 1 << 20
_INTERVAL = 0.05


@dataclass(frozen=True)
class Measured:
    """`seconds` by the clock, `cpu` seconds of all processes, and the peak `memory` of all of them in MiB."""

    seconds: float
    cpu: float
    memory: float
    code: int


def measure(command: Sequence[str], cwd: Path) -> Measured:
    """Run a command as a whole process, start-up included; what it prints goes nowhere."""
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    sampler = _Sampler(process.pid)
    sampler.start()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    largest = usage.ru_maxrss * 1024 / _MEBIBYTE
    return Measured(seconds, usage.ru_utime + usage.ru_stime, max(largest, sampler.finish()), process.returncode)


class _Sampler(threading.Thread):
    """Looks at a process and its children now and then.

    Pages that several of them share are counted once (PSS). Where /proc does not say, the peak is 0.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._done = threading.Event()
        self._peak = 0.0

    def run(self) -> None:
        while not self._done.wait(_INTERVAL):
            self._peak = max(self._peak, sum(_proportional_set_size(pid) for pid in _family(self._pid)))

    def finish(self) -> float:
        """The largest sum that was seen."""
        self._done.set()
        self.join()
        return self._peak


def _family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return [pid]
    return [pid, *(member for child in children for member in _family(int(child)))]


def _proportional_set_size(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0.0
    sizes = [int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")]
    return sum(sizes) * 1024 / _MEBIBYTE
