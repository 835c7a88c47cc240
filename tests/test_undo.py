"""Undo puts the last run back, or says why not and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from disk_faults import Fault, fails, run_killed, steps_of
from small_repo import AFTER, BEFORE, CHANGES, Repo, needs_fork

from autolock.deliver.apply import apply_changes
from autolock.deliver.undo import undo_last
from autolock.errors import AutolockError
from autolock.findings import FileChange

if TYPE_CHECKING:
    from pathlib import Path

SECOND = FileChange("app/main.py", CHANGES[1].after, b"second run")


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A folder in which two runs are applied."""
    repo = Repo(tmp_path / "repo")
    apply_twice(repo)
    return repo


def apply_twice(repo: Repo) -> None:
    repo.apply()
    apply_changes(repo.root, [SECOND], repo.cache, allow_dirty=True)


def undo(repo: Repo) -> list[str]:
    return undo_last(repo.root, repo.cache)


def test_undo_twice_undoes_two_runs(repo: Repo) -> None:
    assert undo(repo) == ["app/main.py"]
    assert repo.read() == AFTER
    assert undo(repo) == ["app/store.py", "app/main.py", "linked.py"]
    assert repo.read() == BEFORE
    assert repo.runs() == []
    with pytest.raises(AutolockError, match="nothing to undo"):
        undo(repo)


def test_a_run_undone_can_be_applied_and_undone_again(repo: Repo) -> None:
    undo(repo)
    undo(repo)
    repo.apply()
    assert repo.read() == AFTER
    undo(repo)
    assert repo.read() == BEFORE


def test_keeps_the_mode_that_the_file_has_now(repo: Repo) -> None:
    (repo.root / "app/main.py").chmod(0o755)
    undo(repo)
    assert (repo.root / "app/main.py").stat().st_mode & 0o777 == 0o755


def test_where_nothing_was_applied(tmp_path: Path) -> None:
    with pytest.raises(AutolockError, match="nothing to undo"):
        undo_last(tmp_path, tmp_path / ".autolock_cache")
    assert list(tmp_path.iterdir()) == []


def test_a_file_changed_since_is_named_and_nothing_is_put_back(repo: Repo) -> None:
    undo(repo)
    (repo.root / "app/main.py").write_bytes(b"mine")
    with pytest.raises(AutolockError, match=r"^app/main\.py: changed since .*; nothing was changed$"):
        undo(repo)
    assert repo.read() == {**AFTER, "app/main.py": b"mine"}
    (repo.root / "app/main.py").write_bytes(CHANGES[1].after)
    undo(repo)
    assert repo.read() == BEFORE


def test_a_file_deleted_since_is_named_and_nothing_is_put_back(repo: Repo) -> None:
    (repo.root / "app/main.py").unlink()
    with pytest.raises(AutolockError, match=r"^app/main\.py: .*No such file.*; nothing was changed$"):
        undo(repo)


def test_a_link_that_leads_elsewhere_by_now_is_not_followed(repo: Repo) -> None:
    undo(repo)
    (repo.root / "linked.py").unlink()
    (repo.root / "linked.py").symlink_to("app/main.py")
    undo(repo)
    assert (repo.root / "lib/shared.py").read_bytes() == BEFORE["lib/shared.py"]
    assert (repo.root / "app/main.py").read_bytes() == BEFORE["app/main.py"]


@pytest.mark.parametrize("contents", [b"damaged", None])
def test_a_damaged_backup_is_not_written_back(repo: Repo, contents: bytes | None) -> None:
    backup = repo.cache / "runs/2/0.before"
    backup.unlink()
    if contents is not None:
        backup.write_bytes(contents)
    with pytest.raises(AutolockError, match=r"0\.before: .*; nothing was changed$"):
        undo(repo)
    assert repo.read() == {**AFTER, "app/main.py": SECOND.after}


@needs_fork
def test_killed_at_any_step_the_run_is_undone_or_not(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    repo.apply()
    steps = steps_of(lambda: undo(repo))
    outcomes = []
    for step in range(1, steps + 1):
        repo.reset()
        repo.apply()
        assert run_killed(lambda: undo(repo), Fault.KILL_HALFWAY, step)
        assert repo.recover().problems == ()
        outcomes.append(repo.read() == BEFORE)
        assert repo.read() == (BEFORE if outcomes[-1] else AFTER)
        assert repo.runs() == ([] if outcomes[-1] else ["1"])
        if not outcomes[-1]:
            undo(repo)
            assert repo.read() == BEFORE
    assert outcomes == sorted(outcomes)
    assert not outcomes[0]
    assert outcomes[-1]


@needs_fork
def test_killed_at_any_step_the_runs_below_stay(repo: Repo) -> None:
    steps = steps_of(lambda: undo(repo))
    for step in range(1, steps + 1):
        repo.reset()
        apply_twice(repo)
        run_killed(lambda: undo(repo), Fault.KILL, step)
        # Without a recovery in between: undo does its own.
        while repo.read() != BEFORE:
            undo(repo)
        assert repo.runs() == []


@pytest.mark.parametrize("fault", [Fault.FAIL_ONCE, Fault.DISK_FULL, Fault.DISK_GONE])
def test_a_failing_disk_leaves_the_run_applied(tmp_path: Path, fault: Fault) -> None:
    repo = Repo(tmp_path / "repo")
    repo.apply()
    steps = steps_of(lambda: undo(repo))
    for step in range(1, steps + 1):
        repo.reset()
        repo.apply()
        error = fails(lambda: undo(repo), fault, step)
        if fault is not Fault.DISK_GONE:
            assert repo.read() == (AFTER if error else BEFORE)
        repo.recover()
        assert repo.read() == (AFTER if error else BEFORE)
        assert repo.runs() == (["1"] if error else [])
