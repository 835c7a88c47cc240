"""Writing a run's changes to disk: all of its files, or none."""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autolock.deliver.cachedir import ensure_cache_dir
from autolock.deliver.files import create_file, digest, explained, is_writable, sync_directory
from autolock.deliver.journal import (
    Entry,
    Journal,
    Run,
    State,
    commit,
    delete_undone,
    open_run,
    roll_back,
    root_name,
    settle,
    write_journal,
)
from autolock.deliver.lock import exclusive
from autolock.deliver.worktree import uncommitted
from autolock.errors import AutolockError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autolock.findings import FileChange

_NOTHING_CHANGED = "nothing was changed"


@dataclass(frozen=True, slots=True)
class AppliedRun:
    """What was written; `paths` are relative to the root, in the order of the changes."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Edit:
    """A change and the file, links followed, that it is made to."""

    change: FileChange
    target: Path
    entry: Entry


def apply_changes(root: Path, changes: Sequence[FileChange], cache_dir: Path, *, allow_dirty: bool) -> AppliedRun:
    """Writes every change to its file under `root`, keeping mode and owner, and records the run for `undo`.

    Changes that change nothing are left out. A symbolic link stays one: the file it leads to is written. Raises
    AutolockError, with every file as it was, where a file is not what `before` says, is read-only, missing or
    outside the root, has changes that git holds no copy of (unless `allow_dirty`), where another process is
    applying a run, or where the disk fails. Killed at any point, `recover` makes good what it left.
    """
    wanted = [change for change in changes if change.before != change.after]
    if not wanted:
        return AppliedRun(())
    ensure_cache_dir(cache_dir)
    with exclusive(cache_dir):
        settle_or_raise(root, cache_dir)
        if not allow_dirty:
            _refuse_uncommitted(root, wanted)
        write_run(root, cache_dir, wanted)
    return AppliedRun(tuple(change.path for change in wanted))


def settle_or_raise(root: Path, cache_dir: Path) -> None:
    """Makes good an interrupted run before another one. Raises AutolockError where the user has to look at a file."""
    for problem in settle(root, cache_dir).problems:
        raise AutolockError(f"{problem.path}: {problem.message}", problem.hint)


def write_run(root: Path, cache_dir: Path, changes: Sequence[FileChange], undoes: int | None = None) -> None:
    """Writes the changes as one run that puts back the run `undoes`, or that can itself be undone.

    The caller holds the lock. Raises AutolockError, with every file as it was.
    """
    edits = _located(root, changes)
    journal = Journal(root_name(root, cache_dir), undoes, tuple(edit.entry for edit in edits))
    with explained(f"{cache_dir}: the run cannot be recorded", _NOTHING_CHANGED):
        run = open_run(cache_dir)
    try:
        with explained(f"{cache_dir}: the run cannot be recorded"):
            _back_up(run, edits)
            write_journal(run, journal)
        _stage(root, edits)
        _swap(root, edits)
        with explained(f"{cache_dir}: the run cannot be recorded"):
            committed = commit(run, State.APPLIED if undoes is None else State.UNDONE)
    except AutolockError as error:
        raise AutolockError(error.message, _abandon(root, run, journal)) from error
    except BaseException:  # Ctrl-C above all
        _abandon(root, run, journal)
        raise
    if committed.state is State.UNDONE:
        # What this leaves undeleted is deleted by the next run.
        with contextlib.suppress(OSError):
            delete_undone(cache_dir, committed, journal)


def _abandon(root: Path, run: Run, journal: Journal) -> str:
    """Takes back what the run did, and says as a hint how that went."""
    try:
        problems = roll_back(root, run, journal).problems
    except (OSError, AutolockError):
        return "what was written could not be taken back yet: run autolock again once that is mended"
    if problems:
        names = ", ".join(problem.path for problem in problems)
        return f"all was put back but {names}, edited meanwhile"
    return _NOTHING_CHANGED


def _located(root: Path, changes: Sequence[FileChange]) -> list[_Edit]:
    """The changes with the files they are made to, each known to be what the change says it is.

    Raises AutolockError.
    """
    edits: dict[Path, _Edit] = {}
    for change in changes:
        target = locate(root, change.path)
        twin = edits.get(target)
        if twin is None:
            edits[target] = _Edit(change, target, _entry(root, change, target))
        elif (twin.change.before, twin.change.after) != (change.before, change.after):
            raise AutolockError(f"{change.path}: is the same file as {twin.change.path} but changed otherwise")
    for edit in edits.values():
        _check_unchanged(edit)
    return list(edits.values())


def locate(root: Path, path: str) -> Path:
    """The file that `path` names, links followed. Raises AutolockError where it must not or cannot be replaced."""
    with explained(f"{path}: cannot be written", _NOTHING_CHANGED):
        target = Path(os.path.realpath(root / path, strict=True))
        if not target.is_relative_to(os.path.realpath(root)):
            raise AutolockError(f"{path}: leads to {target}, which is outside {root}", _NOTHING_CHANGED)
        if not target.is_file():
            raise AutolockError(f"{path}: is not a file", _NOTHING_CHANGED)
        if not is_writable(target):
            raise AutolockError(f"{path}: is read-only", _NOTHING_CHANGED)
        if not is_writable(target.parent):
            raise AutolockError(f"{path}: its folder is read-only", _NOTHING_CHANGED)
    return target


def _entry(root: Path, change: FileChange, target: Path) -> Entry:
    return Entry(
        path=change.path,
        target=target.relative_to(os.path.realpath(root)).as_posix(),
        token=secrets.token_hex(4),
        before=digest(change.before),
        after=digest(change.after),
    )


def _refuse_uncommitted(root: Path, changes: Sequence[FileChange]) -> None:
    names = {locate(root, change.path): change.path for change in changes}
    if dirty := uncommitted(names):
        paths = ", ".join(names[file] for file in dirty)
        raise AutolockError(f"{paths}: uncommitted changes", "commit or stash them, or pass --allow-dirty")


def _check_unchanged(edit: _Edit) -> None:
    path = edit.change.path
    with explained(f"{path}: cannot be read"):
        if edit.target.read_bytes() != edit.change.before:
            raise AutolockError(f"{path}: has changed on disk since it was read", _NOTHING_CHANGED)


def _back_up(run: Run, edits: Sequence[_Edit]) -> None:
    for index, edit in enumerate(edits):
        create_file(run.backup(index), edit.change.before, like=edit.target)


def _stage(root: Path, edits: Sequence[_Edit]) -> None:
    for edit in edits:
        with explained(f"{edit.change.path}: cannot be written"):
            create_file(edit.entry.beside(root), edit.change.after, like=edit.target)


def _swap(root: Path, edits: Sequence[_Edit]) -> None:
    for edit in edits:
        # Writing the others took time, in which an editor may have saved this one.
        _check_unchanged(edit)
        with explained(f"{edit.change.path}: cannot be written"):
            os.replace(edit.entry.beside(root), edit.target)
    for folder in {edit.target.parent for edit in edits}:
        with explained(f"{folder}: cannot be written"):
            sync_directory(folder)
