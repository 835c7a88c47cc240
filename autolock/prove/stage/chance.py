"""Random values that are the same in every run: each request draws its own, whichever order the schedule takes, and
others than those which were sent before the run.
"""

from __future__ import annotations

import hashlib
import os
import random

from .lanes import LANE


def tame_chance() -> None:
    """Make `os.urandom` (so uuid4, secrets and tokens too) draw from the lane that asks. Other code draws as before."""
    urandom = os.urandom

    def urandom_of_lane(size: int, /) -> bytes:
        lane = LANE.get()
        if lane is None:
            return urandom(size)
        lane.draws += 1
        return hashlib.shake_256(f"{lane.client} {lane.draws}".encode()).digest(size)

    os.urandom = urandom_of_lane
    random._urandom = urandom_of_lane  # type: ignore[attr-defined]


def start_again(kept: int) -> None:
    """Put the shared generator of `random` at its start for runs that come after as many kept requests."""
    random.seed(kept)
