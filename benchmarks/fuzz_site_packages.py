"""Checks and fixes every installed Python file, as it is and with each function made a route.

    python -m benchmarks.fuzz_site_packages [--folder DIR] [--seconds N] [--jobs N]

Each file runs in a process that is stopped after N seconds. Prints a line for each file that made
autolock raise, write what does not parse, or take too long; exit code 1 when there was one.
"""

from __future__ import annotations

import argparse
import ast
import signal
import sys
import sysconfig
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import autolock
from benchmarks.exposed import exposed

if TYPE_CHECKING:
    from types import FrameType


class TooSlow(BaseException):
    """Not an Exception, so that nothing in between takes it for one of its own."""


def wrong_with(path: Path, seconds: int) -> str:
    """What went wrong with one file, in a line; empty when nothing did."""
    source = path.read_bytes()
    signal.signal(signal.SIGALRM, _stop)
    signal.alarm(seconds)
    try:
        for variant in (source, exposed(source)):
            autolock.check(["-"], source=variant, cache=False)
            for change in autolock.combined(autolock.fix(["-"], source=variant, cache=False, unsafe=True)):
                ast.parse(change.after)
    except TooSlow:
        return f"more than {seconds} s"
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})"
    finally:
        signal.alarm(0)
    return ""


def _stop(signum: int, frame: FrameType | None) -> None:
    raise TooSlow


def main() -> int:
    parser = argparse.ArgumentParser(description="Check and fix every installed Python file.")
    parser.add_argument("--folder", type=Path, default=Path(sysconfig.get_paths()["purelib"]))
    parser.add_argument("--seconds", type=int, default=60, help="time for one file")
    parser.add_argument("--jobs", type=int, default=None)
    options = parser.parse_args()
    files = sorted(options.folder.rglob("*.py"))
    started = time.perf_counter()
    wrong = 0
    with ProcessPoolExecutor(options.jobs) as pool:
        outcomes = pool.map(partial(wrong_with, seconds=options.seconds), files, chunksize=8)
        for path, outcome in zip(files, outcomes, strict=True):
            if outcome:
                wrong += 1
                print(f"{path.relative_to(options.folder)}: {outcome}", flush=True)
    print(f"{len(files)} files, {wrong} with something wrong, {time.perf_counter() - started:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
