"""The record of applied runs, from which an interrupted one is rolled back and a finished one is undone.

A run has a folder, `runs/NUMBER.STATE` in the cache folder, with the contents before it (`0.before`, `1.before`, ...)
and `journal.json`, which is complete before the first file outside the folder is made. The state is in the name,
because renaming a folder is one step that happens or does not, and needs no space on a full disk:

    7.open      at work, or interrupted: what it did is taken back
    7           applied; `undo` takes the highest number
    7.undone    it put back another run (`undoes`), and both are to be deleted
    7.trash     being deleted
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from autolock.deliver.files import create_file, digest, explained, sync_directory
from autolock.deliver.lock import exclusive
from autolock.errors import AutolockError
from autolock.findings import Problem

_VERSION = 1
_RUN_NAME = re.compile(r"(\d+)(\.open|\.undone|\.trash|)")
_TOKEN = re.compile(r"[0-9a-f]{8}")
_EDITED = "was edited after an autolock run that was interrupted, and is left as it is"


class State(str, Enum):
    """What has become of a run; the value ends the name of its folder."""

    OPEN = ".open"
    APPLIED = ""
    UNDONE = ".undone"
    TRASH = ".trash"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a run.

    `path` is what the user knows it by, `target` the file that links lead to; both are relative to the root.
    `before` and `after` are digests. `token` tells the file that is written beside the target from the user's own.
    """

    path: str
    target: str
    token: str
    before: str
    after: str

    def beside(self, root: Path) -> Path:
        """Where the new contents are written before they take the target's place."""
        target = root / self.target
        return target.with_name(f".{target.name}.autolock-{self.token}")


@dataclass(frozen=True, slots=True)
class Journal:
    """What a run changes, and where; `undoes` is the number of the run that it puts back."""

    root: str
    undoes: int | None
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """The folder of a run."""

    number: int
    state: State
    folder: Path

    def backup(self, index: int) -> Path:
        """Where the contents that the entry of that index had before the run are kept."""
        return self.folder / f"{index}.before"

    def moved_to(self, state: State) -> Run:
        """The run after its folder took the name of `state`. Raises OSError where it did not."""
        folder = self.folder.with_name(f"{self.number}{state.value}")
        os.rename(self.folder, folder)
        return Run(self.number, state, folder)

    def delete(self) -> None:
        """Deletes the run, at once as far as anyone can see. Raises OSError."""
        trash = self if self.state is State.TRASH else self.moved_to(State.TRASH)
        shutil.rmtree(trash.folder)


@dataclass(frozen=True, slots=True)
class Recovery:
    """What was made good after a run that was interrupted.

    `restored` are the files that were put back, `problems` those that could not be: they were edited since.
    """

    restored: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def recover(root: Path, cache_dir: Path) -> Recovery:
    """Takes back what an interrupted run has done to the files under `root`; nothing, where none was interrupted.

    To be called before files are read. A file edited since the interruption keeps the edit and is reported. Raises
    AutolockError where another process is applying a run or the disk does not let a file be put back.
    """
    if not _unsettled(root, cache_dir):
        return Recovery()
    with exclusive(cache_dir):
        return settle(root, cache_dir)


def settle(root: Path, cache_dir: Path) -> Recovery:
    """`recover` for a caller that holds the lock."""
    recoveries = []
    with explained(f"{cache_dir}: cannot make good an interrupted run", "mend that and run autolock again"):
        for run, journal in _unsettled(root, cache_dir):
            if run.state is State.OPEN and journal:
                recoveries.append(roll_back(root, run, journal))
            elif run.state is State.UNDONE and journal:
                delete_undone(cache_dir, run, journal)
            else:
                run.delete()
    return Recovery(
        restored=tuple(path for recovery in recoveries for path in recovery.restored),
        problems=tuple(problem for recovery in recoveries for problem in recovery.problems),
    )


def open_run(cache_dir: Path) -> Run:
    """Makes the folder of a new run. Raises OSError."""
    os.makedirs(cache_dir / "runs", exist_ok=True)
    # A first run may have made these folders; a journal that a power cut takes away with them recovers nothing.
    sync_directory(cache_dir)
    sync_directory(cache_dir.parent)
    number = max((run.number for run in _runs(cache_dir)), default=0) + 1
    folder = cache_dir / "runs" / f"{number}{State.OPEN.value}"
    os.mkdir(folder)
    return Run(number, State.OPEN, folder)


def write_journal(run: Run, journal: Journal) -> None:
    """Makes the journal of an open run durable, and with it the run's folder. Raises OSError."""
    text = json.dumps({"version": _VERSION, **asdict(journal)}, indent=1)
    unfinished = run.folder / "journal.new"
    create_file(unfinished, text.encode("ascii"))
    os.replace(unfinished, run.folder / "journal.json")
    sync_directory(run.folder)
    sync_directory(run.folder.parent)


def commit(run: Run, state: State) -> Run:
    """The step that makes a run definitive: before it the run is rolled back, after it never. Raises OSError."""
    committed = run.moved_to(state)
    # Where this fails nothing is lost: should the new name not outlive a power cut, the run is rolled back as a whole.
    with contextlib.suppress(OSError):
        sync_directory(committed.folder.parent)
    return committed


