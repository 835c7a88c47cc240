"""Loading: what the cache saves and when it must not be believed, overlays, processes, files that cannot be read."""

from __future__ import annotations

import os
import pickle
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from autolock.program import cache, load
from autolock.program.index import parsed_and_indexed
from autolock.source import read_bytes

if TYPE_CHECKING:
    from autolock.findings import Problem
    from autolock.program.load import Loaded

CACHE_LENGTHS = struct.Struct("<QI")


class Repo:
    """A folder of files that were written long ago, and its cache."""

    def __init__(self, root: Path) -> None:
        self.root = root / "repo"
        self.root.mkdir()
        self.cache = root / "cache"
        self.cache.mkdir()

    def write(self, path: str, text: str, age: int = 3600) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        os.utime(file, ns=(0, file.stat().st_mtime_ns - age * 10**9))

    def load(self, **options: object) -> Loaded:
        files = sorted(file.relative_to(self.root).as_posix() for file in self.root.rglob("*.py"))
        return load.load(self.root, files, **{"cache_dir": self.cache, **options})  # type: ignore[arg-type]

    @property
    def cached(self) -> Path:
        return self.cache / "facts"


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repo:
    # Files of a test are all younger than the tick of the clock; what that guards against has a test of its own.
    monkeypatch.setattr(cache, "_CLOCK_TICK_NS", -(10**12))
    repo = Repo(tmp_path)
    repo.write("app/__init__.py", "")
    repo.write("app/main.py", "from app.store import stock\n\n\ndef first(): ...\n\n\ndef second(): ...\n")
    repo.write("app/store.py", "stock = {}\n")
    return repo


def names(loaded: Loaded) -> list[str]:
    return [name for facts in loaded.program.modules.values() for name in facts.functions]


def test_counts(repo: Repo) -> None:
    assert repo.load().counts == load.Counts(files=3, lines=11, functions=2, parsed=3, cached=0)


