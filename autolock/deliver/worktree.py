"""What git says about files that are about to change."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from autolock.errors import AutolockError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# A git hook sets these for its own repository and index; here each file's own is meant.
_OF_ANOTHER_REPOSITORY = frozenset({"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX"})
_NOT_A_WORK_TREE = ("not a git repository", "must be run in a work tree")


def uncommitted(files: Iterable[Path]) -> list[Path]:
    """Those of the files with changes, staged or not, that no commit holds; an untracked file is one of them.

    `files` are absolute and exist. Files outside a work tree, or on a machine without git, have nothing to protect.
    Raises AutolockError where git fails for another reason.
    """
    folders: dict[Path, set[str]] = {}
    for file in files:
        folders.setdefault(file.parent, set()).add(file.name)
    # Asked folder by folder, because a submodule or a nested repository answers for its own files only.
    return sorted(folder / name for folder, names in folders.items() for name in _changed_names(folder, names))


def _changed_names(folder: Path, names: set[str]) -> set[str]:
    try:
        result = subprocess.run(
            [
                *("git", "-c", "core.fsmonitor=false", "--no-optional-locks", "--literal-pathspecs"),
                *("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--", *sorted(names)),
            ],
            cwd=folder,
            env=outside_of_hooks(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except OSError:  # there is no git to run
        return set()
    if result.returncode:
        return _explain_failure(folder, os.fsdecode(result.stderr))
    # An entry is "XY path", the path from the top of the repository.
    paths = (os.fsdecode(entry[3:]) for entry in result.stdout.split(b"\0") if entry)
    return {path.rpartition("/")[2] for path in paths}


def outside_of_hooks() -> dict[str, str]:
    """The environment without what a hook that runs us has set for its own repository; git's complaints in English."""
    kept = {name: value for name, value in os.environ.items() if name not in _OF_ANOTHER_REPOSITORY}
    return {**kept, "LC_ALL": "C"}


def _explain_failure(folder: Path, complaint: str) -> set[str]:
    """No changes where there is no work tree. Raises AutolockError where git could not tell."""
    if any(reason in complaint for reason in _NOT_A_WORK_TREE):
        return set()
    reason = complaint.strip().splitlines()[:1] or ["git status failed"]
    raise AutolockError(
        f"{folder}: git cannot tell whether its files have uncommitted changes ({reason[0]})",
        "mend that, or pass --allow-dirty",
    )
