"""The prover and brute force say the same of random applications."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from proved_random_applications import compared

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("seed", range(8))
def test_the_prover_witnesses_what_brute_force_reaches_and_no_order_gives(seed: int, tmp_path: Path) -> None:
    for one in compared(seed, tmp_path):
        assert one.agree, one