def test_unchanged_files_are_not_even_read(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.load()
    monkeypatch.setattr(load, "read_bytes", lambda *_: pytest.fail("read a file that did not change"))
    loaded = repo.load()
    assert loaded.counts == load.Counts(files=3, lines=11, functions=2, parsed=0, cached=3)
    assert names(loaded) == ["first", "second"]


def test_a_changed_file_is_read_again(repo: Repo) -> None:
    repo.load()
    repo.write("app/main.py", "def third(): ...\n")
    loaded = repo.load()
    assert (loaded.counts.parsed, loaded.counts.cached) == (1, 2)
    assert names(loaded) == ["third"]
    assert repo.load().counts.parsed == 0


def test_a_file_that_was_only_touched_is_not_parsed(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.load()
    os.utime(repo.root / "app/main.py")
    monkeypatch.setattr(load, "index", lambda *_: pytest.fail("parsed a file whose content is the same"))
    assert repo.load().counts.cached == 3


def test_content_that_changes_while_time_and_size_stay(repo: Repo) -> None:
    repo.load()
    file = repo.root / "app/main.py"
    status = file.stat()
    file.write_text(file.read_text().replace("first", "other"))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert names(repo.load()) == ["other", "second"]


def test_a_file_as_young_as_the_run_is_read_again(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_CLOCK_TICK_NS", 2 * 10**9)
    repo.load()
    read: list[str] = []

    def noting(path: Path, name: str) -> bytes | Problem:
        read.append(name)
        return read_bytes(path, name)

    monkeypatch.setattr(load, "read_bytes", noting)
    assert repo.load().counts.cached == 3
    assert len(read) == 3


def test_deleted_files_leave_the_cache(repo: Repo) -> None:
    repo.load()
    size = repo.cached.stat().st_size
    (repo.root / "app/main.py").unlink()
    repo.write("app/new.py", "")
    assert list(repo.load().program.modules) == ["app/__init__.py", "app/new.py", "app/store.py"]
    assert b"app/main.py" not in repo.cached.read_bytes()
    assert repo.cached.stat().st_size < size


def test_files_of_another_run_stay(repo: Repo) -> None:
    repo.load()
    load.load(repo.root, ["app/store.py"], cache_dir=repo.cache)
    repo.write("app/new.py", "")
    load.load(repo.root, ["app/new.py"], cache_dir=repo.cache)
    assert repo.load().counts.parsed == 0


def test_the_cache_serves_runs_from_other_folders(repo: Repo) -> None:
    repo.load(cache_root=repo.root)
    inner = load.load(repo.root / "app", ["main.py"], cache_dir=repo.cache, cache_root=repo.root)
    assert inner.counts.cached == 1
    assert inner.program.modules["main.py"].path == "main.py"


@pytest.mark.parametrize("keep", [0, 10, 60, 200, -1])
def test_a_cut_cache_is_empty(repo: Repo, keep: int) -> None:
    repo.load()
    repo.cached.write_bytes(repo.cached.read_bytes()[:keep])
    assert repo.load().counts.parsed == 3
    assert repo.load().counts.parsed == 0


def test_a_damaged_cache_is_empty(repo: Repo) -> None:
    repo.load()
    sound = repo.cached.read_bytes()
    for position in range(0, len(sound), 7):
        damaged = bytearray(sound)
        damaged[position] ^= 0xFF
        repo.cached.write_bytes(damaged)
        assert names(repo.load()) == ["first", "second"]


def test_a_cache_of_another_version_is_empty(repo: Repo) -> None:
    repo.load()
    repo.cached.write_bytes(repo.cached.read_bytes().replace(b"autolock facts", b"autolock fakes", 1))
    assert repo.load().counts.parsed == 3


def test_a_cache_of_other_code_is_empty(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.load()
    monkeypatch.setattr(cache, "_code_digest", lambda: "0")
    assert repo.load().counts.parsed == 3


class Malicious:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.target,)


def test_a_cache_from_a_strange_repository_runs_no_code(repo: Repo, tmp_path: Path) -> None:
    repo.load()
    header = repo.cached.read_bytes().split(b"\n")[0] + b"\n"
    touched = tmp_path / "touched"
    stamp = load._stamp(str(repo.root / "app/main.py"))
    blob = pickle.dumps(Malicious(touched))
    table = pickle.dumps({"app/main.py": (stamp, b"", 1, 1, False, "", "", 0, len(blob))})
    for body, length in ((blob, len(blob)), (table + blob, len(table))):
        repo.cached.write_bytes(header + CACHE_LENGTHS.pack(length, zlib.crc32(body)) + body)
        assert names(repo.load()) == ["first", "second"]
        assert not touched.exists()


def test_a_cache_folder_that_cannot_be_written(repo: Repo) -> None:
    assert repo.load(cache_dir=repo.cache / "missing").counts.parsed == 3


def test_without_a_cache(repo: Repo) -> None:
    repo.load(cache_dir=None)
    assert list(repo.cache.iterdir()) == []


def test_nothing_is_left_beside_the_cache(repo: Repo) -> None:
    repo.load()
    assert [file.name for file in repo.cache.iterdir()] == ["facts"]


def test_processes_find_what_one_process_finds(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(40):
        repo.write(f"app/m{number}.py", f"def f{number}(): ...\n")
    repo.write("app/broken.py", "def (\n")
    alone = repo.load(cache_dir=None, jobs=1)
    monkeypatch.setattr(load, "_WORTH_A_POOL", 0)
    done: list[int] = []
    together = repo.load(cache_dir=None, jobs=3, progress=lambda now, total: done.append(now))
    assert dict(together.program.modules) == dict(alone.program.modules)
    assert together.problems == alone.problems
    assert together.counts == alone.counts
    assert done == sorted(done)
    assert done[-1] == 44


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the crash is put into forked processes")
def test_a_file_that_crashes_the_parser_is_the_only_one_lost(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(path: str, source: bytes | str) -> object:
        if path == "app/store.py":
            os._exit(139)
        return parsed_and_indexed(path, source)

    monkeypatch.setattr(load, "_WORTH_A_POOL", 0)
    monkeypatch.setattr(load, "parsed_and_indexed", crash)
    loaded = repo.load(jobs=2)
    assert [str(problem) for problem in loaded.problems] == [
        "app/store.py: Python's parser crashes on it; add it to extend-exclude"
    ]
    assert names(loaded) == ["first", "second"]


def test_files_that_cannot_be_used_are_problems(repo: Repo) -> None:
    repo.write("bad/syntax.py", "x = (\n")
    (repo.root / "bad/nul.py").write_bytes(b"x = 1\0")
    (repo.root / "bad/latin.py").write_bytes(b"x = 'caf\xe9'\n")
    loaded = load.load(repo.root, ["app/main.py", "bad/gone.py", "bad/latin.py", "bad/nul.py", "bad/syntax.py"])
    assert [problem.path for problem in loaded.problems] == [
        "bad/gone.py",
        "bad/latin.py",
        "bad/nul.py",
        "bad/syntax.py",
    ]
    assert all(problem.hint for problem in loaded.problems[1:])
    assert loaded.counts.files == 1


def test_problems_are_told_again_from_the_cache(repo: Repo) -> None:
    repo.write("bad.py", "x = (\n")
    first = repo.load()
    again = repo.load()
    assert again.counts.parsed == 0
    assert again.problems == first.problems != ()


def test_an_overlay_takes_the_place_of_files_and_is_not_cached(repo: Repo) -> None:
    overlay = {"app/main.py": b"def unsaved(): ...\n"}
    loaded = repo.load(overlay=overlay)
    assert names(loaded) == ["unsaved"]
    assert loaded.read("app/main.py") == overlay["app/main.py"]
    assert names(repo.load()) == ["first", "second"]


def test_a_program_with_changes_leaves_the_other_one_alone(repo: Repo) -> None:
    loaded = repo.load()
    kept = loaded.program.unit("app/store.py")
    changed = loaded.with_changes({"app/main.py": b""})
    assert changed.modules["app/main.py"].functions == {}
    assert changed.unit("app/store.py") is kept
    unit = changed.unit("app/main.py")
    assert unit is not None
    assert unit.text == ""
    assert names(loaded) == ["first", "second"]


def test_marked_files_may_hold_suppressions(repo: Repo) -> None:
    repo.write("app/quiet.py", "x = 1  # autolock: ignore\n")
    assert repo.load().marked == ("app/quiet.py",)
    assert repo.load().marked == ("app/quiet.py",)


def test_a_path_that_is_not_in_the_program(repo: Repo) -> None:
    modules = repo.load().program.modules
    assert "app/none.py" not in modules
    assert modules.get("app/none.py") is None
