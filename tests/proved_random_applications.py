"""What the prover says of random applications, against every interleaving of two requests played by brute force.

By hand:  python tests/proved_random_applications.py FIRST_SEED LAST_SEED
"""

from __future__ import annotations

import random
import sys
import tempfile
from itertools import combinations_with_replacement
from pathlib import Path
from typing import NamedTuple

from random_applications import STARTS, Author, Block, is_unserial, program

from autolock.prove.proof import Bounds, Subject, Verdict
from autolock.prove.prover import Prover
from autolock.prove.scenario import Race, Scenario

# More than any two of these handlers have points at which one could take over from the other.
_BOUNDS = Bounds(preemptions=20, schedules=100_000, seconds=60)


class Compared(NamedTuple):
    """Two requests at once: whether brute force found an outcome that no order gives, and what the prover says."""

    routes: tuple[str, str]
    unserial: bool
    verdict: Verdict

    @property
    def agree(self) -> bool:
        """Whether both say the same, and the prover says it for sure; requests that change nothing are not driven."""
        found = self.verdict is Verdict.WITNESSED
        return found == self.unserial and self.verdict is not Verdict.INCONCLUSIVE


def compared(seed: int, folder: Path) -> list[Compared]:
    """Every two handlers of the application of a seed, raced by both in the start that the seed chooses."""
    handlers = Author(random.Random(seed)).application()
    start = STARTS[seed % len(STARTS)]
    (folder / "main.py").write_text(program(handlers, start), encoding="utf-8")
    pairs = {f"{one} {other}": (one, other) for one, other in combinations_with_replacement(range(len(handlers)), 2)}
    races = tuple(Race(tuple(map(_request, pair)), route=name) for name, pair in pairs.items())
    with Prover(folder, (), scenario=Scenario(races=races), bounds=_BOUNDS) as prover:
        sides = prover.before([Subject((name,)) for name in pairs])
    return [_compared(handlers, pair, start, sides[name].verdict) for name, pair in pairs.items()]


def _request(number: int) -> dict[str, str]:
    return {"method": "POST", "path": f"/{number}"}


def _compared(handlers: list[Block], pair: tuple[int, int], start: tuple[int, ...], verdict: Verdict) -> Compared:
    return Compared((f"/{pair[0]}", f"/{pair[1]}"), is_unserial([handlers[number] for number in pair], start), verdict)


def main(first: int, last: int) -> None:
    for seed in range(first, last + 1):
        with tempfile.TemporaryDirectory() as folder:
            for one in compared(seed, Path(folder)):
                print("agree" if one.agree else "DISAGREE", seed, *one, flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
