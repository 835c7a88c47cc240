"""The Python interface."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cli_runner import CLEAN, COUNTER, LATENT

import autolock
from autolock.findings import Certainty, Safety

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(FIXTURES / "shop/before", tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_everything_that_is_exported_is_there() -> None:
    assert all(getattr(autolock, name) is not None for name in autolock.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = autolock.nothing


def test_check(shop: Path) -> None:
    report = autolock.check()
    assert [finding.rule for finding in report.findings] == ["AL101", "AL101", "AL102", "AL101", "AL103"]
    assert report.errors == ()
    assert report.rewrites == ()
    assert (report.statistics.files, report.statistics.routes) == (7, 7)
    assert set(report.texts) == {finding.place.path for finding in report.findings}


def test_check_by_path(shop: Path) -> None:
    report = autolock.check([shop / "shop"], select=["AL101"], certainty="race", severity="high", jobs=1, cache=False)
    assert {finding.certainty for finding in report.findings} == {Certainty.RACE}
    assert not (shop / ".autolock_cache").exists()


def test_a_second_check_parses_nothing(shop: Path) -> None:
    autolock.check()
    statistics = autolock.check().statistics
    assert (statistics.parsed, statistics.cached) == (0, 7)


def test_fix_leaves_the_files_alone(shop: Path) -> None:
    before = {file: file.read_bytes() for file in shop.rglob("*.py")}
    report = autolock.fix()
    assert len(report.rewrites) == 5
    assert {file: file.read_bytes() for file in shop.rglob("*.py")} == before
    assert autolock.remaining(report) == ()
    assert len({change.path for change in autolock.combined(report)}) == len(autolock.combined(report)) == 6


def test_standalone_rewrites_apply_to_the_files_on_disk(shop: Path) -> None:
    before = {file: file.read_bytes() for file in shop.rglob("*.py")}
    report = autolock.fix()
    for made in autolock.standalone(report).rewrites:
        for change in made.changes:
            assert change.before == before[shop / change.path]
            (shop / change.path).write_bytes(change.after)
        left = {finding.fingerprint for finding in autolock.check(cache=False).findings}
        assert not left.intersection(made.fingerprints)
        for file, content in before.items():
            file.write_bytes(content)


def test_fix_and_undo(shop: Path) -> None:
    before = {file: file.read_bytes() for file in shop.rglob("*.py")}
    report = autolock.fix(apply=True)
    for change in autolock.combined(report):
        assert (shop / change.path).read_bytes() == change.after
    assert autolock.check().findings == ()
    assert autolock.fix(apply=True).rewrites == ()
    assert set(autolock.undo()) == {change.path for change in autolock.combined(report)}
    assert {file: file.read_bytes() for file in shop.rglob("*.py")} == before


def test_only_fixes_of_what_is_shown(shop: Path) -> None:
    report = autolock.fix(select=["created-twice"])
    assert [finding.rule for finding in report.findings] == ["AL103"]
    assert [made.fingerprints for made in report.rewrites] == [(report.findings[0].fingerprint,)]


def test_choosing(shop: Path) -> None:
    report = autolock.fix(choose=lambda made, findings: made if findings[0].rule == "AL102" else None)
    assert len(report.rewrites) == 1
    assert len(autolock.remaining(report)) == 4


def test_suppressed_findings_are_not_fixed(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(COUNTER.replace("current + 1", "current + 1  # autolock: ignore[AL101]"))
    report = autolock.fix([tmp_path])
    assert (report.findings, report.rewrites) == ((), ())
    assert report.statistics.suppressed == 1


def test_the_configuration_is_that_of_the_path(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.autolock]\ncertainty = "race"\n')
    (tmp_path / "main.py").write_text(LATENT)
    assert autolock.check([tmp_path]).findings == ()
    assert len(autolock.check([tmp_path], certainty="latent").findings) == 1


def test_per_file_ignores_are_relative_to_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "autolock.toml").write_text('[per-file-ignores]\n"app/*.py" = ["AL101"]\n')
    for name in ("app/main.py", "other.py"):
        (tmp_path / name).write_text(COUNTER)
    assert [finding.place.path for finding in autolock.check([tmp_path]).findings] == ["other.py"]


def test_a_baseline(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(COUNTER)
    known = tmp_path / "known.json"
    assert len(autolock.check([tmp_path], baseline=known, write_baseline=True).findings) == 1
    report = autolock.check([tmp_path], baseline=known)
    assert report.findings == ()
    assert report.statistics.baselined == 1
    assert autolock.fix([tmp_path], baseline=known).rewrites == ()


def test_progress(shop: Path) -> None:
    stages: list[str] = []
    autolock.fix(progress=lambda stage, done, total: stages.append(stage))
    assert list(dict.fromkeys(stages)) == ["reading", "analysing", "rewriting"]


def test_what_is_wrong_is_an_autolock_error(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(CLEAN)
    with pytest.raises(autolock.AutolockError, match='unknown rule "AL9999"'):
        autolock.check([tmp_path], select=["AL9999"])
    with pytest.raises(autolock.AutolockError, match='certainty must be race or latent, not "maybe"'):
        autolock.check([tmp_path], certainty="maybe")
    with pytest.raises(autolock.AutolockError, match="nothing to undo"):
        autolock.undo(tmp_path)


def test_a_path_that_is_missing_is_an_error_of_the_report(tmp_path: Path) -> None:
    report = autolock.check([tmp_path / "missing"])
    assert [problem.message for problem in report.errors] == ["does not exist"]


def test_source_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    report = autolock.fix(["-"], source=COUNTER.encode(), apply=True)
    assert [finding.place.path for finding in report.findings] == ["<stdin>"]
    assert report.findings[0].fix.safety is Safety.SAFE
    assert b"async with" in autolock.combined(report)[0].after


def test_a_file_that_changes_during_the_run_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "main.py"
    file.write_text(COUNTER)

    def edit(stage: str, done: int, total: int) -> None:
        if stage == "rewriting":
            file.write_text(COUNTER + "# saved meanwhile\n")

    with pytest.raises(autolock.AutolockError, match="has changed on disk"):
        autolock.fix([tmp_path], apply=True, progress=edit)
    assert file.read_text().endswith("# saved meanwhile\n")


def test_an_interrupted_run_is_made_good_before_files_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "main.py"
    file.write_text(COUNTER)
    # A commit that never comes, and nobody left to take the run back.
    monkeypatch.setattr("autolock.deliver.apply.commit", _interrupt)
    monkeypatch.setattr("autolock.deliver.apply._abandon", lambda *_: "")
    with pytest.raises(KeyboardInterrupt):
        autolock.fix([tmp_path], apply=True)
    assert file.read_text() != COUNTER
    report = autolock.check([tmp_path])
    assert file.read_text() == COUNTER
    assert [str(note) for note in report.notes] == ["main.py: put back as it was before a run that was interrupted"]


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
