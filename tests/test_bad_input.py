"""Input that cannot be analysed: one clear line that names the file, the rest is done, and never a traceback."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import pytest
from cli_runner import Cli

import autolock

if TYPE_CHECKING:
    from pathlib import Path

RACY = """\
import asyncio

from fastapi import FastAPI

app = FastAPI()
hits = {"count": 0}


@app.post("/hits")
async def hit():
    count = hits["count"]
    await asyncio.sleep(0)
    hits["count"] = count + 1
"""


class Bad(NamedTuple):
    """A file beside a racy application, and words of the line that must be printed about it (none: it is fine)."""

    name: str
    source: bytes
    said: tuple[str, ...]


def parses(source: bytes) -> bool:
    try:
        ast.parse(source)
    except (SyntaxError, RecursionError, MemoryError):
        return False
    return True


SIGNS = b"x = " + b"-" * 5000 + b"1\n"

BAD = [
    Bad("broken.py", b"def f(:\n", ("broken.py", "line 1", "syntax")),
    Bad("binary.py", bytes(range(256)) * 8, ("binary.py", "not text")),
    Bad("latin.py", 'name = "caf\xe9"\n'.encode("latin-1"), ("latin.py", "line 1", "utf-8")),
    Bad("cookie.py", b"# -*- coding: klingon -*-\nx = 1\n", ("cookie.py", "klingon")),
    Bad("template.py", b"from {{ project.name }} import app\n{% if x %}\nx = 1\n{% endif %}\n", ("template.py",)),
    Bad("python2.py", b"print 'hello'\n", ("python2.py", "line 1")),
    Bad("merge.py", b"<<<<<<< HEAD\nx = 1\n=======\nx = 2\n>>>>>>> branch\n", ("merge.py", "line 1")),
    Bad("parentheses.py", b"x = " + b"(" * 5000 + b")" * 5000 + b"\n", ("parentheses.py", "nested")),
    Bad("lists.py", b"x = " + b"[" * 5000 + b"]" * 5000 + b"\n", ("lists.py", "nested")),
    # Some versions of Python parse this.
    Bad("signs.py", SIGNS, () if parses(SIGNS) else ("signs.py", "nested")),
    Bad("blocks.py", b"".join(b" " * n + b"if x:\n" for n in range(5000)), ("blocks.py",)),
    Bad("empty.py", b"", ()),
    Bad("blank.py", b"\n\n   \n\t\n", ()),
    Bad("bom.py", b"\xef\xbb\xbfx = 1\n", ()),
    Bad("form_feed.py", b"x = 1\n\x0cy = 2\n", ()),
    Bad("no_newline.py", b"x = 1", ()),
    Bad("carriage.py", b"x = 1\ry = 2\r", ()),
    Bad("five_megabytes.py", b"value = [1, 2, 3]\n" * (5 * 1024 * 1024 // 18), ()),
]


Run = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Gives a command in a folder, and requires of every run what holds for all of them."""

    def command(*arguments: str, cwd: Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        done = Cli(cwd, monkeypatch, capfdbinary)(*arguments, stdin=stdin)
        assert done.code in (0, 1, 2), done
        assert "Traceback" not in done.err + done.out
        return subprocess.CompletedProcess(arguments, done.code, os.fsencode(done.out), os.fsencode(done.err))

    return command


def run_apart(*arguments: str, cwd: Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """The same in a process of its own."""
    command = [sys.executable, "-m", "autolock", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, cwd=cwd, input=stdin, timeout=120)
    assert done.returncode in (0, 1, 2), done
    assert b"Traceback" not in done.stderr + done.stdout
    return done


def complaints(done: subprocess.CompletedProcess[bytes]) -> list[str]:
    return [line for line in done.stderr.decode().splitlines() if line.startswith("autolock: ")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(RACY, encoding="utf-8")
    return tmp_path


@pytest.fixture
def folder_with_all(folder: Path) -> Path:
    for bad in BAD:
        (folder / bad.name).write_bytes(bad.source)
    return folder


def test_bad_files_do_not_stop_the_others(folder_with_all: Path) -> None:
    done = run_apart("check", "--quiet", cwd=folder_with_all)
    assert done.returncode == 1
    assert done.stdout.count(b"AL101") == 1
    lines = complaints(done)
    for bad in BAD:
        about = [line for line in lines if bad.name in line]
        assert len(about) == (1 if bad.said else 0), about
        assert all(word in about[0] for word in bad.said)
    assert len(lines) == sum(bool(bad.said) for bad in BAD)


@pytest.mark.parametrize("bad", [bad for bad in BAD if bad.said], ids=lambda bad: bad.name)
def test_a_bad_file_alone_is_exit_code_2(
    bad: Bad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    cli = Cli(tmp_path, monkeypatch, capfdbinary)
    (tmp_path / bad.name).write_bytes(bad.source)
    for command in ("check", "fix"):
        done = cli(command, bad.name)
        assert (done.code, done.out) == (2, "")
        assert done.err.count("\nautolock: ") + done.err.startswith("autolock: ") == 1
        assert "Traceback" not in done.err
        assert (tmp_path / bad.name).read_bytes() == bad.source


def test_fix_leaves_bad_files_as_they_are(run: Run, folder_with_all: Path) -> None:
    run("fix", "--apply", cwd=folder_with_all)
    assert {bad.name for bad in BAD if (folder_with_all / bad.name).read_bytes() != bad.source} == set()
    fixed = (folder_with_all / "app.py").read_text(encoding="utf-8")
    assert "async with" in fixed
    ast.parse(fixed)


@pytest.mark.parametrize("bad", [bad for bad in BAD if len(bad.source) < 100_000], ids=lambda bad: bad.name)
def test_bad_input_on_stdin(run: Run, bad: Bad, tmp_path: Path) -> None:
    done = run("check", "-", cwd=tmp_path, stdin=bad.source)
    assert done.returncode == (2 if bad.said else 0)
    assert len(complaints(done)) == (1 if bad.said else 0)


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="this interpreter knows all there is")
def test_syntax_that_is_too_new_to_be_understood_is_named_with_its_version(run: Run, folder: Path) -> None:
    (folder / "newer.py").write_text('def greet():\n    greeting = t"hello {yield}"\n', encoding="utf-8")
    (line,) = complaints(run("check", cwd=folder))
    assert "newer.py" in line
    assert "3.14" in line


NEWER = """\
class Counter[T: int]:
    def __init__(self, start: T) -> None:
        self.label = f"{", ".join(["a", "b"])}"
"""


def test_a_file_in_newer_syntax_is_analysed_and_fixed_like_any_other(run: Run, folder: Path) -> None:
    app = folder / "app.py"
    app.write_text(f"{RACY}\n\n{NEWER}", encoding="utf-8")
    assert run("check", cwd=folder).stdout.count(b"AL101") == 1
    done = run("fix", "--apply", "--allow-dirty", cwd=folder)
    assert complaints(done) == []
    assert app.read_text(encoding="utf-8").endswith(NEWER)
    assert run("check", cwd=folder).returncode == 0


@pytest.mark.parametrize("command", ["check", "fix"])
@pytest.mark.parametrize("path", ["nowhere", "nowhere.py", "app.py/inside"])
def test_a_path_that_does_not_exist(run: Run, command: str, path: str, folder: Path) -> None:
    done = run(command, path, cwd=folder)
    assert (done.returncode, done.stdout) == (2, b"")
    (line,) = complaints(done)
    assert path in line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tool.autolock\n", "TOML"),
        ("[tool.autolock]\nselct = []\n", 'did you mean "select"'),
        ('[tool.autolock]\nselect = ["AL999"]\n', "AL999"),
        ("[tool]\nautolock = 3\n", "autolock"),
    ],
)
def test_a_broken_pyproject(run: Run, text: str, said: str, folder: Path) -> None:
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    for command in ("check", "fix"):
        done = run(command, cwd=folder)
        assert (done.returncode, done.stdout) == (2, b"")
        (line,) = complaints(done)
        assert "pyproject.toml" in line
        assert said in line


def test_modules_that_import_each_other(run: Run, folder: Path) -> None:
    (folder / "one.py").write_text("from two import *\nfrom two import b as a\nclass A(B): ...\n", encoding="utf-8")
    (folder / "two.py").write_text("from one import *\nfrom one import a as b\nclass B(A): ...\n", encoding="utf-8")
    (folder / "app.py").write_text(f"from one import a, A\nfrom app import app\n{RACY}", encoding="utf-8")
    done = run("check", "--quiet", cwd=folder)
    assert done.returncode == 1
    assert not complaints(done)


def test_symbolic_links_that_lead_in_circles(run: Run, folder: Path) -> None:
    package = folder / "package"
    package.mkdir()
    (package / "again").symlink_to(folder, target_is_directory=True)
    (package / "self.py").symlink_to(package / "self.py")
    (package / "gone.py").symlink_to(folder / "nowhere.py")
    done = run("check", "--quiet", cwd=folder)
    assert done.returncode == 1
    assert done.stdout.count(b"AL101") == 1


def test_a_folder_that_cannot_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "secret").mkdir()
    scandir: Callable[..., object] = os.scandir

    def refusing(path: str) -> object:
        if os.fspath(path).endswith("secret"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    report = autolock.check([folder], cache=False)
    assert [finding.rule for finding in report.findings] == ["AL101"]
    (problem,) = report.errors
    assert "secret" in str(problem)


def test_a_folder_without_python(run: Run, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("nothing here\n", encoding="utf-8")
    done = run("check", cwd=tmp_path)
    assert done.returncode in (0, 2)
    assert len(done.stderr.splitlines()) <= 1


def test_an_unreadable_cache_folder_is_done_without(run: Run, folder: Path) -> None:
    (folder / ".autolock_cache").write_text("a file where the folder should be\n", encoding="utf-8")
    done = run("check", "--quiet", cwd=folder)
    assert done.returncode == 1
    assert done.stdout.count(b"AL101") == 1
