"""What the prover says of random applications, against every interleaving of two requests played by brute force.

By hand:  python tests/proved_random_applications.py FIRST_SEED LAST_SEED
"""

from __future__ import annotations

import random
import sys
import tempfile
from dataclasses import replace
from itertools import combinations_with_replacement, product
from pathlib import Path
from typing import NamedTuple

from random_applications import STARTS, Author, Block, is_unserial, on_threads, program, stepped

from autolock.cli.proving import unwound
from autolock.prove.proof import Bounds, Side, Subject, Verdict
from autolock.prove.prover import Prover
from autolock.prove.scenario import Race, Scenario

# More than any two of these handlers have points at which one could take over from the other.
_BOUNDS = Bounds(preemptions=20, schedules=100_000, seconds=60)
# Whether steps that meet nobody are left out: in no application, or in all of them.
_REDUCED = {False: 10_000, True: 0}


class Compared(NamedTuple):
    """Two requests at once: whether brute force found an outcome that no order gives, and what the prover says."""

    routes: tuple[str, str]
    unserial: bool
    verdict: Verdict
    played: int

    @property
    def agree(self) -> bool:
        """Whether both say the same, and the prover says it for sure; requests that change nothing are not driven."""
        found = self.verdict is Verdict.WITNESSED
        return found == self.unserial and self.verdict is not Verdict.INCONCLUSIVE


def compared(seed: int, folder: Path, *, threads: bool = False, reduced: bool = False) -> list[Compared]:
    """Every two handlers of the application of a seed, raced by both in the start that the seed chooses."""
    handlers = Author(random.Random(seed)).application()
    start = STARTS[seed % len(STARTS)]
    text = program(handlers, start)
    (folder / "main.py").write_text(on_threads(text) if threads else text, encoding="utf-8")
    if threads:
        handlers = [stepped(handler) for handler in handlers]
    bounds = replace(_BOUNDS, reduce_beyond=_REDUCED[reduced])
    pairs = {f"{one} {other}": (one, other) for one, other in combinations_with_replacement(range(len(handlers)), 2)}
    races = tuple(Race(tuple(map(_request, pair)), route=name) for name, pair in pairs.items())
    with Prover(folder, (), scenario=Scenario(races=races), bounds=bounds) as prover:
        sides = prover.before([Subject((name,)) for name in pairs])
    return [_compared(handlers, pair, start, sides[name]) for name, pair in pairs.items()]


def _request(number: int) -> dict[str, str]:
    return {"method": "POST", "path": f"/{number}"}


def _compared(handlers: list[Block], pair: tuple[int, int], start: tuple[int, ...], side: Side) -> Compared:
    unserial = is_unserial([handlers[number] for number in pair], start)
    played = sum(trial.result.get("played", 0) for trial in side.trials)
    return Compared((f"/{pair[0]}", f"/{pair[1]}"), unserial, side.verdict, played)


def main(first: int, last: int) -> None:
    for seed, threads, reduced in product(range(first, last + 1), (False, True), (False, True)):
        with tempfile.TemporaryDirectory() as folder:
            for one in compared(seed, Path(folder), threads=threads, reduced=reduced):
                told = "agree" if one.agree else "DISAGREE"
                print(told, seed, "threads" if threads else "loop", "reduced" if reduced else "all", *one, flush=True)


if __name__ == "__main__":
    with unwound():
        main(*map(int, sys.argv[1:]))
