"""`check` and `fix` on code that nobody wrote for them: they never crash, and what they write parses.

The sample of installed packages is small here; `python -m benchmarks.fuzz_site_packages` takes all of them.
"""

from __future__ import annotations

import ast
import random
import sysconfig
from pathlib import Path

import pytest
from fastapi_grammar import programs
from hypothesis import HealthCheck, given, settings

import autolock
from benchmarks.exposed import exposed

SEED = 20
FILES = 24
SITE_PACKAGES = Path(sysconfig.get_paths()["purelib"])


def check_and_fix(source: bytes) -> bytes:
    """The source as `fix` leaves it, after what must hold of every run was required."""
    checked = autolock.check(["-"], source=source, cache=False)
    fixed = autolock.fix(["-"], source=source, cache=False, unsafe=True)
    assert [finding.fingerprint for finding in checked.findings] == [finding.fingerprint for finding in fixed.findings]
    assert len({finding.fingerprint for finding in fixed.findings}) == len(fixed.findings)
    for change in autolock.combined(fixed):
        ast.parse(change.after)
        source = change.after
    return source


@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(programs())
def test_generated_programs(program: bytes) -> None:
    ast.parse(program)
    fixed = check_and_fix(program)
    again = autolock.fix(["-"], source=fixed, cache=False, unsafe=True)
    assert again.rewrites == ()


def sample() -> list[Path]:
    """The same files in every run as long as the same packages are installed, none of them large."""
    files = sorted(path for path in SITE_PACKAGES.rglob("*.py") if path.stat().st_size < 12_000)
    return random.Random(SEED).sample(files, min(FILES, len(files)))


@pytest.mark.parametrize("path", sample(), ids=lambda path: path.relative_to(SITE_PACKAGES).as_posix())
def test_installed_packages(path: Path) -> None:
    source = path.read_bytes()
    check_and_fix(source)
    check_and_fix(exposed(source))
