"""Files of a project that are no code of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path


def files_below(root: Path, deep: int, is_searched: Callable[[str], bool]) -> Iterator[str]:
    """The files of a folder and of those below it, relative to it, by name.

    `deep` is how many folders below it are searched, of those whose names `is_searched`. What cannot be read, links
    that lead in circles, and links to folders are left out.
    """
    yield from _below(root, "", deep, is_searched)


def _below(root: Path, folder: str, deep: int, is_searched: Callable[[str], bool]) -> Iterator[str]:
    try:
        entries = sorted(os.scandir(root / folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if _is_file(entry):
            yield f"{folder}{entry.name}"
        elif deep and entry.is_dir(follow_symlinks=False) and is_searched(entry.name):
            yield from _below(root, f"{folder}{entry.name}/", deep - 1, is_searched)


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link to itself
        return False
