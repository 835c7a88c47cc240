"""A baseline lets the findings of today pass and fails on new ones."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolock.baseline import Baseline, Entry, read_baseline, split, write_baseline
from autolock.errors import AutolockError
from autolock.findings import Certainty, Finding, Fix, Place, Safety, Severity, Window

if TYPE_CHECKING:
    from pathlib import Path


def finding(fingerprint: str, path: str = "app/main.py", line: int = 1) -> Finding:
    return Finding(
        rule="AL101",
        name="lost-update",
        category="memory",
        certainty=Certainty.RACE,
        severity=Severity.HIGH,
        place=Place(path, line, 1, line, 9, "purchase"),
        message="two purchases at once sell the same seat",
        location="app.main.stock",
        window=Window("app.main.stock", "event loop", ()),
        routes=("POST /purchase",),
        fix=Fix(Safety.NONE, "", ""),
        fingerprint=fingerprint,
    )


def entry(fingerprint: str) -> Entry:
    return Entry("app/main.py", "AL101", "purchase", fingerprint)


def test_only_a_finding_that_was_not_recorded_is_new(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    write_baseline(path, [finding("old", line=3)])

    result = split([finding("old", line=40), finding("fresh")], read_baseline(path))

    assert [item.fingerprint for item in result.new] == ["fresh"]
    assert result.known == 1
    assert result.gone == ()


def test_a_second_finding_like_a_recorded_one_is_new(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    write_baseline(path, [finding("same", line=3)])

    result = split([finding("same", line=3), finding("same", line=9)], read_baseline(path))

    assert [item.place.line for item in result.new] == [9]
    assert result.known == 1


def test_an_entry_that_occurs_no_more_is_gone_as_often_as_it_is_missing() -> None:
    baseline = Baseline((entry("a"), entry("a"), entry("b")))

    result = split([finding("a")], baseline)

    assert result.new == ()
    assert result.gone == (entry("a"), entry("b"))


def test_the_file_tells_a_reader_what_was_recorded(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    write_baseline(path, [finding("f1")])

    document = json.loads(path.read_text())

    assert document["version"] == 1
    recorded = {"path": "app/main.py", "rule": "AL101", "function": "purchase", "fingerprint": "f1"}
    assert document["findings"] == [recorded]


def test_one_more_finding_adds_lines_and_leaves_the_others(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    write_baseline(path, [finding("a"), finding("c")])
    before = path.read_text().splitlines()

    write_baseline(path, [finding("a"), finding("b"), finding("c")])
    after = path.read_text().splitlines()

    assert len(after) == len(before) + 1
    assert [line for line in after if line in before] == before


@given(st.permutations(["a", "b", "b", "c"]))
def test_the_file_does_not_depend_on_the_order_of_findings(
    tmp_path_factory: pytest.TempPathFactory, fingerprints: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("baseline")
    write_baseline(folder / "sorted.json", [finding(item) for item in sorted(fingerprints)])
    write_baseline(folder / "given.json", [finding(item) for item in fingerprints])

    assert (folder / "given.json").read_bytes() == (folder / "sorted.json").read_bytes()


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abc")))
def test_every_finding_is_new_or_known_and_every_entry_known_or_gone(now: list[str], then: list[str]) -> None:
    result = split([finding(item) for item in now], Baseline(tuple(entry(item) for item in then)))

    assert len(result.new) + result.known == len(now)
    assert len(result.gone) + result.known == len(then)
    assert not {item.fingerprint for item in result.new} & {item.fingerprint for item in result.gone}


def test_no_findings_make_a_readable_baseline(tmp_path: Path) -> None:
    write_baseline(tmp_path / "baseline.json", [])

    assert read_baseline(tmp_path / "baseline.json") == Baseline()


def test_a_missing_baseline_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(AutolockError, match=r"none\.json: no such baseline; record one with --write-baseline"):
        read_baseline(tmp_path / "none.json")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"version": 1}',
        b'{"version": 1, "findings": 3}',
        b'{"version": 1, "findings": ["x"]}',
        b'{"version": 1, "findings": [{"fingerprint": "f"}]}',
        b'{"version": 1, "findings": [{"fingerprint": 1, "rule": "AL101", "path": "a.py", "function": "f"}]}',
        b"[" * 100_000,
    ],
)
def test_a_broken_baseline_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "baseline.json"
    path.write_bytes(content)

    with pytest.raises(AutolockError) as caught:
        read_baseline(path)

    assert str(caught.value) == f"{path}: not a baseline; record it anew with --write-baseline"


def test_a_baseline_of_a_later_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    path.write_text('{"version": 2, "findings": []}')

    with pytest.raises(AutolockError, match="version 2 is not known"):
        read_baseline(path)


def test_a_baseline_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "baseline.json"
    write_baseline(path, [finding("old")])

    def disk_is_full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", disk_is_full)
    with pytest.raises(AutolockError, match=r"cannot be written: No space left on device"):
        write_baseline(path, [finding("new")])

    assert [item.fingerprint for item in read_baseline(path).entries] == ["old"]
    assert [file.name for file in tmp_path.iterdir()] == ["baseline.json"]


def test_a_baseline_in_a_folder_that_is_missing_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(AutolockError, match="cannot be written: No such file or directory"):
        write_baseline(tmp_path / "missing" / "baseline.json", [])
