"""From files to a linked program: facts from the cache, or computed by as many processes as there are processors."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autolock.findings import Problem
from autolock.program.cache import (
    DAMAGE,
    UNKNOWN,
    FactsCache,
    Indexed,
    Record,
    Stamp,
    pickled_facts,
    unpickled,
)
from autolock.program.facts import ModuleFacts
from autolock.program.index import index, parsed_and_indexed
from autolock.program.linker import Program
from autolock.program.parts import Divided, traits_of
from autolock.source import decode, digest, read_bytes
from autolock.suppress import MARKER

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

Progress = Callable[[int, int], None]
"""Told now and then how many of how many files are done."""

#: Bytes of source below which starting processes takes longer than they save.
_WORTH_A_POOL = 1_000_000
_CHUNKS_PER_PROCESS = 12
#: Bytes of source whose trees are kept for the analysis, where they are made in the same process.
_WORTH_KEEPING = 2_000_000

_Known = tuple[str, bytes]
_Outcome = Indexed | Problem | None


@dataclass(frozen=True, slots=True)
class Counts:
    """What was looked at: `parsed` files in this run, `cached` ones taken from an earlier run."""

    files: int = 0
    lines: int = 0
    functions: int = 0
    parsed: int = 0
    cached: int = 0


@dataclass(frozen=True, slots=True)
class Loaded:
    """A program, the files that are missing in it and why, and `marked`, those that may hold suppressions.

    `records` are what the cache keeps of each file.
    """

    program: Program
    problems: tuple[Problem, ...]
    counts: Counts
    marked: tuple[str, ...]
    records: Mapping[str, Record]
    _modules: Modules
    _reader: _Reader

    def read(self, path: str) -> bytes:
        """The bytes of a file, the same ones all through the run. Raises OSError when it cannot be read."""
        return self._reader(path)

    def with_changes(self, overlay: Mapping[str, bytes]) -> Program:
        """The program that it would be if the files of `overlay` had those contents."""
        return self._changed(self._modules.with_changes(overlay), overlay)

    def _changed(self, modules: Modules, overlay: Mapping[str, bytes]) -> Program:
        return self.program.with_changes(
            modules, lambda path: overlay[path] if path in overlay else self._reader(path), overlay.keys()
        )

    def divided(self) -> Divided:
        """The program in its parts."""
        return Divided.of(self.program, {path: record.traits for path, record in self.records.items()})

    def divided_with(self, overlay: Mapping[str, bytes]) -> Divided:
        """The parts of the program that `with_changes` makes."""
        modules = self._modules.with_changes(overlay)
        traits = {
            path: traits_of(modules[path]) if path in overlay else record.traits
            for path, record in self.records.items()
        }
        return Divided.of(self._changed(modules, overlay), traits)


def load(
    root: Path,
    files: Sequence[str],
    *,
    jobs: int | None = None,
    cache_dir: Path | None = None,
    cache_root: Path | None = None,
    overlay: Mapping[str, bytes] | None = None,
    progress: Progress = lambda done, total: None,
) -> Loaded:
    """Load the files, given relative to `root`.

    The facts of earlier runs are taken from `cache_dir` and written back to it; None does without.
    `cache_root` is the folder above `root` that the cache's own paths are relative to. `overlay`
    holds contents that take the place of those on disk, `jobs` is the number of processes.
    """
    reader = _Reader(root, overlay or {})
    cache = FactsCache(cache_dir)
    prefix = _prefix(root, cache_root or root)
    loading = _Loading(root, cache, prefix, reader)
    loading.take(files, overlay or {}, jobs or processors(), progress)
    cache.save(cache_root or root, loading.unread, loading.read)
    return loading.loaded(files)


def processors() -> int:
    """How many processes can run at once."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _prefix(root: Path, cache_root: Path) -> str:
    relative = os.path.relpath(root, cache_root).replace(os.sep, "/")
    return "" if relative == "." else f"{relative}/"


# --- modules ----------------------------------------------------------------------------------


class Modules(Mapping[str, ModuleFacts]):
    """Facts by path, each file's unpickled when somebody asks for it."""

    def __init__(self, blobs: Mapping[str, bytes | memoryview], read: Callable[[str], bytes]) -> None:
        self._blobs = blobs
        self._facts: dict[str, ModuleFacts] = {}
        self._read = read

    def __getitem__(self, path: str) -> ModuleFacts:
        # The analysis asks a million times.
        try:
            return self._facts[path]
        except KeyError:
            found = self._facts[path] = self._unpickled(path)
            return found

    def _unpickled(self, path: str) -> ModuleFacts:
        blob = self._blobs[path]  # a KeyError of its own is the caller's
        try:
            facts = unpickled(blob)
        except DAMAGE:
            facts = None
        if not isinstance(facts, ModuleFacts):
            # The checksum was right, so somebody made this cache by hand.
            facts = index(path, self._read(path))
        # The cache is shared by runs that start in different folders.
        facts.path = path
        return facts

    def __contains__(self, path: object) -> bool:
        return path in self._blobs

    def __iter__(self) -> Iterator[str]:
        return iter(self._blobs)

    def __len__(self) -> int:
        return len(self._blobs)

    def with_changes(self, overlay: Mapping[str, bytes]) -> Modules:
        """The same, but for the facts of the files of `overlay`."""
        changed = Modules(self._blobs, self._read)
        changed._facts = {**self._facts, **{path: index(path, source) for path, source in overlay.items()}}
        return changed