def delete_undone(cache_dir: Path, run: Run, journal: Journal) -> None:
    """Deletes a committed undo, after the run it put back: while it exists, that run is known to be undone.

    Raises OSError.
    """
    for undone in _runs(cache_dir):
        if undone.number == journal.undoes:
            undone.delete()
    run.delete()


def roll_back(root: Path, run: Run, journal: Journal) -> Recovery:
    """Puts the files of an open run back as they were before it, whatever step it died at, and deletes the run.

    A file that is neither as before nor as after the run was edited since and stays. Can itself be interrupted and
    repeated. Raises OSError, or AutolockError where the journal names a file outside `root`.
    """
    for entry in journal.entries:
        _check_inside(root, entry)
        # Before anything is put back, so that a full disk has space again.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(entry.beside(root))
    restored, problems = [], []
    for index, entry in enumerate(journal.entries):
        target, backup = root / entry.target, run.backup(index)
        found = _digest_of(target)
        if found == entry.after and _digest_of(backup) == entry.before:
            _put_back(backup, target, entry.beside(root))
            restored.append(entry.path)
        elif found != entry.before:
            problems.append(Problem(entry.path, _EDITED, "see whether it still holds a part of that run"))
    for folder in {(root / entry.target).parent for entry in journal.entries}:
        with contextlib.suppress(FileNotFoundError):
            sync_directory(folder)
    run.delete()
    return Recovery(tuple(restored), tuple(problems))


def last_applied(root: Path, cache_dir: Path) -> tuple[Run, Journal] | None:
    """The newest applied run of `root` that is not undone. Raises AutolockError where its journal cannot be read."""
    applied = [run for run in _runs(cache_dir) if run.state is State.APPLIED]
    for run in reversed(applied):
        journal = _read_journal(run)
        if journal is None:
            raise AutolockError(f"{run.folder}: the journal is missing", "delete the folder")
        if journal.root == root_name(root, cache_dir):
            return run, journal
    return None


def root_name(root: Path, cache_dir: Path) -> str:
    """What a journal calls `root`: seen from a cache folder inside it, so that the two can be moved together."""
    real_root, real_cache = Path(os.path.realpath(root)), Path(os.path.realpath(cache_dir))
    if real_cache.is_relative_to(real_root):
        return Path(os.path.relpath(real_root, real_cache)).as_posix()
    return real_root.as_posix()


def _unsettled(root: Path, cache_dir: Path) -> list[tuple[Run, Journal | None]]:
    """The runs that are not simply applied, but for those of another root, which may be out of reach now.

    Without a journal is a run that died before it changed a file, or that is being deleted.
    """
    name = root_name(root, cache_dir)
    runs = [run for run in _runs(cache_dir) if run.state is not State.APPLIED]
    journals = [(run, None if run.state is State.TRASH else _read_journal(run)) for run in runs]
    return [(run, journal) for run, journal in journals if journal is None or journal.root == name]


def _runs(cache_dir: Path) -> list[Run]:
    """The runs in the order of their numbers."""
    runs = []
    with explained(f"{cache_dir}: cannot be read"), contextlib.suppress(FileNotFoundError):
        for name in os.listdir(cache_dir / "runs"):
            folder = cache_dir / "runs" / name
            match = _RUN_NAME.fullmatch(name)
            if match and folder.is_dir() and not folder.is_symlink():
                runs.append(Run(int(match[1]), State(match[2]), folder))
    return sorted(runs, key=lambda run: run.number)


def _read_journal(run: Run) -> Journal | None:
    """None where there is none yet. Raises AutolockError where it is not one of ours."""
    path = run.folder / "journal.json"
    try:
        with explained(f"{path}: cannot be read"), contextlib.suppress(FileNotFoundError):
            return _parsed(json.loads(path.read_bytes()))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        hint = "check its files by hand, then delete the folder"
        raise AutolockError(f"{path}: is no journal that this version of autolock wrote", hint) from error
    return None


def _parsed(data: Any) -> Journal:
    if data["version"] != _VERSION or not isinstance(data["undoes"], int | None):
        raise ValueError("another version")
    return Journal(str(data["root"]), data["undoes"], tuple(_parsed_entry(entry) for entry in data["entries"]))


def _parsed_entry(data: dict[str, Any]) -> Entry:
    entry = Entry(**data)
    names = os.fsencode(entry.path) + os.fsencode(entry.target)
    if b"\0" in names or not _TOKEN.fullmatch(entry.token):
        raise ValueError("not a file of a run")
    return entry


def _check_inside(root: Path, entry: Entry) -> None:
    """A journal can come with somebody else's repository, so it is believed about files under the root only."""
    folder = Path(os.path.realpath((root / entry.target).parent))
    if not folder.is_relative_to(os.path.realpath(root)):
        raise AutolockError(f"{entry.target}: an interrupted run names this file, which is outside {root}")


def _digest_of(path: Path) -> str | None:
    """None where there is no regular file of that name; a link took the place of the one that the run knew."""
    if path.is_symlink() or not path.is_file():
        return None
    return digest(path.read_bytes())


def _put_back(backup: Path, target: Path, beside: Path) -> None:
    try:
        os.replace(backup, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        # The cache folder is on another file system, so the contents have to be copied to the target's first.
        create_file(beside, backup.read_bytes(), like=target)
        os.replace(beside, target)
