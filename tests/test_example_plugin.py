"""The package of docs/example, installed beside autolock: its rule is asked, its codemod edits."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DOCS = Path(__file__).resolve().parent.parent / "docs"
EXAMPLE = DOCS / "example"

APPLICATION = """\
from fastapi import FastAPI

app = FastAPI()
factors: dict[int, tuple[int, ...]] = {}


def factorise(number: int) -> tuple[int, ...]:
    return tuple(n for n in range(2, number) if number % n == 0)


@app.get("/factors/{number}")
def read_factors(number: int):
    if number not in factors:
        factors[number] = factorise(number)
    return factors[number]
"""

EDIT = """\
from autolock.edits import Edit
from autolock.rewriting import apply_edits

before = b"def f():\\n    if x:  # why\\n        y = 1\\n"
print(apply_edits(before, [Edit("m.py", "leave-note", {"at": "body[0].body[0].body[0]", "note": "ask Ann"})]).decode())
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `pip install --target` would leave it: the package, and metadata with its entry points."""
    folder = tmp_path_factory.mktemp("site")
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    shutil.copytree(EXAMPLE / "autolock_acme", folder / "autolock_acme")
    metadata = folder / "autolock_acme-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n", encoding="utf-8")
    lines = [
        line
        for group, points in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in points.items()))
    ]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def run(installed: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, [str(installed), str(DOCS.parent), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path},
        timeout=60,
    )


def test_its_rule_is_asked(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APPLICATION, encoding="utf-8")
    done = run(installed, "-m", "autolock", "check", "--format", "json", cwd=tmp_path)
    findings = json.loads(done.stdout)["findings"]
    assert [(finding["rule"], finding["function"]) for finding in findings] == [("ACME1", "read_factors")], done.stderr
    chosen = run(installed, "-m", "autolock", "check", "--quiet", "--select", "computed-twice", cwd=tmp_path)
    assert chosen.stdout.startswith("app.py:13:")
    assert "ACME1" in run(installed, "-m", "autolock", "rules", cwd=tmp_path).stdout
    assert "Worker threads" in run(installed, "-m", "autolock", "explain", "ACME1", cwd=tmp_path).stdout


def test_its_finding_is_fixed_like_any_other(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APPLICATION, encoding="utf-8")
    done = run(installed, "-m", "autolock", "fix", "--apply", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "with factors_lock:" in (tmp_path / "app.py").read_text(encoding="utf-8")


def test_its_codemod_edits(installed: Path, tmp_path: Path) -> None:
    done = run(installed, "-c", EDIT, cwd=tmp_path)
    assert done.stdout.startswith("def f():\n    if x:  # why\n        # ask Ann\n        y = 1\n"), done.stderr


@pytest.mark.parametrize(
    ("page", "file"),
    [
        ("adding-a-rule.md", "pyproject.toml"),
        ("adding-a-rule.md", "autolock_acme/computed_twice.py"),
        ("adding-a-codemod.md", "autolock_acme/leave_note.py"),
    ],
)
def test_the_pages_show_the_code_that_is_tested(page: str, file: str) -> None:
    assert (EXAMPLE / file).read_text(encoding="utf-8") in (DOCS / page).read_text(encoding="utf-8")
