"""Applying a run: all of its files or none, whatever the disk, git, the user or a kill does meanwhile."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from disk_faults import Fault, fails, faulty_disk, run_killed, steps_of
from small_repo import AFTER, BEFORE, CHANGES, Repo, needs_fork

from autolock.deliver import lock
from autolock.deliver.apply import apply_changes
from autolock.deliver.cachedir import cache_dir_or_none, ensure_cache_dir
from autolock.deliver.journal import Recovery, recover
from autolock.deliver.undo import undo_last
from autolock.errors import AutolockError
from autolock.findings import FileChange


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "repo")


def test_writes_every_file(repo: Repo) -> None:
    assert repo.apply() == ("app/store.py", "app/main.py", "linked.py")
    assert repo.read() == AFTER
    assert (repo.cache / ".gitignore").read_text() == "*\n"


def test_changes_that_change_nothing_leave_no_trace(repo: Repo) -> None:
    assert apply_changes(repo.root, [FileChange("x", b"1", b"1")], repo.cache, allow_dirty=False).paths == ()
    assert not repo.cache.exists()


def test_keeps_mode_and_owner(repo: Repo) -> None:
    store = repo.root / "app/store.py"
    if os.geteuid() == 0:
        os.chown(store, 1234, 2345)
    wanted = store.stat()
    repo.apply()
    found = store.stat()
    assert (found.st_mode, found.st_uid, found.st_gid) == (wanted.st_mode, wanted.st_uid, wanted.st_gid)


def test_a_file_of_another_owner_is_written_by_those_who_may_not_give_it_back(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() == 0:
        os.chown(repo.root / "app/store.py", 1234, 2345)

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chown", refuse)
    repo.apply()
    assert repo.read() == AFTER


def test_a_link_stays_a_link(repo: Repo) -> None:
    repo.apply()
    assert os.readlink(repo.root / "linked.py") == "lib/shared.py"


@pytest.mark.parametrize("kind", ["file", "folder", "parent"])
def test_a_path_that_leads_outside_the_root_is_refused(repo: Repo, tmp_path: Path, kind: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.py").write_bytes(b"1")
    (repo.root / "file.py").symlink_to(outside / "x.py")
    (repo.root / "folder").symlink_to(outside)
    path = {"file": "file.py", "folder": "folder/x.py", "parent": "../outside/x.py"}[kind]
    with pytest.raises(AutolockError, match=f"^{path}: leads to .*outside"):
        apply_changes(repo.root, [*CHANGES, FileChange(path, b"1", b"2")], repo.cache, allow_dirty=True)
    assert (outside / "x.py").read_bytes() == b"1"
    assert repo.read().items() >= BEFORE.items()


def test_two_names_of_one_file(repo: Repo) -> None:
    same = FileChange("lib/shared.py", CHANGES[2].before, CHANGES[2].after)
    other = FileChange("lib/shared.py", CHANGES[2].before, b"otherwise")
    with pytest.raises(AutolockError, match=r"^lib/shared\.py: is the same file as linked\.py"):
        apply_changes(repo.root, [*CHANGES, other], repo.cache, allow_dirty=True)
    assert repo.read() == BEFORE
    apply_changes(repo.root, [*CHANGES, same], repo.cache, allow_dirty=True)
    assert repo.read() == AFTER


def test_a_file_that_changed_since_it_was_read_stops_the_run(repo: Repo) -> None:
    (repo.root / "app/main.py").write_bytes(b"mine")
    with pytest.raises(AutolockError, match=r"^app/main\.py: has changed on disk"):
        repo.apply()
    assert repo.read() == {**BEFORE, "app/main.py": b"mine"}
    assert repo.runs() == []


def test_a_file_saved_while_the_run_is_written_is_kept(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = os.replace

    def save_then_replace(source: Path, target: Path) -> None:
        replace(source, target)
        if Path(target).name == "store.py":
            (repo.root / "app/main.py").write_bytes(b"mine")

    monkeypatch.setattr(os, "replace", save_then_replace)
    with pytest.raises(AutolockError, match=r"^app/main\.py: has changed on disk.*all was put back but app/main\.py"):
        repo.apply()
    assert repo.read() == {**BEFORE, "app/main.py": b"mine"}


@pytest.mark.parametrize(
    ("path", "reason"),
    [("gone.py", "No such file"), ("app", "is not a file"), ("loop.py", "symbolic links"), ("gone/x", "No such file")],
)
def test_what_is_no_file_is_refused(repo: Repo, path: str, reason: str) -> None:
    (repo.root / "loop.py").symlink_to("loop.py")
    with pytest.raises(AutolockError, match=f"^{path}: .*{reason}.*; nothing was changed$"):
        apply_changes(repo.root, [*CHANGES, FileChange(path, b"1", b"2")], repo.cache, allow_dirty=True)
    assert repo.read() == BEFORE


def as_a_plain_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answer `os.access` by the mode bits, as for a user who is not root; the tests may run as root."""
    monkeypatch.setattr(os, "access", lambda path, _mode: bool(os.stat(path).st_mode & 0o222))


