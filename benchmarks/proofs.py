"""How fast and how right `prove` is, beside frontrun and detangle on the same application.

    python -m benchmarks.proofs [--others]

`--others` also runs frontrun and detangle, which have to be installed (`pip install frontrun detangle`).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

from autolock.prove import databases
from autolock.prove.proof import Bounds, Side, Subject, Verdict
from autolock.prove.prover import Prover

SERVICE = Path(__file__).with_name("proved") / "service.py"
OTHERS = Path(__file__).with_name("proved") / "others.py"
EXPECTED = {
    "POST /loop/racy": Verdict.WITNESSED,
    "POST /loop/locked": Verdict.HELD,
    "POST /threads/racy": Verdict.WITNESSED,
    "POST /threads/locked": Verdict.HELD,
    "POST /rows/racy": Verdict.WITNESSED,
    "POST /rows/locked": Verdict.HELD,
}
GROWTH = ("POST /pauses/2", "POST /pauses/4", "POST /pauses/6", "POST /lines/5", "POST /lines/8")
#: Steps beyond which those that meet nobody are no choices: of no request, and of all of them.
REDUCTIONS = {"all": 1_000_000, "that meet": 0}
PATIENCE = 120


@contextmanager
def service() -> Iterator[Path]:
    """A folder with the application alone."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(SERVICE, folder)
        yield Path(folder)


def played(root: Path, route: str, bounds: Bounds) -> tuple[Side, float]:
    """What proving a route showed, and the seconds it took with the start of the application."""
    started = time.perf_counter()
    with Prover(root, (), app="service:app", bounds=bounds) as prover:
        side = prover.before([Subject((route,))])[route]
    return side, time.perf_counter() - started


def line(route: str, side: Side, seconds: float) -> str:
    trial = side.decisive
    result = trial.result if trial is not None else {}
    schedules, spent = result.get("played", 0), result.get("seconds", 0.0)
    first = result["witness"]["number"] if result.get("witness") else "-"
    rate = f"{schedules / spent:8.0f}" if spent else "       -"
    return f"{route:22} {side.verdict.value:12} {schedules:9} {first!s:>6} {spent:8.3f} {rate} {seconds:8.2f}"


def ours() -> None:
    print(
        f"{'autolock prove':22} {'verdict':12} {'schedules':>9} {'first':>6} {'seconds':>8} {'per s':>8} {'in all':>8}"
    )
    with service() as root:
        for route, expected in EXPECTED.items():
            side, seconds = played(root, route, Bounds())
            wrong = "" if side.verdict is expected else f"   WRONG: {side.why_not}"
            print(line(route, side, seconds) + wrong)
        for route, (steps, beyond) in product(GROWTH, REDUCTIONS.items()):
            side, seconds = played(root, route, Bounds(preemptions=20, schedules=100_000, reduce_beyond=beyond))
            print(f"{line(route, side, seconds)}   steps: {steps}")


def others() -> None:
    """Each tool in a process of its own, as it replaces parts of the interpreter."""
    with service() as root, databases.running() as server:
        for tool in ("frontrun", "detangle"):
            print(f"\n{tool:22} {'verdict':12} {'schedules':>9} {'seconds':>8}")
            for route, expected in EXPECTED.items():
                with server.database() as url:
                    environment = {**os.environ, "DATABASE_URL": url, "NO_POOL": "1", "PYTHONPATH": str(root)}
                    command = [sys.executable, str(OTHERS), tool, route]
                    try:
                        run = subprocess.run(
                            command, env=environment, cwd=root, capture_output=True, text=True, timeout=PATIENCE
                        )
                        told = run.stdout.strip().splitlines()[-1:] or [f"failed: {run.stderr.strip()[-60:]}"]
                    except subprocess.TimeoutExpired:
                        told = [f"no end in {PATIENCE} s"]
                right = expected.value in told[0]
                print(f"{route:22} {told[0]}{'' if right else '   WRONG'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--others", action="store_true", help="frontrun and detangle, too")
    asked = parser.parse_args()
    ours()
    if asked.others:
        others()


if __name__ == "__main__":
    main()
