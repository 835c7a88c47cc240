"""A copy of the application's tree, so that nothing it writes is left in the original."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_NOT_COPIED = (".git", ".venv", "venv", "node_modules", "__pycache__", ".autolock_cache", ".mypy_cache", ".tox", ".nox")


@contextmanager
def copied_tree(root: str) -> Iterator[str]:
    """The folder of a copy that has the original's name; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="autolock-proof-", ignore_cleanup_errors=True) as folder:
        tree = os.path.join(os.path.realpath(folder), os.path.basename(os.path.realpath(root)))
        shutil.copytree(root, tree, symlinks=True, ignore=shutil.ignore_patterns(*_NOT_COPIED))
        yield tree
