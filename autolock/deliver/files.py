"""Files written so that they survive a crash, and what can be asked of them first.

Everything that changes the disk goes through the functions of `os`, which tests replace to fail or die at each step.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import sys
from typing import TYPE_CHECKING

from autolock.errors import AutolockError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Without it Windows writes "\r\n" for every "\n".
_BINARY = getattr(os, "O_BINARY", 0)


@contextlib.contextmanager
def explained(what: str, hint: str = "") -> Iterator[None]:
    """Turns an OSError of the block into one line: an AutolockError of `what`, the system's reason and `hint`."""
    try:
        yield
    except OSError as error:
        raise AutolockError(f"{what}: {error.strerror or error}", hint) from error


def digest(data: bytes) -> str:
    """The SHA-256 of `data`, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def create_file(path: Path, data: bytes, like: Path | None = None) -> None:
    """Writes and syncs a new file, with the mode, owner and extended attributes of `like` where that is given.

    Raises OSError; FileExistsError where there is a file of that name. What a failure leaves behind stays.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o666 if like is None else 0o600)
    try:
        unwritten = memoryview(data)
        while unwritten:
            unwritten = unwritten[os.write(descriptor, unwritten) :]
        if like is not None:
            _copy_metadata(like, path)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy_metadata(source: Path, target: Path) -> None:
    wanted, given = os.stat(source), os.stat(target)
    if sys.platform != "win32" and (wanted.st_uid, wanted.st_gid) != (given.st_uid, given.st_gid):
        # Only root may give files away; a file that its owner lets us replace becomes ours, as with any editor.
        with contextlib.suppress(PermissionError):
            os.chown(target, wanted.st_uid, wanted.st_gid)
    # After chown, which clears the set-user-id bits.
    shutil.copystat(source, target)
    # copystat copies the times too, and with an old time a build tool would take the new contents for the old ones.
    os.utime(target)


def sync_directory(path: Path) -> None:
    """Makes the names in a folder durable. Raises OSError."""
    if sys.platform == "win32":  # a folder cannot be opened there, and NTFS journals names by itself
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Network and FUSE file systems that cannot sync a folder say so; there is nothing more to be done on them.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def is_writable(path: Path) -> bool:
    """Whether the user may write there: as the operating system says, so root may write what others may not."""
    return os.access(path, os.W_OK)
