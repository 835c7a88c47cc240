"""The one folder that autolock writes besides the files it fixes: analysis cache and journal of applied runs."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from autolock.deliver.files import create_file, explained, is_writable
from autolock.errors import AutolockError

if TYPE_CHECKING:
    from pathlib import Path

_HINT = "make it writable or set another cache folder"


def ensure_cache_dir(path: Path) -> Path:
    """Makes the folder, hidden from git by its own .gitignore, and returns `path`.

    A folder that already holds something else is used as it is: an ignore file there would hide what is not ours.
    Raises AutolockError where the folder cannot be made or written.
    """
    with explained(f"{path}: the cache folder cannot be used", _HINT):
        os.makedirs(path, exist_ok=True)
        if not is_writable(path):
            raise AutolockError(f"{path}: the cache folder is read-only", _HINT)
        if _is_fresh(path):
            _write_ignore_file(path / ".gitignore")
    return path


def cache_dir_or_none(path: Path) -> Path | None:
    """`ensure_cache_dir` for those who can do without: None where it raises."""
    try:
        return ensure_cache_dir(path)
    except AutolockError:
        return None


def _is_fresh(path: Path) -> bool:
    """Whether the folder is empty, but for the empty ignore file of a process that died while making it."""
    with os.scandir(path) as entries:
        return all(entry.name == ".gitignore" and entry.stat().st_size == 0 for entry in entries)


def _write_ignore_file(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    # Another process may be making the same folder and have written the same line.
    with contextlib.suppress(FileExistsError):
        create_file(path, b"*\n")
