"""One process at a time: the lock that every change of the journal is made under."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING

from autolock.deliver.files import explained
from autolock.errors import AutolockError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_SECONDS = 5.0
_PAUSE_SECONDS = 0.05


@contextlib.contextmanager
def exclusive(cache_dir: Path) -> Iterator[None]:
    """Holds the lock of an existing cache folder. The system frees it when the process ends, however it ends.

    Raises AutolockError where another process holds it for longer than PATIENCE_SECONDS.
    """
    path = cache_dir / "lock"
    with explained(f"{path}: cannot be opened"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _wait_for(descriptor, path)
        yield
    finally:
        # Closing frees the lock. The file stays: a lock on a file that another process deletes excludes nobody.
        os.close(descriptor)


def _wait_for(descriptor: int, path: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not _try_lock(descriptor):
        if time.monotonic() >= deadline:
            raise AutolockError(f"{path}: another autolock is at work here", "wait until it ends and try again")
        time.sleep(_PAUSE_SECONDS)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
