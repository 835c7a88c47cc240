"""Findings do not depend on how they are come by: with a cache or without, in one process or several, after edits."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fastapi_grammar import programs
from hypothesis import HealthCheck, given, settings

import autolock

if TYPE_CHECKING:
    from autolock.findings import Report

PACKAGES = ("first", "second", "third")


def _write(root: Path, package: str, program: bytes) -> None:
    folder = root / package
    folder.mkdir(exist_ok=True)
    (folder / "__init__.py").write_bytes(b"")
    (folder / "main.py").write_bytes(program)


def _same(report: Report, other: Report) -> None:
    assert report.findings == other.findings
    assert report.statistics.routes == other.statistics.routes


@settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(programs(), programs(), programs(), programs())
def test_a_run_finds_what_any_other_finds(one: bytes, two: bytes, three: bytes, later: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        for module in ("autolock.outcomes", "autolock.program.load"):
            patch.setattr(f"{module}._WORTH_A_POOL", 0)
        root = Path(folder)
        for package, program in zip(PACKAGES, (one, two, three), strict=True):
            _write(root, package, program)
        alone = autolock.check([root], jobs=1, cache=False)
        _same(autolock.check([root], jobs=2, cache=False), alone)
        _same(autolock.check([root], jobs=2), alone)
        _same(autolock.check([root], jobs=1), alone)
        _write(root, "second", later)
        after = autolock.check([root], jobs=1)
        _same(after, autolock.check([root], jobs=2, cache=False))
        _write(root, "second", two)
        _same(autolock.check([root], jobs=2), alone)
