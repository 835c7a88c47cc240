"""A race in memory is found however it is written, and none is where a lock is held."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from memory_forms import Forms, application, at_random, one_at_a_time

import autolock

if TYPE_CHECKING:
    from pathlib import Path


def races(folder: Path, forms: Forms, *, locked: bool = False) -> list[str]:
    """The rules of the races that are found in an application."""
    (folder / "main.py").write_text(application(forms, locked=locked))
    report = autolock.check([folder], cache=False)
    return [f.rule for f in report.findings if f.certainty.value == "race"]


@pytest.mark.parametrize("forms", [*one_at_a_time(), *at_random(80, seed=1)], ids=str)
def test_what_is_used_up_after_a_wait_is_found(forms: Forms, tmp_path: Path) -> None:
    assert set(races(tmp_path, forms)) & {"AL101", "AL102"}


@pytest.mark.parametrize("forms", [*one_at_a_time(), *at_random(40, seed=2)], ids=str)
def test_what_a_lock_is_held_for_is_no_race(forms: Forms, tmp_path: Path) -> None:
    assert races(tmp_path, forms, locked=True) == []