def test_root_may_write_read_only_files(repo: Repo) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may")
    (repo.root / "app/main.py").chmod(0o444)
    repo.apply()
    assert repo.read() != BEFORE
    assert (repo.root / "app/main.py").stat().st_mode & 0o777 == 0o444


@pytest.mark.parametrize(("path", "mode"), [("app/main.py", 0o444), ("app", 0o555)])
def test_read_only_files_and_folders_are_refused(
    repo: Repo, path: str, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repo.root / path).chmod(mode)
    as_a_plain_user(monkeypatch)
    with pytest.raises(AutolockError, match=r"^app/\w+\.py: .*read-only; nothing was changed$"):
        repo.apply()
    (repo.root / path).chmod(0o755)
    assert repo.read() == BEFORE


class TestGit:
    """Files with changes that no commit holds are not touched."""

    @pytest.fixture
    def repo(self, tmp_path: Path) -> Repo:
        repo = Repo(tmp_path / "repo with space")
        self.git(repo, "init", "--quiet")
        self.git(repo, "add", ".")
        self.git(repo, "commit", "--quiet", "--message", "all")
        return repo

    @staticmethod
    def git(repo: Repo, *arguments: str) -> None:
        identity = ("-c", "user.name=x", "-c", "user.email=x@example.org")
        subprocess.run(["git", *identity, *arguments], cwd=repo.root, check=True, capture_output=True)

    def dirty(self, repo: Repo, kind: str) -> tuple[FileChange, ...]:
        store = repo.root / "app/store.py"
        if kind == "untracked":
            self.git(repo, "rm", "--quiet", "--cached", "app/store.py")
            self.git(repo, "commit", "--quiet", "--message", "untracked")
            return CHANGES
        store.write_bytes(b"mine")
        if kind == "staged":
            self.git(repo, "add", "app/store.py")
        return (FileChange("app/store.py", b"mine", b"fixed"), *CHANGES[1:])

    @pytest.mark.parametrize("kind", ["unstaged", "staged", "untracked"])
    def test_uncommitted_changes_are_refused_unless_allowed(self, repo: Repo, kind: str) -> None:
        changes = self.dirty(repo, kind)
        before = repo.read()
        with pytest.raises(AutolockError, match=r"^app/store\.py: uncommitted changes; .*--allow-dirty"):
            apply_changes(repo.root, changes, repo.cache, allow_dirty=False)
        assert repo.read() == before
        apply_changes(repo.root, changes, repo.cache, allow_dirty=True)
        assert (repo.root / "app/store.py").read_bytes() == changes[0].after

    def test_changes_in_other_files_do_not_matter(self, repo: Repo) -> None:
        (repo.root / "app/other.py").write_bytes(b"mine")
        (repo.root / "app/main.py").rename(repo.root / "app/moved.py")
        apply_changes(repo.root, CHANGES[:1], repo.cache, allow_dirty=False)
        assert (repo.root / "app/store.py").read_bytes() == CHANGES[0].after

    def test_a_submodule_answers_for_its_own_files(self, repo: Repo) -> None:
        inner = Repo(repo.root / "vendor")
        self.git(inner, "init", "--quiet")
        self.git(inner, "add", ".")
        self.git(inner, "commit", "--quiet", "--message", "inner")
        self.git(repo, "add", "vendor")
        change = FileChange("vendor/app/main.py", CHANGES[1].before, b"fixed")
        apply_changes(repo.root, [change], repo.cache, allow_dirty=False)
        with pytest.raises(AutolockError, match=r"^vendor/app/main\.py: uncommitted"):
            apply_changes(repo.root, [FileChange(change.path, b"fixed", b"2")], repo.cache, allow_dirty=False)

    def test_a_link_is_judged_by_the_file_it_leads_to(self, repo: Repo) -> None:
        (repo.root / "lib/shared.py").write_bytes(b"mine")
        with pytest.raises(AutolockError, match=r"^linked\.py: uncommitted"):
            apply_changes(repo.root, [FileChange("linked.py", b"mine", b"2")], repo.cache, allow_dirty=False)

    def test_the_cache_folder_is_hidden_from_git(self, repo: Repo) -> None:
        ensure_cache_dir(repo.cache)
        status = subprocess.run(["git", "status", "--porcelain"], cwd=repo.root, check=True, capture_output=True)
        assert status.stdout == b""

    def test_the_repository_cannot_make_git_run_a_program(self, repo: Repo, tmp_path: Path) -> None:
        program, witness = tmp_path / "program", tmp_path / "witness"
        program.write_text(f"#!/bin/sh\ntouch {witness}\n")
        program.chmod(0o755)
        self.git(repo, "config", "core.fsmonitor", str(program))
        repo.apply()
        assert not witness.exists()

    def test_within_a_git_hook(self, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GIT_DIR", "/nowhere/.git")
        monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere/index")
        (repo.root / "app/main.py").write_bytes(b"mine")
        with pytest.raises(AutolockError, match="uncommitted"):
            repo.apply()

    def test_without_git_there_is_nothing_to_ask(self, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
        (repo.root / "app/main.py").write_bytes(b"mine")
        monkeypatch.setenv("PATH", "/nowhere")
        apply_changes(repo.root, [FileChange("app/main.py", b"mine", b"2")], repo.cache, allow_dirty=False)
        assert (repo.root / "app/main.py").read_bytes() == b"2"

    def test_git_that_cannot_tell_is_reported(self, repo: Repo) -> None:
        (repo.root / ".git/index").write_bytes(b"broken")
        with pytest.raises(AutolockError, match=r"git cannot tell .*--allow-dirty"):
            repo.apply()
        assert repo.read().items() >= BEFORE.items()


@needs_fork
@pytest.mark.parametrize("fault", [Fault.KILL, Fault.KILL_HALFWAY])
def test_killed_at_any_step_the_next_run_makes_it_all_or_nothing(repo: Repo, fault: Fault) -> None:
    steps = steps_of(repo.apply)
    outcomes = []
    for step in range(1, steps + 1):
        repo.reset()
        assert run_killed(repo.apply, fault, step)
        recovery = repo.recover()
        assert recovery.problems == ()
        outcomes.append(repo.read() == AFTER)
        assert repo.read() == (AFTER if outcomes[-1] else BEFORE)
        assert (repo.root / "app/store.py").stat().st_mode & 0o777 == 0o640
        assert repo.runs() == (["1"] if outcomes[-1] else [])
        # Nothing is left in the way of working on.
        if outcomes[-1]:
            undo_last(repo.root, repo.cache)
        else:
            repo.apply()
        assert repo.read() == (BEFORE if outcomes[-1] else AFTER)
    assert outcomes == sorted(outcomes)
    assert not outcomes[0]


@needs_fork
def test_killed_while_it_recovers_it_recovers_the_next_time(repo: Repo) -> None:
    with faulty_disk(Fault.NONE) as disk:
        repo.apply()
    first_swap = [step for step, call in enumerate(disk.calls, 1) if call == "replace"][1]
    for killed_at in range(first_swap, len(disk.calls)):
        step, died = 0, True
        while died:
            step += 1
            repo.reset()
            assert run_killed(repo.apply, Fault.KILL, killed_at)
            died = run_killed(repo.recover, Fault.KILL, step)
            assert repo.recover().problems == ()
            assert repo.read() in (BEFORE, AFTER)
            assert not any("." in name for name in repo.runs())


@needs_fork
def test_a_run_that_was_killed_is_told_of(repo: Repo) -> None:
    steps = steps_of(repo.apply)
    restored = set()
    for step in range(1, steps + 1):
        repo.reset()
        run_killed(repo.apply, Fault.KILL, step)
        restored.add(repo.recover().restored)
    assert restored == {(), ("app/store.py",), ("app/store.py", "app/main.py"), tuple(c.path for c in CHANGES)}


@needs_fork
def test_an_edit_made_between_the_kill_and_the_recovery_is_never_overwritten(repo: Repo) -> None:
    steps = steps_of(repo.apply)
    reported = 0
    for step in range(1, steps + 1):
        repo.reset()
        run_killed(repo.apply, Fault.KILL, step)
        (repo.root / "app/store.py").write_bytes(b"mine")
        recovery = repo.recover()
        assert repo.read() == {**(AFTER if repo.runs() == ["1"] else BEFORE), "app/store.py": b"mine"}
        assert {problem.path for problem in recovery.problems} <= {"app/store.py"}
        reported += len(recovery.problems)
        assert repo.recover() == Recovery()
    assert reported


@pytest.mark.parametrize("fault", [Fault.FAIL_ONCE, Fault.DISK_FULL])
def test_a_failing_disk_changes_nothing_and_is_told_in_one_line(repo: Repo, fault: Fault) -> None:
    steps = steps_of(repo.apply)
    errors = 0
    for step in range(1, steps + 1):
        repo.reset()
        error = fails(repo.apply, fault, step)
        if error:
            errors += 1
            assert "No space left on device" in str(error)
            assert "\n" not in str(error)
        assert repo.read() == (BEFORE if error else AFTER), (step, error)
        repo.recover()
        assert repo.read() == (BEFORE if error else AFTER)
    assert errors > steps / 2


def test_a_disk_that_lets_nothing_be_taken_back_is_made_good_by_the_next_run(repo: Repo) -> None:
    steps = steps_of(repo.apply)
    for step in range(1, steps + 1):
        repo.reset()
        error = fails(repo.apply, Fault.DISK_GONE, step)
        repo.recover()
        assert repo.read() == (BEFORE if error else AFTER)
        assert repo.runs() == ([] if error else ["1"])


def test_ctrl_c_takes_back_what_was_written(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = os.replace

    def interrupt(source: Path, target: Path) -> None:
        replace(source, target)
        if Path(target).name == "main.py":
            monkeypatch.setattr(os, "replace", replace)
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        repo.apply()
    assert repo.read() == BEFORE
    assert repo.runs() == []


@needs_fork
def test_an_edit_of_a_file_already_written_keeps_the_edit_and_puts_the_others_back(repo: Repo) -> None:
    repo.die_half_applied()
    (repo.root / "app/store.py").unlink()
    (problem,) = repo.recover().problems
    assert str(problem).startswith("app/store.py: was edited after an autolock run that was interrupted")
    assert repo.read() == {path: data for path, data in BEFORE.items() if path != "app/store.py"}


@needs_fork
def test_an_apply_or_undo_after_such_an_edit_stops_to_tell_of_it(repo: Repo) -> None:
    repo.die_half_applied()
    (repo.root / "app/store.py").write_bytes(b"mine")
    with pytest.raises(AutolockError, match=r"^app/store\.py: was edited after an autolock run"):
        repo.apply()
    assert repo.read() == {**BEFORE, "app/store.py": b"mine"}


@needs_fork
def test_the_next_apply_recovers_by_itself(repo: Repo) -> None:
    repo.die_half_applied()
    repo.apply()
    assert repo.read() == AFTER


@needs_fork
def test_a_repository_moved_after_the_kill_is_recovered_where_it_is(repo: Repo, tmp_path: Path) -> None:
    repo.die_half_applied()
    moved = tmp_path / "moved"
    repo.root.rename(moved)
    assert recover(moved, moved / ".autolock_cache").restored == ("app/store.py",)
    assert {path: (moved / path).read_bytes() for path in BEFORE} == BEFORE


@needs_fork
def test_a_cache_folder_shared_by_two_roots_keeps_their_runs_apart(tmp_path: Path) -> None:
    one, two = Repo(tmp_path / "one"), Repo(tmp_path / "two")
    one.cache = two.cache = tmp_path / "cache"
    two.apply()
    one.die_half_applied()
    undo_last(two.root, two.cache)
    assert two.read() == BEFORE
    assert one.recover().restored == ("app/store.py",)
    assert one.read() == BEFORE


def test_a_cache_folder_on_another_file_system_still_rolls_back(
    tmp_path: Path, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.cache = tmp_path / "cache"
    replace = os.replace

    def across(source: Path, target: Path) -> None:
        if Path(source).suffix == ".before":
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        if Path(target).name == "main.py":
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", across)
    with pytest.raises(AutolockError, match=r"^app/main\.py: .*No space left on device; nothing was changed"):
        repo.apply()
    assert repo.read() == BEFORE
    assert (repo.root / "app/store.py").stat().st_mode & 0o777 == 0o640


class TestForeignJournal:
    """A journal that comes with somebody else's repository is not believed about files outside it."""

    def plant(self, repo: Repo, **entry: object) -> None:
        folder = repo.cache / "runs/1.open"
        folder.mkdir(parents=True)
        default = {"path": "x", "target": "x", "token": "0" * 8, "before": "b", "after": "a"}
        journal = {"version": 1, "root": "..", "undoes": None, "entries": [{**default, **entry}]}
        (folder / "journal.json").write_text(json.dumps(journal))

    @pytest.mark.parametrize("target", ["../victim.py", "link/victim.py"])
    def test_files_outside_are_left_alone(self, repo: Repo, tmp_path: Path, target: str) -> None:
        (repo.root / "link").symlink_to(tmp_path)
        (tmp_path / ".victim.py.autolock-00000000").touch()
        self.plant(repo, target=target)
        with pytest.raises(AutolockError, match="outside"):
            repo.recover()
        assert (tmp_path / ".victim.py.autolock-00000000").exists()

    @pytest.mark.parametrize("entry", [{"token": "../x"}, {"token": 3}, {"target": 3}, {"target": "\0"}, {"more": 1}])
    def test_nonsense_is_one_line(self, repo: Repo, entry: dict[str, object]) -> None:
        self.plant(repo, **entry)
        with pytest.raises(AutolockError, match=r"journal\.json: is no journal"):
            repo.recover()

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 2}', "[" * 100_000, "\xff"])
    def test_what_is_no_journal_is_one_line(self, repo: Repo, text: str) -> None:
        self.plant(repo)
        (repo.cache / "runs/1.open/journal.json").write_text(text, encoding="latin-1")
        with pytest.raises(AutolockError, match=r"journal\.json: is no journal"):
            repo.recover()


class TestLock:
    """Two processes at once take turns."""

    def hold(self, repo: Repo, seconds: float) -> subprocess.Popen[str]:
        ensure_cache_dir(repo.cache)
        program = (
            "import sys, time; from pathlib import Path; from autolock.deliver.lock import exclusive\n"
            f"with exclusive(Path(sys.argv[1])): print('held', flush=True); time.sleep({seconds})"
        )
        holder = subprocess.Popen([sys.executable, "-c", program, repo.cache], stdout=subprocess.PIPE, text=True)
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        return holder

    def test_the_second_waits_a_little(self, repo: Repo) -> None:
        with self.hold(repo, 0.3):
            repo.apply()
        assert repo.read() == AFTER

    def test_then_gives_up_in_one_line(self, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(lock, "PATIENCE_SECONDS", 0.1)
        with self.hold(repo, 60) as holder:
            with pytest.raises(AutolockError, match="another autolock is at work here"):
                repo.apply()
            assert repo.recover() == Recovery()
            holder.kill()
        assert repo.read() == BEFORE
        repo.apply()
        assert repo.read() == AFTER


class TestCacheFolder:
    def test_a_folder_of_the_users_own_gets_no_ignore_file(self, tmp_path: Path) -> None:
        (tmp_path / "mine").touch()
        ensure_cache_dir(tmp_path)
        assert os.listdir(tmp_path) == ["mine"]

    def test_an_ignore_file_that_was_never_finished_is_finished(self, tmp_path: Path) -> None:
        (tmp_path / ".gitignore").touch()
        ensure_cache_dir(tmp_path)
        assert (tmp_path / ".gitignore").read_text() == "*\n"

    @pytest.mark.parametrize("kind", ["read-only", "file", "no-space"])
    def test_one_that_cannot_be_used_is_an_error_to_apply_and_none_to_the_analysis(
        self, repo: Repo, kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        as_a_plain_user(monkeypatch)
        if kind == "read-only":
            repo.cache.mkdir(mode=0o555)
        elif kind == "file":
            repo.cache.touch()
        with faulty_disk(Fault.DISK_GONE if kind == "no-space" else Fault.NONE, 1):
            with pytest.raises(AutolockError, match=r"\.autolock_cache: the cache folder .*; make it writable"):
                repo.apply()
            assert cache_dir_or_none(repo.cache) is None
        assert repo.read().items() >= BEFORE.items()


def test_recovery_of_a_root_that_has_no_cache_folder_makes_none(repo: Repo) -> None:
    assert repo.recover() == Recovery()
    assert not repo.cache.exists()
