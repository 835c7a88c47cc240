"""How long `autolock check` takes, next to parsing every file once with `ast.parse`.

    python -m benchmarks.speed [--lines 1000,10000,100000,300000,1000000] [--repeat 3] [--keep DIR]

Each time is the best of the repetitions of a whole process, start-up included.
"""

from __future__ import annotations

import argparse
import itertools
import math
import platform
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.process import Measured, measure
from benchmarks.synthetic import write_repository

if TYPE_CHECKING:
    from collections.abc import Callable

_SIZES = "1000,10000,100000,300000,1000000"
_CHECK = (sys.executable, "-m", "autolock", "check", "--format", "json")
_PARSE = (sys.executable, str(Path(__file__).with_name("parse_everything.py")))
#: The cache does not trust the times of a file that was written just before it was read.
_SETTLE = 2.5


@dataclass(frozen=True)
class Row:
    """What was measured on one repository."""

    lines: int
    files: int
    parse: Measured
    cold: Measured
    warm: Measured
    edited: Measured

    @property
    def memory(self) -> float:
        return max(run.memory for run in (self.cold, self.warm, self.edited))


def measured(root: Path, lines: int, repeat: int) -> Row:
    """Make a repository and measure all four on it."""
    written = write_repository(root, lines)
    files = sorted(root.rglob("*.py"))
    services = [path for path in files if path.name == "service.py"]
    time.sleep(_SETTLE)
    parse = _best(repeat, lambda _: measure((*_PARSE, str(root)), root))

    def cold(_: int) -> Measured:
        shutil.rmtree(root / ".autolock_cache", ignore_errors=True)
        return _checked(root)

    def edited(turn: int) -> Measured:
        with services[turn % len(services)].open("a", encoding="utf-8") as file:
            file.write(f"\n\ndef added_{turn}(value: int) -> int:\n    return value + {turn}\n")
        return _checked(root)

    first = _best(repeat, cold)
    again = _best(repeat, lambda _: _checked(root))
    return Row(written, len(files), parse, first, again, _best(repeat, edited))


def _checked(root: Path) -> Measured:
    result = measure(_CHECK, root)
    if result.code not in (0, 1):
        raise SystemExit(f"autolock check failed with exit code {result.code} in {root}")
    return result


def _best(repeat: int, run: Callable[[int], Measured]) -> Measured:
    return min((run(turn) for turn in range(repeat)), key=lambda result: result.seconds)


def table(rows: list[Row]) -> str:
    """The measurements as a Markdown table; the numbers in brackets are ratios to the parse."""
    runs = ("cold", "warm", "one edit")
    heads = ("lines", "files", "ast.parse", *runs, *(f"{run}, CPU" for run in runs), "files/s", "lines/s", "memory")
    lines = [f"| {' | '.join(heads)} |", f"|{'---:|' * len(heads)}"]
    for row in rows:
        cells = [
            f"{row.lines:,}",
            f"{row.files:,}",
            f"{row.parse.seconds:.2f} s",
            *(_with_ratio(run.seconds, row.parse.seconds) for run in (row.cold, row.warm, row.edited)),
            *(_with_ratio(run.cpu, row.parse.cpu) for run in (row.cold, row.warm, row.edited)),
            f"{row.files / row.cold.seconds:,.0f}",
            f"{row.lines / row.cold.seconds:,.0f}",
            f"{row.memory:.0f} MiB",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _with_ratio(run: float, parse: float) -> str:
    return f"{run:.2f} s ({run / parse:.2f})"


def growth(rows: list[Row]) -> str:
    """The exponent by which time grows from one size to the next: 1 is linear, less is start-up being paid off."""
    lines: list[str] = []
    for small, large in itertools.pairwise(rows):
        exponent = math.log(large.cold.seconds / small.cold.seconds) / math.log(large.lines / small.lines)
        lines.append(f"{small.lines:>11,} to {large.lines:>9,} lines: time grows as lines ** {exponent:.2f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the speed of autolock check.")
    parser.add_argument("--lines", default=_SIZES, help=f"sizes of the repositories, by default {_SIZES}")
    parser.add_argument("--repeat", type=int, default=3, help="runs of which the best counts")
    parser.add_argument("--keep", type=Path, help="make the repositories there and leave them")
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, {platform.machine()}, times by the clock, whole processes\n")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="autolock-speed-") as scratch:
        for lines in sorted(int(size) for size in options.lines.split(",")):
            root = (options.keep or Path(scratch)).resolve() / f"lines_{lines}"
            if root.exists():
                shutil.rmtree(root)
            root.mkdir(parents=True)
            rows.append(measured(root, lines, options.repeat))
            print(table(rows).splitlines()[-1] if len(rows) > 1 else table(rows), flush=True)
    if len(rows) > 1:
        print(f"\n{growth(rows)}")


if __name__ == "__main__":
    main()
