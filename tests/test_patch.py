"""The diff gives back exactly the rewritten bytes, through git's eyes and through patch's."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autolock.deliver.patch import combine, unified_diff
from autolock.findings import FileChange, Rewrite, Safety

LINES = st.sampled_from([b"", b"a", b"b", b"x = 1", b"-- x", b"++ y", b"\\", b"\r", b"a\r", b"\x0c", b"\xff", b"@@"])
CONTENTS = st.one_of(
    st.binary(max_size=60),
    st.builds(lambda lines, end: b"\n".join(lines) + end, st.lists(LINES, max_size=25), st.sampled_from([b"", b"\n"])),
)


def git_apply(folder: Path, patch: bytes, *options: str) -> None:
    result = subprocess.run(["git", "apply", *options, "-"], cwd=folder, input=patch, capture_output=True)
    assert result.returncode == 0, (result.stderr, patch)


def assert_applies(folder: Path, change: FileChange, context: int = 3) -> None:
    """`git apply` on the files before gives those after, and `git apply -R` the other way round."""
    file = folder / change.path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(change.before)
    patch = unified_diff([change], context)
    zero = ["--unidiff-zero"] if context == 0 else []
    git_apply(folder, patch, *zero)
    assert file.read_bytes() == change.after
    git_apply(folder, patch, "-R", *zero)
    assert file.read_bytes() == change.before


@settings(max_examples=80, deadline=None)
@given(before=CONTENTS, after=CONTENTS, context=st.integers(0, 4))
def test_applies_and_reverts_to_the_byte(before: bytes, after: bytes, context: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        if before == after:
            assert unified_diff([FileChange("x.py", before, after)]) == b""
        else:
            assert_applies(Path(folder), FileChange("x.py", before, after), context)


@settings(max_examples=80, deadline=None)
@given(st.lists(LINES, min_size=30, max_size=120), st.data())
def test_few_edits_in_a_long_file_apply(lines: list[bytes], data: st.DataObject) -> None:
    changed = list(lines)
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(changed)))
        changed[position : position + data.draw(st.integers(0, 3))] = data.draw(st.lists(LINES, max_size=3))
    before, after = b"\n".join(lines), b"\n".join(changed)
    if before != after:
        with tempfile.TemporaryDirectory() as folder:
            assert_applies(Path(folder), FileChange("x.py", before, after))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(b"a\nb", b"a\nc", id="no-final-newline"),
        pytest.param(b"a\nb", b"a\nb\n", id="final-newline-added"),
        pytest.param(b"a\r\nb\r\n", b"a\r\nlock\r\nb\r\n", id="crlf"),
        pytest.param(b"a\rb\nc\n", b"a\rx\nc\n", id="carriage-return-inside"),
        pytest.param(b"a\x0cb\x1cc\n", b"a\x0cb\x1cd\n", id="form-feed-and-file-separator"),
        pytest.param("a\u2028b\x85c\n".encode(), "a\u2028b\x85d\n".encode(), id="unicode-line-separators"),
        pytest.param(b"\xef\xbb\xbfx = 1\n", b"\xef\xbb\xbfx = 2\n", id="bom"),
        pytest.param(b"# caf\xe9\n", b"# caf\xe8\n", id="latin-1"),
        pytest.param(b"", b"x\n", id="from-empty"),
        pytest.param(b"x\n", b"", id="to-empty"),
        pytest.param(b"-- a\n", b"++ b\n", id="looks-like-a-header"),
        pytest.param(b"\\ No newline at end of file\n", b"\\ No newline at end of file", id="looks-like-the-marker"),
        pytest.param(b"a\0b\n", b"a\0c\n", id="nul"),
    ],
)
def test_hard_contents(tmp_path: Path, before: bytes, after: bytes) -> None:
    assert_applies(tmp_path, FileChange("x.py", before, after))


NAMES = ["a b/c d.py", "é/日本.py", 'q"uote.py', "tab\there.py", "back\\slash.py", "bad\udcff.py", "end .py ", "-x"]


@pytest.mark.parametrize("name", NAMES)
def test_hard_names(tmp_path: Path, name: str) -> None:
    assert_applies(tmp_path, FileChange(name, b"x\n", b"y\n"))


@pytest.mark.parametrize("name", ["app/main.py", *NAMES])
def test_gnu_patch_takes_it_too(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(b"a\r\nb")
    patch = unified_diff([FileChange(name, b"a\r\nb", b"a\r\nc")])
    subprocess.run(["patch", "-p1", "--binary", "--quiet"], cwd=tmp_path, input=patch, check=True)
    assert (tmp_path / name).read_bytes() == b"a\r\nc"


def test_applies_in_a_subfolder_of_the_repository(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    assert_applies(tmp_path / "service", FileChange("app/main.py", b"x\n", b"y\n"))


def test_several_files_and_hunks_read_as_a_diff_does() -> None:
    numbers = [f"{n}\n" for n in range(1, 21)]
    changed = [*numbers[:1], "new\n", *numbers[1:18], "19!\n", "20\n"]
    changes = [
        FileChange("b.py", "".join(numbers).encode(), "".join(changed).encode()),
        FileChange("same.py", b"x", b"x"),
        FileChange("a.py", b"x\n", b"y\n"),
    ]
    assert unified_diff(changes, context=1).decode() == (
        "--- a/b.py\n+++ b/b.py\n"
        "@@ -1,2 +1,3 @@\n 1\n+new\n 2\n"
        "@@ -18,3 +19,3 @@\n 18\n-19\n+19!\n 20\n"
        "--- a/a.py\n+++ b/a.py\n"
        "@@ -1 +1 @@\n-x\n+y\n"
    )


def test_a_long_file_edited_at_both_ends_is_told_by_its_edits_alone() -> None:
    lines = [b"\n" if n % 3 == 0 else b"    value = compute(%d)\n" % n for n in range(20_000)]
    edited = [b"import asyncio\n", *lines[:10_000], b"# here\n", *lines[10_000:], b"end\n"]
    patch = unified_diff([FileChange("x.py", b"".join(lines), b"".join(edited))])
    assert sum(line.startswith(b"+") for line in patch.split(b"\n")) == 4


def rewrite(*changes: FileChange) -> Rewrite:
    return Rewrite("title", "reason", Safety.SAFE, (), changes)


def test_combine_folds_a_chain_to_one_change_a_file() -> None:
    chain = [
        rewrite(FileChange("a.py", b"1", b"2"), FileChange("b.py", b"x", b"y")),
        rewrite(FileChange("a.py", b"2", b"3")),
    ]
    assert combine(chain) == (FileChange("a.py", b"1", b"3"), FileChange("b.py", b"x", b"y"))


def test_combine_leaves_out_a_file_that_ends_as_it_began() -> None:
    assert combine([rewrite(FileChange("a.py", b"1", b"2")), rewrite(FileChange("a.py", b"2", b"1"))]) == ()


def test_combine_refuses_rewrites_that_do_not_follow_each_other() -> None:
    with pytest.raises(ValueError, match=r"a\.py"):
        combine([rewrite(FileChange("a.py", b"1", b"2")), rewrite(FileChange("a.py", b"1", b"3"))])