class _Reader:
    """Reads each file once, so that all stages of a run see the same bytes."""

    def __init__(self, root: Path, overlay: Mapping[str, bytes]) -> None:
        self._root = root
        self._seen = dict(overlay)

    def __call__(self, path: str) -> bytes:
        if path not in self._seen:
            found = read_bytes(self._root / path, path)
            if isinstance(found, Problem):
                raise OSError(str(found))
            self._seen[path] = found
        return self._seen[path]


# --- loading ----------------------------------------------------------------------------------


class _Loading:
    """One run of `load`: `unread` are the cache's records that hold, `read` the files that were read."""

    def __init__(self, root: Path, cache: FactsCache, prefix: str, reader: _Reader) -> None:
        self._root = str(root)
        self._cache = cache
        self._prefix = prefix
        self._reader = reader
        self._problems: list[Problem] = []
        self._overlaid: dict[str, Indexed] = {}
        self._trees = Trees()
        self.unread: dict[str, Record] = {}
        self.read: dict[str, Indexed] = {}

    def take(self, files: Sequence[str], overlay: Mapping[str, bytes], jobs: int, progress: Progress) -> None:
        """Find the facts of every file."""
        todo: list[tuple[str, Stamp]] = []
        for path in files:
            if path in overlay:
                self._overlaid[path] = _indexed(path, overlay[path], b"", UNKNOWN)
                continue
            stamp = _stamp(os.path.join(self._root, path))
            record = self._cache.record(self._prefix + path)
            if record is not None and record.stamp == stamp != UNKNOWN:
                self.unread[self._prefix + path] = record
            else:
                todo.append((path, stamp))
        done = len(files) - len(todo)
        for path, stamp, outcome in self._outcomes(todo, jobs):
            self._keep(path, stamp, outcome)
            done += 1
            progress(done, len(files))

    def _outcomes(self, todo: list[tuple[str, Stamp]], jobs: int) -> Iterator[tuple[str, Stamp, _Outcome]]:
        work = [(path, stamp, self._known_digest(path)) for path, stamp in todo]
        if jobs == 1 or sum(stamp[2] for _, stamp in todo) < _WORTH_A_POOL:
            return (
                (path, stamp, _examined(self._root, path, stamp, known, self._trees)) for path, stamp, known in work
            )
        return _in_processes(self._root, work, jobs)

    def _known_digest(self, path: str) -> bytes:
        record = self._cache.record(self._prefix + path)
        return record.digest if record is not None else b""

    def _keep(self, path: str, stamp: Stamp, outcome: _Outcome) -> None:
        name = self._prefix + path
        if isinstance(outcome, Indexed):
            self.read[name] = outcome
        elif isinstance(outcome, Problem):
            self._problems.append(outcome)
        else:
            record = self._cache.record(name)
            assert record is not None  # its digest was compared
            self.unread[name] = record._replace(stamp=stamp)

    def loaded(self, files: Sequence[str]) -> Loaded:
        """Everything put together, in the order of `files`."""
        records: dict[str, Record] = {}
        blobs: dict[str, bytes | memoryview] = {}
        for path in files:
            name = self._prefix + path
            item = self._overlaid.get(path) or self.read.get(name)
            if item is not None:
                records[path], blobs[path] = item.record, item.blob
            elif name in self.unread:
                records[path] = self.unread[name]
                blobs[path] = self._cache.blob(records[path])
        unparsed = [Problem(path, record.error, record.hint) for path, record in records.items() if record.error]
        modules = Modules(blobs, self._reader)
        return Loaded(
            program=Program(modules, self._reader, self._trees.by_path),
            problems=(*self._problems, *unparsed),
            counts=self._counts(records.values()),
            marked=tuple(path for path, record in records.items() if record.marked),
            records=records,
            _modules=modules,
            _reader=self._reader,
        )

    def _counts(self, records: Iterable[Record]) -> Counts:
        sound = [record for record in records if not record.error]
        return Counts(
            files=len(sound),
            lines=sum(record.lines for record in sound),
            functions=sum(record.functions for record in sound),
            parsed=len(self.read) + len(self._overlaid),
            cached=len(self.unread),
        )


