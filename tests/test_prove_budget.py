"""How much time a proof may take, as a person writes it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


def prove(folder: Path, budget: str) -> subprocess.CompletedProcess[str]:
    """`prove` on a folder in which there is nothing to prove."""
    return subprocess.run(
        [sys.executable, "-m", "autolock", "prove", "--budget", budget, str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("budget", ["60", "60s", "1.5m", "0.5"])
def test_a_time_with_its_unit_or_in_seconds(tmp_path: Path, budget: str) -> None:
    assert prove(tmp_path, budget).returncode == 0


@pytest.mark.parametrize("budget", ["0", "soon", "60 days", "-1s"])
def test_what_is_no_time_is_named(tmp_path: Path, budget: str) -> None:
    done = prove(tmp_path, budget)
    assert done.returncode == 2
    assert f"'{budget}' is no time: write 60, 60s or 2m" in done.stderr
