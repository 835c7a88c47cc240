"""The facts of every file of earlier runs, in one file that a run can use without reading all of it.

Layout: a line that names autolock, its code and Python; the length and checksum of the table; the
table, `path -> Record`, pickled; then the facts, each file's pickled by itself, in the place that its
record names. Reading a record costs a look-up, and facts are only unpickled for the files that the
analysis looks into. A cache that is damaged, foreign or of another version counts as empty.

The file lies in a folder of the repository, so it can come with somebody else's clone: it is read by
an unpickler that knows the classes of facts and no others.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import struct
import sys
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from autolock import __version__
from autolock.program import facts as facts_module
from autolock.program.parts import Traits
from autolock.source import digest

if TYPE_CHECKING:
    from autolock.program.facts import ModuleFacts

_NAME = "facts"
_LENGTHS = struct.Struct("<QI")

#: A file that was written this shortly before it was read may be written again without its times changing.
_CLOCK_TICK_NS = 2_000_000_000

Stamp = tuple[int, int, int]
"""What a file's status says of its content: when it was modified, when its status changed, its size."""

DAMAGE = (ValueError, EOFError, KeyError, TypeError, AttributeError, IndexError, MemoryError, pickle.UnpicklingError)
"""What reading a damaged cache can raise."""

UNKNOWN: Stamp = (0, 0, -1)
"""The stamp of no file: the next run reads the file again and compares its digest."""


class Record(NamedTuple):
    """What is known of a file without its facts.

    `marked` tells whether it may hold suppression comments; `error` why it could not be analysed and
    `hint` what to do about it. `offset` and `length` are the place of the pickled facts in the cache.
    `traits` are what of them the other files have to know.
    """

    stamp: Stamp
    digest: bytes
    lines: int
    functions: int
    marked: bool
    error: str = ""
    hint: str = ""
    offset: int = 0
    length: int = 0
    traits: Traits = Traits()


class Indexed(NamedTuple):
    """A file that was read in this run; `record` has no place yet."""

    record: Record
    blob: bytes | memoryview


class FactsCache:
    """The cache as it was when the run began, and what the run adds to it."""

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / _NAME if folder is not None else None
        self._started = time.time_ns()
        self._header = _header() if folder is not None else b""
        self._data: memoryview = memoryview(b"")
        self._records: dict[str, Record] = {}
        if self._path is not None:
            with contextlib.suppress(OSError, *DAMAGE):
                self._read(self._path)

    def _read(self, path: Path) -> None:
        """Raises any of the errors that damage can cause; the cache then stays empty."""
        raw = path.read_bytes()
        start = len(self._header) + _LENGTHS.size
        if not raw.startswith(self._header) or len(raw) < start:
            return
        length, checksum = _LENGTHS.unpack_from(raw, len(self._header))
        view = memoryview(raw)[start:]
        if zlib.crc32(view) != checksum:
            return
        table = unpickled(view[:length])
        self._records = {path: _record(*values) for path, values in table.items()}
        self._data = view[length:]

    def record(self, path: str) -> Record | None:
        """What the cache holds of a file."""
        return self._records.get(path)

    def blob(self, record: Record) -> memoryview:
        """The pickled facts that a record of this cache points to."""
        return self._data[record.offset : record.offset + record.length]

    def save(self, root: Path, current: dict[str, Record], read: dict[str, Indexed]) -> None:
        """Write the cache anew where it changed: the run's files, and those of other runs that still exist.

        `current` are the records of files that were not read, `read` those that were. A cache that
        cannot be written is done without.
        """
        unchanged = not read and all(self._records[path] is record for path, record in current.items())
        if self._path is None or unchanged:
            return
        kept = {
            path: record
            for path, record in self._records.items()
            if path not in current and path not in read and os.path.exists(root / path)
        }
        table: dict[str, tuple[Any, ...]] = {}
        blobs: list[bytes | memoryview] = []
        offset = 0
        everything = {path: Indexed(record, self.blob(record)) for path, record in (kept | current).items()} | read
        for path, (record, blob) in everything.items():
            placed = record._replace(stamp=self._safe(record.stamp), offset=offset, length=len(blob))
            table[path] = (*placed[:-1], tuple(record.traits))
            blobs.append(blob)
            offset += len(blob)
        pickled = pickle.dumps(table, 5)
        self._write(self._path, b"".join([pickled, *blobs]), len(pickled))

    def _safe(self, stamp: Stamp) -> Stamp:
        return UNKNOWN if max(stamp[:2]) > self._started - _CLOCK_TICK_NS else stamp

    def _write(self, path: Path, body: bytes, table_length: int) -> None:
        beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        try:
            with open(beside, "wb") as file:
                file.write(self._header)
                file.write(_LENGTHS.pack(table_length, zlib.crc32(body)))
                file.write(body)
            os.replace(beside, path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(beside)


def _record(*values: Any) -> Record:
    record = Record(*values)
    return record._replace(traits=Traits(*record.traits))


# --- versions ---------------------------------------------------------------------------------


def _code_digest() -> str:
    """Identifies the code that makes facts: a version number does not change whenever that code does."""
    code = [file.read_bytes() for file in sorted(Path(__file__).parent.glob("*.py"))]
    return digest(b"".join(code)).hex()


def _header() -> bytes:
    python = ".".join(map(str, sys.version_info[:3]))
    return f"autolock facts {__version__} {_code_digest()} {sys.implementation.name} {python}\n".encode()


# --- pickling ---------------------------------------------------------------------------------

_CLASSES: dict[tuple[str, str], type] = {
    (facts_module.__name__, name): value
    for name, value in vars(facts_module).items()
    if isinstance(value, type) and value.__module__ == facts_module.__name__
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type:
        """Only the classes of facts. Raises KeyError for any other, so that a pickle can run no code."""
        return _CLASSES[module, name]


def unpickled(data: bytes | memoryview) -> Any:
    """An object of plain data and facts. Raises whatever a damaged pickle makes `pickle` raise."""
    return _Unpickler(io.BytesIO(data)).load()


def pickled_facts(facts: ModuleFacts) -> bytes:
    """The facts of one file for the cache."""
    return pickle.dumps(facts, 5)
