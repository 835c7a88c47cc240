"""A run with what the runs before it have kept finds what a run without a cache finds, whatever was edited."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import autolock

FIXTURES = Path(__file__).parent.parent / "fixtures"
CHOSEN = (
    *("check-then-act", "check-then-insert", "created-twice", "different-locks", "file-lost-update", "lost-update"),
    *("select-then-update", "select-then-update-asyncpg", "shared-session", "split-transaction"),
)
ADDED = """

async def added_{number}(session):
    row = await session.get(Thing, {number})
    row.count = row.count + 1
    await session.commit()
"""


class Repo:
    """Several applications below one folder, and what a person may do to their files."""

    def __init__(self, root: Path, rng: random.Random) -> None:
        self.root = root
        self.rng = rng
        self.taken_back: list[tuple[Path, str]] = []

    def edit(self) -> str:
        """Do something to a file and say what."""
        files = sorted(self.root.rglob("*.py"))
        path = self.rng.choice([file for file in files if file.stat().st_size])
        change = self.rng.choice(EDITS)
        before = path.read_text(encoding="utf-8")
        change(self, path, before)
        self.taken_back.append((path, before))
        return f"{change.__name__} {path.relative_to(self.root)}"

    def add_function(self, path: Path, text: str) -> None:
        path.write_text(text + ADDED.format(number=self.rng.randrange(1000)), encoding="utf-8")

    def add_line_above(self, path: Path, text: str) -> None:
        path.write_text(f"# a line above\n{text}", encoding="utf-8")

    def drop_suspension(self, path: Path, text: str) -> None:
        path.write_text(re.sub(r"await asyncio\.sleep\(.*\)", "pass", text), encoding="utf-8")

    def drop_lock(self, path: Path, text: str) -> None:
        path.write_text(re.sub(r"with \w*lock\w*:", "if True:", text).replace("async if", "if"), encoding="utf-8")

    def drop_import(self, path: Path, text: str) -> None:
        imports = [line for line in text.splitlines(keepends=True) if line.startswith(("from ", "import "))]
        path.write_text(text.replace(self.rng.choice(imports), "", 1) if imports else "", encoding="utf-8")

    def rename(self, path: Path, text: str) -> None:
        names = sorted(set(re.findall(r"^(?:async )?def (\w+)|^(\w+) = ", text, re.MULTILINE)))
        name = next(filter(None, self.rng.choice(names)), "") if names else ""
        path.write_text(re.sub(rf"\b{name}\b", f"{name}_2", text) if name else text, encoding="utf-8")

    def break_syntax(self, path: Path, text: str) -> None:
        path.write_text(f"{text}\ndef broken(:\n", encoding="utf-8")

    def delete(self, path: Path, text: str) -> None:
        path.unlink()

    def copy_beside(self, path: Path, text: str) -> None:
        path.with_name(f"copy_{self.rng.randrange(1000)}.py").write_text(text, encoding="utf-8")

    def name_database(self, path: Path, text: str) -> None:
        url = self.rng.choice(("postgresql://h/d", "sqlite:///x.db", "mysql://h/d"))
        (path.parent / "settings.py").write_text(f'DATABASE_URL = "{url}"\n', encoding="utf-8")

    def change_shared_state_from_outside(self, path: Path, text: str) -> None:
        names = re.findall(r"^(\w+)(?:: .*)? = ", text, re.MULTILINE)
        lines = [f"def spoil_{name}():\n    global {name}\n    {name} = {{}}\n" for name in names]
        (self.root / "outside.py").write_text("\n\n".join(lines), encoding="utf-8")

    def take_back(self, path: Path, text: str) -> None:
        if self.taken_back:
            earlier, before = self.rng.choice(self.taken_back)
            earlier.write_text(before, encoding="utf-8")


EDITS: tuple[Callable[[Repo, Path, str], None], ...] = tuple(
    value for name, value in vars(Repo).items() if not name.startswith("_") and name != "edit"
)


@pytest.mark.parametrize("seed", [0, 3, 9])
def test_kept_outcomes_are_those_of_a_run_without_a_cache(tmp_path: Path, seed: int) -> None:
    for name in CHOSEN:
        shutil.copytree(FIXTURES / name / "before", tmp_path, dirs_exist_ok=True)
    repo = Repo(tmp_path, random.Random(seed))
    done: list[str] = []
    for _ in range(8):
        kept = autolock.check([tmp_path], verbose=True)
        fresh = autolock.check([tmp_path], verbose=True, cache=False)
        assert kept.findings == fresh.findings, done
        assert kept.errors == fresh.errors, done
        assert kept.notes == fresh.notes, done
        assert kept.statistics.routes == fresh.statistics.routes, done
        done.append(repo.edit())
