"""Files that the application writes in its tree: found when they are opened, put back after every run.

Heard of through audit events (https://docs.python.org/3/library/audit_events.html), which any way of opening raises.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from typing import Any

_LARGEST = 1_000_000
_LEFT_OUT = (".log", ".pyc", ".db", ".sqlite", ".sqlite3", "-journal", "-wal", "-shm")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class FileData:
    """The files under a folder, or that for temporary files, that were opened for writing, as they are when `remember`
    is called.
    """

    def __init__(self, root: str) -> None:
        self._root = os.path.join(os.path.realpath(root), "")
        self._watched = (self._root, os.path.join(os.path.realpath(tempfile.gettempdir()), ""))
        self._first: dict[str, bytes | None] = {}
        self._starts: list[dict[str, bytes | None]] = []
        self._busy = False

    def follow(self) -> None:
        """Hear of every file that is opened from now on."""
        sys.addaudithook(self._heard)

    def _heard(self, event: str, details: tuple[Any, ...]) -> None:
        if self._busy or event not in {"open", "os.rename", "os.remove"}:
            return
        if event == "open" and not _for_writing(details):
            return
        for path in details[:2] if event == "os.rename" else details[:1]:
            self._notice(path)

    def _notice(self, path: Any) -> None:
        """Remember what a file holds before it is written for the first time."""
        if not isinstance(path, (str, bytes, os.PathLike)):
            return
        name = os.path.realpath(os.fsdecode(path))
        if name.startswith(self._watched) and name not in self._first and not name.endswith(_LEFT_OUT):
            self._first[name] = self._read(name)

    def _read(self, name: str) -> bytes | None:
        self._busy = True
        try:
            with open(name, "rb") as file:
                return file.read(_LARGEST)
        except OSError:
            return None
        finally:
            self._busy = False

    def remember(self) -> None:
        """Take what the files hold now as the start of every run."""
        self._starts.append({name: self._read(name) for name in self._first})

    def forget(self) -> None:
        """Go back to the start before the last one."""
        self._starts.pop()
        self.restore()

    def restore(self) -> None:
        """Put back what the files held."""
        for name, first in list(self._first.items()):
            before = self._starts[-1].get(name, first)
            if self._read(name) != before:
                self._write(name, before)

    def _write(self, name: str, contents: bytes | None) -> None:
        self._busy = True
        try:
            if contents is None:
                os.remove(name)
            else:
                with open(name, "wb") as file:
                    file.write(contents)
        finally:
            self._busy = False

    def picture(self) -> dict[str, Any]:
        """What the files hold, parsed where it is JSON, else line by line; of what is no text, that it is there."""
        held = {name: self._read(name) for name in self._first}
        return {self._title(name): _parsed(contents) for name, contents in held.items() if contents is not None}

    def _title(self, name: str) -> str:
        """Temporary files have names that differ from run to run but for their last part."""
        inside = name.startswith(self._root)
        return f"file {os.path.relpath(name, self._root) if inside else os.path.basename(name)}"


def _for_writing(details: tuple[Any, ...]) -> bool:
    _, mode, flags = details
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and bool(flags & _WRITES)


def _parsed(contents: bytes) -> Any:
    try:
        text = contents.decode("utf-8")
    except UnicodeDecodeError:
        return "<binary>"  # archives hold the time at which they were made
    try:
        return json.loads(text)
    except ValueError:
        return text.splitlines()
