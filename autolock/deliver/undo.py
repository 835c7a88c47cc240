"""Putting back what the last applied run changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autolock.deliver.apply import locate, settle_or_raise, write_run
from autolock.deliver.files import digest, explained
from autolock.deliver.journal import Entry, last_applied
from autolock.deliver.lock import exclusive
from autolock.errors import AutolockError
from autolock.findings import FileChange

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_NOTHING_CHANGED = "nothing was changed"


def undo_last(root: Path, cache_dir: Path) -> list[str]:
    """Puts the files of the last applied run that is not undone yet back, all or none, and returns their paths.

    Called again, it goes one run further back. Raises AutolockError, with nothing changed, where there is no such
    run, a file of it has changed since, another process is applying a run, or the disk fails.
    """
    if last_applied(root, cache_dir) is None:
        raise _nothing_to_undo(root)
    with exclusive(cache_dir):
        settle_or_raise(root, cache_dir)
        # Looked up again under the lock, before which another process may have undone it.
        last = last_applied(root, cache_dir)
        if last is None:
            raise _nothing_to_undo(root)
        run, journal = last
        changes = [_inverse(root, entry, run.backup(index)) for index, entry in enumerate(journal.entries)]
        _refuse_changed(journal.entries, changes)
        write_run(root, cache_dir, changes, undoes=run.number)
    return [entry.path for entry in journal.entries]


def _nothing_to_undo(root: Path) -> AutolockError:
    return AutolockError(f"{root}: nothing to undo", "no applied run is recorded here")


def _inverse(root: Path, entry: Entry, backup: Path) -> FileChange:
    """From what the file holds now to what it held before the run. Raises AutolockError where that is not kept."""
    with explained(f"{backup}: cannot be read", _NOTHING_CHANGED):
        before = backup.read_bytes()
    if digest(before) != entry.before:
        raise AutolockError(f"{backup}: is damaged, so {entry.path} cannot be put back", _NOTHING_CHANGED)
    with explained(f"{entry.path}: cannot be read", _NOTHING_CHANGED):
        # By the target, not the path: a link may lead elsewhere by now.
        return FileChange(entry.target, locate(root, entry.target).read_bytes(), before)


def _refuse_changed(entries: Sequence[Entry], changes: Sequence[FileChange]) -> None:
    pairs = zip(entries, changes, strict=True)
    if changed := [entry.path for entry, change in pairs if digest(change.before) != entry.after]:
        raise AutolockError(f"{', '.join(changed)}: changed since the run that undo would put back", _NOTHING_CHANGED)