def _stamp(path: str) -> Stamp:
    try:
        status = os.stat(path)
    except OSError:
        return UNKNOWN  # reading it will say why
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size


class Trees:
    """Trees that the analysis may ask for, with the bytes that they were made from: as many as are worth the memory."""

    def __init__(self) -> None:
        self.by_path: dict[str, tuple[bytes, ast.Module]] = {}
        self._room = _WORTH_KEEPING

    def keep(self, path: str, raw: bytes, tree: ast.Module | None) -> None:
        """Keep a tree, as long as there is room."""
        if tree is not None and len(raw) <= self._room:
            self._room -= len(raw)
            self.by_path[path] = raw, tree


def _examined(root: str, path: str, stamp: Stamp, known: bytes, trees: Trees | None = None) -> _Outcome:
    """What a file holds; None where that is what `known` is the digest of."""
    raw = read_bytes(Path(root, path), path)
    if isinstance(raw, Problem):
        return raw
    identity = digest(raw)
    return None if identity == known else _indexed(path, raw, identity, stamp, trees)


def _indexed(path: str, raw: bytes, identity: bytes, stamp: Stamp, trees: Trees | None = None) -> Indexed:
    facts, tree = parsed_and_indexed(path, raw)
    if trees is not None:
        trees.keep(path, raw, tree)
    error, hint = _explained(facts, raw)
    record = Record(
        stamp, identity, facts.lines, len(facts.functions), MARKER in raw, error, hint, traits=traits_of(facts)
    )
    return Indexed(record, pickled_facts(facts))


def _explained(facts: ModuleFacts, raw: bytes) -> tuple[str, str]:
    """Why a file is missing in the program and what to do about it; empty where it is not."""
    if not facts.error:
        return "", ""
    source = decode(raw, facts.path)
    if isinstance(source, Problem):
        return source.message, source.hint
    if "needs Python" in facts.error:
        return facts.error, "run autolock with that version"
    return facts.error, "mend it or add it to extend-exclude"


# --- processes --------------------------------------------------------------------------------

_Work = tuple[str, Stamp, bytes]


def _in_processes(root: str, work: list[_Work], jobs: int) -> Iterator[tuple[str, Stamp, _Outcome]]:
    """The outcome of every file, in whatever order they are ready.

    Python's parser can crash on what it is not made for, and takes the process with it: what was not
    done then is done a file at a time, so that one file is lost and not the run.
    """
    from concurrent.futures import as_completed
    from concurrent.futures.process import BrokenProcessPool

    missing = {item[0]: item for item in work}
    chunks = list(_chunks(work, jobs * _CHUNKS_PER_PROCESS))
    try:
        with _pool(min(jobs, len(chunks))) as pool:
            for future in as_completed([pool.submit(_examine_all, root, chunk) for chunk in chunks]):
                for path, stamp, outcome in future.result():
                    del missing[path]
                    yield path, stamp, outcome
    except BrokenProcessPool:
        for item in missing.values():
            yield item[0], item[1], _alone(root, item)


def _alone(root: str, item: _Work) -> _Outcome:
    from concurrent.futures.process import BrokenProcessPool

    try:
        with _pool(1) as pool:
            return pool.submit(_examine_all, root, [item]).result()[0][2]
    except BrokenProcessPool:
        return Problem(item[0], "Python's parser crashes on it", "add it to extend-exclude")


def _examine_all(root: str, chunk: list[_Work]) -> list[tuple[str, Stamp, _Outcome]]:
    return [(path, stamp, _examined(root, path, stamp, known)) for path, stamp, known in chunk]


def _chunks(work: list[_Work], count: int) -> Iterator[list[_Work]]:
    """The work in about `count` parts of about the same size."""
    limit = sum(stamp[2] for _, stamp, _ in work) // count + 1
    chunk: list[_Work] = []
    size = 0
    for item in work:
        chunk.append(item)
        size += item[1][2]
        if size >= limit:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _pool(processes: int) -> ProcessPoolExecutor:
    # Imported late, as are all its uses: a warm run needs no processes and does not wait for this.
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    from autolock.program import objects  # noqa: F401 - traits need it: once here, not in each process

    # Forked processes have everything imported already; on macOS forking is not safe.
    method = "fork" if sys.platform == "linux" else None
    return ProcessPoolExecutor(processes, multiprocessing.get_context(method), _prepare_process)


def _prepare_process() -> None:
    import gc
    import signal

    # Ctrl-C is the parent's to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Syntax trees hold no cycles, so looking for them is a third of the time for nothing.
    gc.disable()
