"""Which files a run takes, and how it reads them."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
from importlib.util import decode_source
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autolock import source
from autolock.errors import AutolockError
from autolock.findings import Problem
from autolock.source import ExcludeSpec, Source, decode, discover, read_source

if TYPE_CHECKING:
    from collections.abc import Iterator

EVERYTHING = ExcludeSpec(())


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, and the working directory."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def make(*names: str, text: str = "x = 1\n") -> None:
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def found(*paths: str, exclude: ExcludeSpec | None = None) -> list[str]:
    discovery = discover([Path(path) for path in paths or (".",)], exclude)
    assert discovery.problems == ()
    return list(discovery.files)


# --- which files ------------------------------------------------------------------------------


def test_python_files_are_found_at_any_depth_in_order() -> None:
    make("b.py", "a/z.py", "a/b/c.py", "a-b.py", "README.md", "a/stub.pyi", "a/script")

    assert found() == ["a-b.py", "a/b/c.py", "a/z.py", "b.py"]


def test_what_is_not_the_application_is_left_out() -> None:
    make(
        "app/main.py",
        "app/testing.py",
        "app/latest_test_run.py",
        "app/contest.py",
        "app/builder/x.py",
        "app/versions/x.py",
        "tests/helpers.py",
        "app/tests/x.py",
        "app/test_main.py",
        "app/main_test.py",
        "conftest.py",
        "races/race_support.py",
        "app/migrations/0001.py",
        "db/alembic/versions/a1.py",
        "alembic/versions/a1.py",
        ".venv/x.py",
        "venv/x.py",
        "env/x.py",
        "web/node_modules/gyp/x.py",
        "lib/site-packages/x.py",
        "app/__pycache__/x.py",
        "build/lib/x.py",
        "dist/x.py",
        ".git/hooks/x.py",
        ".tox/x.py",
        ".autolock_cache/x.py",
        ".hidden/x.py",
    )

    assert found() == [
        "app/builder/x.py",
        "app/contest.py",
        "app/latest_test_run.py",
        "app/main.py",
        "app/testing.py",
        "app/versions/x.py",
    ]


def test_a_virtual_environment_is_known_by_its_marker_whatever_it_is_called() -> None:
    make("python311/pyvenv.cfg", "python311/lib/x.py", "app.py")

    assert found(exclude=EVERYTHING) == ["app.py"]
    assert found("python311") == ["python311/lib/x.py"]


def test_a_folder_above_the_project_may_be_called_anything(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make("tests/build/shop/app.py", "tests/build/shop/tests/x.py")
    monkeypatch.chdir("tests/build/shop")

    assert found() == ["app.py"]


def test_exclude_takes_names_globs_and_paths() -> None:
    make("a.py", "old/x.py", "app/old/x.py", "app/gen_1.py", "app/gen/x.py", "gen/x.py", "app/x/deep/gen.py", "old.py")

    assert found(exclude=ExcludeSpec(("old/", "gen_*.py", "app/gen", "/app/**/deep/"))) == [
        "a.py",
        "gen/x.py",
        "old.py",
    ]


def test_paths_in_exclude_are_relative_to_the_configuration(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make("service/app/gen/x.py", "service/app/main.py")
    exclude = ExcludeSpec(("app/gen/",), base=project / "service")

    assert found(exclude=exclude) == ["service/app/main.py"]
    monkeypatch.chdir("service/app")
    assert found(exclude=exclude) == ["main.py"]


def test_what_the_user_names_is_taken_even_if_excluded() -> None:
    make("tests/test_a.py", "tests/helpers.py", "tests/tests/x.py", ".gitignore", "app.py")
    Path(".gitignore").write_text("tests/\napp.py\n")

    assert found("tests/test_a.py") == ["tests/test_a.py"]
    assert found("tests") == ["tests/helpers.py"]
    assert found("app.py", ".") == ["app.py"]


def test_a_file_named_twice_is_listed_once() -> None:
    make("app/a.py", "app/b.py")

    assert found("app/a.py", "app", ".", "app/../app/a.py") == ["app/a.py", "app/b.py"]


# --- the root ---------------------------------------------------------------------------------


def test_names_are_relative_to_the_working_directory_when_it_holds_everything(project: Path) -> None:
    make("app/a.py", "lib/b.py")

    discovery = discover([project / "app", Path("lib/b.py")])

    assert discovery.root == project
    assert discovery.files == ("app/a.py", "lib/b.py")


def test_names_are_relative_to_what_was_named_elsewhere(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make("one/app/a.py", "one/lib/b.py", "here/c.py")
    monkeypatch.chdir("here")

    assert discover([project / "one/app"]) == source.Discovery(project / "one/app", ("a.py",))
    assert discover([project / "one/app/a.py"]) == source.Discovery(project / "one/app", ("a.py",))
    assert discover([project / "one/app", project / "one/lib"]) == source.Discovery(
        project / "one", ("app/a.py", "lib/b.py")
    )
    assert discover([Path("."), project / "one"]).files == ("here/c.py", "one/app/a.py", "one/lib/b.py")


# --- .gitignore -------------------------------------------------------------------------------


def test_gitignore_files_hold_below_their_folder_and_the_nearest_wins() -> None:
    make("a.py", "local.py", "app/local.py", "app/keep/local.py", "app/gen/x.py", "gen/x.py")
    Path(".gitignore").write_text("local.py\n")
    Path("app/.gitignore").write_text("/gen/\n")
    Path("app/keep/.gitignore").write_text("!local.py\n")

    assert found() == ["a.py", "app/keep/local.py", "gen/x.py"]


def test_gitignore_files_above_hold_up_to_the_work_tree(project: Path) -> None:
    make("repo/app/a.py", "repo/app/local.py", "repo/app/outer.py")
    Path(".gitignore").write_text("outer.py\n")
    Path("repo/.git").mkdir()
    Path("repo/.gitignore").write_text("local.py\n")

    assert found("repo/app") == ["repo/app/a.py", "repo/app/outer.py"]


def test_a_gitignore_with_lines_that_mean_nothing_is_read_for_the_others() -> None:
    make("a.py", "local.py")
    Path(".gitignore").write_bytes(b"\xef\xbb\xbf!\r\n\\\n# caf\xe9\n\nlocal.py\r\n")

    assert found() == ["a.py"]


IGNORE_LINES = st.sampled_from(
    [
        "a",
        "a/",
        "/a",
        "*.py",
        "x.py",
        "!x.py",
        "!a",
        "!a/",
        "a/*",
        "!a/b/",
        "!a/b",
        "**/b",
        "a/**",
        "**/b/x.py",
        "/*",
        "*",
        "!*/",
        "b/*.py",
        "[xy].py",
        "!*.py",
        "?.py",
        "*py",
        "# a",
        "x.py ",
        "\\x.py",
        "*.log",
    ]
)

# pathspec carries a folder that is taken back (`!a/`) over to all that is in it, which git does not do
# where an outer .gitignore names a file in there.
NESTED_LINES = IGNORE_LINES.filter(lambda line: not line.startswith("!") or line.endswith(".py"))


@pytest.mark.skipif(shutil.which("git") is None, reason="compares with git, which is not installed")
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(IGNORE_LINES, max_size=5), st.lists(NESTED_LINES, max_size=3), st.lists(NESTED_LINES, max_size=2))
def test_a_gitignore_means_what_git_takes_it_to_mean(
    project: Path, root: list[str], inner: list[str], deep: list[str]
) -> None:
    if not Path(".git").exists():
        subprocess.run(["git", "init", "-q"], check=True)
        make(*(f"{folder}{name}.py" for folder in ("", "a/", "a/b/", "b/", "c/a/") for name in "xyz"))
    for folder, lines in (("", root), ("a/", inner), ("a/b/", deep)):
        Path(f"{folder}.gitignore").write_text("\n".join(lines))

    listed = subprocess.run(
        ["git", "-c", "core.excludesFile=", "ls-files", "--others", "--exclude-standard", "*.py"],
        check=True,
        capture_output=True,
        text=True,
    )

    assert found(exclude=EVERYTHING) == sorted(listed.stdout.split())


# --- links ------------------------------------------------------------------------------------


def test_links_in_a_circle_end() -> None:
    make("app/a.py")
    Path("app/self").symlink_to(".")
    Path("app/up").symlink_to("..")
    Path("app/loop").symlink_to("loop")
    Path("app/loop.py").symlink_to("loop.py")

    assert found() == ["app/a.py"]


def test_a_link_inside_the_root_lists_a_file_once_under_its_real_name() -> None:
    make("zoo/a.py")
    Path("app").symlink_to("zoo")
    Path("b.py").symlink_to("zoo/a.py")

    assert found() == ["zoo/a.py"]


def test_a_link_out_of_the_root_is_not_followed(tmp_path: Path) -> None:
    make("a.py", "../outside/secret.py")
    Path("folder").symlink_to(tmp_path / "outside")
    Path("file.py").symlink_to(tmp_path / "outside/secret.py")
    Path("missing.py").symlink_to("nowhere.py")

    assert found() == ["a.py"]


def test_a_link_to_what_lies_beside_the_named_folder_is_followed() -> None:
    make("app/a.py", "common/b.py", "util.py")
    Path("app/shared").symlink_to("../common")
    Path("app/util.py").symlink_to("../util.py")

    assert found("app") == ["app/a.py", "app/shared/b.py", "app/util.py"]


def test_a_link_is_no_way_round_an_exclusion() -> None:
    make("a.py", "build/gen/x.py", "ignored/y.py", "tests/z.py")
    Path(".gitignore").write_text("ignored/\n")
    Path("gen").symlink_to("build/gen")
    Path("y.py").symlink_to("ignored/y.py")
    Path("z").symlink_to("tests")

    assert found() == ["a.py"]


# --- what cannot be walked --------------------------------------------------------------------


def test_a_path_that_is_missing_or_not_python_is_a_problem_and_the_rest_is_done() -> None:
    make("a.py", "notes.txt")
    os.mkfifo("pipe.py")

    discovery = discover([Path("nowhere"), Path("notes.txt"), Path("pipe.py"), Path("a.py")])

    assert discovery.files == ("a.py",)
    assert [str(problem) for problem in discovery.problems] == [
        "nowhere: does not exist; check the spelling of the path",
        "notes.txt: not a Python file; name a .py file or a folder",
        "pipe.py: not a Python file; name a .py file or a folder",
    ]


def test_only_files_are_taken_from_a_folder() -> None:
    make("folder.py/a.py", "b.py")
    os.mkfifo("pipe.py")

    assert found() == ["b.py", "folder.py/a.py"]


def test_a_folder_without_read_permission_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    make("a.py", "secret/b.py")
    scandir = os.scandir

    def refuse_secret(path: str) -> Iterator[os.DirEntry[str]]:
        if path.endswith("secret"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse_secret)  # root, who runs tests in containers, may read everything
    discovery = discover([Path(".")])

    assert discovery.files == ("a.py",)
    assert [str(problem) for problem in discovery.problems] == [
        "secret: the folder cannot be read: permission denied; give read permission or add it to extend-exclude"
    ]


def test_a_gitignore_that_is_a_folder_or_a_link_is_not_read_just_as_git_does_not() -> None:
    make("app/a.py", "app/inner/b.py")
    Path("app/.gitignore").mkdir()
    Path("ignore").write_text("*.py\n")
    Path(".gitignore").symlink_to("ignore")

    assert found() == ["app/a.py", "app/inner/b.py"]
    assert found("app/inner") == ["app/inner/b.py"]


def test_a_gitignore_that_cannot_be_read_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", path)

    make("app/a.py", "app/.gitignore")
    monkeypatch.setattr("builtins.open", refuse)
    discovery = discover([Path(".")])

    assert discovery.files == ("app/a.py",)
    assert [str(problem) for problem in discovery.problems] == [
        "app/.gitignore: cannot be read: permission denied; nothing is ignored by it"
    ]


def test_a_file_name_that_is_not_text_is_a_problem_that_can_be_printed() -> None:
    make("a.py")
    with open(b"caf\xe9.py", "wb"):
        pass

    discovery = discover([Path(".")])

    assert discovery.files == ("a.py",)
    assert [str(problem) for problem in discovery.problems] == [
        "caf\\udce9.py: the file's name is not UTF-8; rename it"
    ]


def test_a_working_directory_that_was_removed_is_one_clear_line(project: Path) -> None:
    project.rmdir()

    with pytest.raises(AutolockError, match="the working directory does not exist any more"):
        discover([Path(".")])


# --- reading ----------------------------------------------------------------------------------


def read(raw: bytes) -> Source:
    result = decode(raw, "app.py")
    assert isinstance(result, Source), result
    return result


def trouble(raw: bytes) -> str:
    result = decode(raw, "app.py")
    assert isinstance(result, Problem), result
    assert "\n" not in str(result)
    return str(result)


def test_a_file_is_read_with_its_bytes_and_its_name() -> None:
    Path("a.py").write_bytes("x = 'é'\r\n".encode())

    result = read_source(Path("a.py"), "app/a.py")

    assert isinstance(result, Source)
    assert result.name == "app/a.py"
    assert result.raw == b"x = '\xc3\xa9'\r\n"
    assert result.text == "x = 'é'\r\n"
    assert len(result.digest) == 16


@pytest.mark.parametrize(
    "raw",
    [
        b"# -*- coding: latin-1 -*-\nx = '\xe9'\n",
        b"#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\nx = '\xe9'\n",
        b"#!/usr/bin/python\r# coding: latin-1\rx = '\xe9'\r",
        b"\x0c\n# coding=iso-8859-15\nx = '\xe9'\n",
        b"# coding: utf-8\nx = '\xc3\xa9'\n",
        b"\xef\xbb\xbf# coding: utf-8\nx = '\xc3\xa9'\n",
        b"\xef\xbb\xbfx = '\xc3\xa9'\n",
        b"x = 1\n\n# coding: latin-1\ny = '\xc3\xa9'\n",
        b"x = 1\n# coding: latin-1\ny = '\xc3\xa9'\n",
        b"# coding: shift_jis\nx = '\x82\xa0'\n",
        b"",
    ],
)
def test_a_file_means_what_python_takes_it_to_mean(raw: bytes) -> None:
    result = read(raw)

    assert ast.dump(ast.parse(result.text)) == ast.dump(ast.parse(raw))
    assert result.encode(result.text) == raw
    assert not result.text.startswith("\ufeff")
    assert result.bom == raw.startswith(b"\xef\xbb\xbf")


ENCODINGS = ["utf-8", "latin-1", "cp1252", "koi8-r", "shift_jis", "gb18030", "euc-jp"]


@given(st.text(), st.sampled_from(ENCODINGS), st.booleans(), st.sampled_from(["\n", "\r\n", "\r"]))
def test_no_byte_is_lost(body: str, encoding: str, bom: bool, newline: str) -> None:
    # Only what the encoding writes in one way: some have several codes for one character.
    body = body.encode(encoding, "ignore").decode(encoding).replace("\0", "")
    text = f"# coding: {encoding}{newline}{body}"
    raw = (b"\xef\xbb\xbf" if bom and encoding == "utf-8" else b"") + text.encode(encoding)

    result = read(raw)

    assert result.text == text
    assert result.encode(result.text) == raw


@given(st.binary())
def test_any_bytes_are_text_that_python_reads_alike_or_a_problem(raw: bytes) -> None:
    raw = raw.replace(b"\0", b"")
    result = decode(raw, "app.py")

    if isinstance(result, Source):
        assert result.encode(result.text) == raw
    else:
        with pytest.raises((SyntaxError, ValueError)):
            decode_source(raw)


def test_the_digest_tells_files_apart_and_nothing_else() -> None:
    assert read(b"x = 1\n").digest == read(b"x = 1\n").digest
    assert read(b"x = 1\n").digest != read(b"x = 1\r\n").digest


@pytest.mark.parametrize(
    ("text", "newline"),
    [("", "\n"), ("x", "\n"), ("a\nb\n", "\n"), ("a\r\nb\r\n", "\r\n"), ("a\rb\r", "\r"), ("a\r\nb\nc\r\n", "\r\n")],
)
def test_the_line_end_is_the_one_that_most_lines_have(text: str, newline: str) -> None:
    assert read(text.encode()).newline == newline


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"x = '\0'", "app.py: not text: it holds NUL bytes; save it as UTF-8 or exclude it"),
        ("x = 1".encode("utf-16"), "app.py: not text: it holds NUL bytes; save it as UTF-8 or exclude it"),
        (b"x = 1\ny = '\xe9'\n", "app.py: line 2 is not valid utf-8; declare its encoding in the first line"),
        (b"# coding: nope\n", "app.py: unknown encoding: nope; correct the encoding in its first two lines"),
        (b"# coding: hex\n", "app.py: hex is not an encoding of text; correct the encoding in its first two lines"),
        (b"# coding: undefined\n", "app.py: undefined is not an encoding of text; correct the encoding in its"),
        (b"\xef\xbb\xbf# coding: latin-1\n", "app.py: encoding problem: utf-8; correct the encoding in its first"),
    ],
)
def test_what_is_not_text_is_one_clear_line(raw: bytes, expected: str) -> None:
    assert trouble(raw).startswith(expected)


def test_a_file_that_cannot_be_read_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    assert str(read_source(Path("gone.py"))) == "gone.py: cannot be read: does not exist"
    assert str(read_source(Path("."), "folder")) == "folder: cannot be read: is a directory"
    monkeypatch.setattr("builtins.open", refuse)
    assert str(read_source(Path("a.py"))) == (
        "a.py: cannot be read: permission denied; give read permission or add it to extend-exclude"
    )


def test_a_large_file_is_read_and_a_huge_one_is_not() -> None:
    Path("large.py").write_bytes(b"x = 1\n" * 1_000_000)
    with open("huge.py", "wb") as file:
        file.truncate(25_000_000)

    assert isinstance(read_source(Path("large.py")), Source)
    assert str(read_source(Path("huge.py"))) == "huge.py: too large to analyse (25 MB); add it to extend-exclude"
