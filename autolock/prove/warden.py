"""Clears away after this process, however it ends: also when it is killed, and can do so no more itself.

A small process of its own reads what there is to clear away from a pipe, which closes with the process that holds the
other end.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

_PATIENCE = 5.0


@contextmanager
def guarded(kind: str, name: str | int) -> Iterator[None]:
    """Have something cleared away if this process ends inside: a process `group`, the data of a `server`,
    or a `folder`.
    """
    _tell("+", kind, name)
    try:
        yield
    finally:
        _tell("-", kind, name)


def _tell(sign: str, kind: str, name: str | int) -> None:
    pipe = _warden().stdin
    assert pipe is not None
    with contextlib.suppress(OSError):
        pipe.write(f"{sign}{kind} {name}\n".encode())
        pipe.flush()


@cache
def _warden() -> subprocess.Popen[bytes]:
    """The process that waits; in a session of its own, as Ctrl-C goes to all of this one."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd=os.path.sep,
    )


def main() -> None:
    """Wait for the end of the other process, then clear away what is left."""
    left: dict[tuple[str, str], None] = {}
    for line in sys.stdin:
        kind, _, name = line[1:].rstrip("\n").partition(" ")
        if line.startswith("+"):
            left[kind, name] = None
        else:
            left.pop((kind, name), None)
    _clear(left)


def _clear(left: Iterable[tuple[str, str]]) -> None:
    named = {kind: [name for one, name in left if one == kind] for kind in ("group", "server", "folder")}
    for number in named["group"]:
        with contextlib.suppress(OSError):
            os.killpg(int(number), signal.SIGKILL)
    for data in named["server"]:
        _stop_server(Path(data))
    for folder in (*named["server"], *named["folder"]):
        shutil.rmtree(folder, ignore_errors=True)


def _stop_server(data: Path) -> None:
    """Let a PostgreSQL stop at once, and wait until it has."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        number = int((data / "postmaster.pid").read_text().splitlines()[0])
        os.kill(number, signal.SIGQUIT)
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            os.kill(number, 0)
            time.sleep(0.05)


if __name__ == "__main__":
    main()
