"""What came out of the analysis of each part of a program, in this run or an earlier one.

An outcome holds for as long as nothing that the analysis looked at has changed: the files of the part,
the few outside of it that it looked into all the same, which files there are at all, which names
the rest of the project changes, the settings that matter, and autolock itself. Outcomes are kept in one
file of the cache folder, which is read by an unpickler that knows findings and nothing else.
"""

from __future__ import annotations

import contextlib
import gc
import io
import os
import pickle
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from autolock import __version__, findings, registry
from autolock.database.migrations import Migrated
from autolock.database.project import DatabaseFacts, ProjectDatabases
from autolock.findings import Finding
from autolock.program.cache import DAMAGE
from autolock.program.parts import Answers, Divided, PartModules
from autolock.source import digest

if TYPE_CHECKING:
    from autolock.engine import Analysis
    from autolock.plan import Plan
    from autolock.program.trace import Nearby, Reach

_NAME = "outcomes"
#: Runs after which an outcome that none of them asked for is dropped.
_OLDEST = 20
#: Lines of source to analyse below which starting processes takes longer than they save.
_WORTH_A_POOL = 40_000
#: Lines after whose analysis it is worth while to look for cycles.
_WORTH_COLLECTING = 100_000

Part = tuple[str, ...]


class Outcome(NamedTuple):
    """What the analysis of a part says: `stopped` are the places where it gave up, with the reasons.

    `answers` and `strays` (file, digest) are what it took from the rest of the project.
    """

    findings: tuple[Finding, ...] = ()
    routes: tuple[str, ...] = ()
    stopped: tuple[tuple[str, str], ...] = ()
    answers: Answers = ()
    strays: tuple[tuple[str, bytes], ...] = ()


class Mending(NamedTuple):
    """The plans that mend a part, and what each of its entry points leads to."""

    plans: tuple[Plan, ...]
    reach: Mapping[str, Reach]


Made = tuple[Part, Outcome, Mending]
"""What came out of a part in this run, and what mends it."""


class Looked(NamedTuple):
    """An analysis of a part, with what it took from elsewhere."""

    analysis: Analysis
    findings: tuple[Finding, ...]
    plans: tuple[Plan, ...]
    answers: Answers
    strays: frozenset[str]
    reach: Mapping[str, Reach]


def look_into(
    divided: Divided,
    part: Part,
    lock_names: frozenset[str],
    databases: DatabaseFacts,
    *,
    keep: bool,
    mending: bool,
    nearby: Nearby | None = None,
) -> Looked:
    """Analyse one part, or some entry points of it; `keep` keeps its trees for later analyses.

    What its entry points reach is found out when it is to be mended.
    """
    # Imported late: a run in which nothing has changed does without.
    from autolock import engine

    modules = PartModules(divided.program.modules, part)
    asked = divided.names.asked()
    analysis = engine.analyse(
        divided.program.part(modules, keep=keep), lock_names, asked, databases, nearby, mending=mending
    )
    found, plans = engine.find(analysis, registry.rules())
    answers = divided.names.answers(asked)
    return Looked(analysis, found, plans, answers, frozenset(modules.strays), analysis.machine.reach)


class Outcomes:
    """The outcomes of all parts of a program.

    `digests` identify the files' contents, `lines` say how long they are. `folder` holds the outcomes of
    earlier runs, None does without; `prefix` is put before paths that are the same in all runs.
    """

    def __init__(
        self,
        divided: Divided,
        digests: Mapping[str, bytes],
        lines: Mapping[str, int],
        lock_names: frozenset[str],
        databases: ProjectDatabases,
        *,
        folder: Path | None = None,
        prefix: str = "",
        mending: bool = False,
    ) -> None:
        self.mending: dict[Part, Mending] = {}
        self._mending = mending
        self._divided = divided
        self._digests = digests
        self._lines = lines
        self._lock_names = lock_names
        self._databases = databases
        self._prefix = prefix
        self._cache = _Cache(folder if folder is not None and _only_own_rules() else None)

    def all(self, jobs: int) -> dict[Part, Outcome]:
        """The outcome of every part in which anything can run, in the order of the parts."""
        known: dict[Part, Outcome] = {}
        todo: list[Part] = []
        keys = dict(self._keys()) if self._cache.is_on else {}
        parts = [part for part in self._divided.parts if not self._divided.is_inert(part)]
        for part in parts:
            outcome = self._cache.get(keys[part]) if keys else None
            if outcome is not None and self._holds(outcome):
                known[part] = outcome
            else:
                todo.append(part)
        for part, outcome, mending in self._made(todo, jobs):
            known[part], self.mending[part] = outcome, mending
            if keys:
                self._cache.put(keys[part], outcome)
        self._cache.save()
        return {part: known[part] for part in parts}

    def _keys(self) -> Iterator[tuple[Part, bytes]]:
        where = "\0".join((self._prefix, *sorted(self._digests))).encode("utf-8", "surrogatepass")
        names = "\0".join((*sorted(self._lock_names), "", *sorted(self._divided.names.makers)))
        common = digest(self._databases.signature) + digest(where) + digest(names.encode("utf-8", "surrogatepass"))
        for part in self._divided.parts:
            files = b"".join(path.encode("utf-8", "surrogatepass") + b"\0" + self._digests[path] for path in part)
            yield part, digest(common + files)

    def _holds(self, outcome: Outcome) -> bool:
        return self._divided.names.holds(outcome.answers) and all(
            self._digests.get(path) == identity for path, identity in outcome.strays
        )

    # -- analysing ---------------------------------------------------------------

    def _made(self, parts: list[Part], jobs: int) -> Iterator[Made]:
        if parts:
            self._read_migrations()  # once, not in each process
        lines = sum(self._size(part) for part in parts)
        shares = _shares([(self._size(part), part) for part in parts], jobs)
        if len(shares) < 2 or lines < _WORTH_A_POOL or sys.platform != "linux":
            yield from self.make(parts)
            return
        from concurrent.futures import as_completed
        from concurrent.futures.process import BrokenProcessPool

        missing = dict.fromkeys(parts)
        try:
            with _forked(self, min(jobs, len(shares))) as pool:
                for future in as_completed([pool.submit(_make, share) for share in shares]):
                    for made in future.result():
                        del missing[made[0]]
                        yield made
        except BrokenProcessPool:
            yield from self.make(list(missing))

    def _read_migrations(self) -> None:
        """Find out what the migrations say, or what an earlier run found when they were the same."""
        databases = self._databases
        if not databases.concerned:
            return
        key = digest(b"migrations" + databases.signature) if self._cache.is_on else b""
        known = self._cache.recall(key)
        if known is not None and len(known) == len(Migrated._fields):
            databases.migrated = Migrated(*known)
        else:
            self._cache.put(key, databases.migrated)

    def make(self, parts: Sequence[Part]) -> Iterator[Made]:
        """Analyse parts, one after the other."""
        with without_collection():
            lines = 0
            for number, part in enumerate(parts, 1):
                yield part, *self._outcome(part)
                lines += self._size(part)
                if lines >= _WORTH_COLLECTING and number < len(parts):
                    gc.collect()
                    gc.freeze()  # what is left stays, so the next time need not look at it
                    lines = 0

    def _outcome(self, part: Part) -> tuple[Outcome, Mending]:
        looked = look_into(
            self._divided, part, self._lock_names, self._databases.facts, keep=False, mending=self._mending
        )
        analysis = looked.analysis
        outcome = Outcome(
            looked.findings,
            tuple(sorted({route for entry in analysis.entries for route in entry.routes})),
            tuple(sorted(analysis.stopped.items())),
            looked.answers,
            tuple(sorted((path, self._digests[path]) for path in looked.strays)),
        )
        if self._mending and looked.plans:
            self._divided.program.keep_trees_of(analysis.program)
        # Most of it is gone at once, without a search for cycles.
        vars(analysis.machine).clear()
        vars(analysis.program).clear()
        return outcome, Mending(looked.plans, looked.reach)

    def _size(self, part: Part) -> int:
        return sum(self._lines[path] for path in part)


@contextmanager
def without_collection() -> Iterator[None]:
    """Leave cycles alone: the analysis makes millions of objects, nearly none of them in cycles."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.enable()


def _only_own_rules() -> bool:
    """Whether all rules are autolock's: what others' rules depend on is not known."""
    return all(type(rule).__module__.partition(".")[0] == __name__.partition(".")[0] for rule in registry.rules())


# --- processes --------------------------------------------------------------------------------

_forked_with: list[Outcomes] = []


def _forked(outcomes: Outcomes, processes: int) -> Any:
    """A pool of processes that have everything in memory already."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    from autolock import engine  # noqa: F401 - once here, not in each process

    _forked_with[:] = [outcomes]
    return ProcessPoolExecutor(processes, multiprocessing.get_context("fork"), _prepare_process)


def _prepare_process() -> None:
    import signal

    # Ctrl-C is the parent's to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What is there already is shared with the parent: looking at it would copy it.
    gc.freeze()
    gc.disable()


def _make(parts: list[Part]) -> list[Made]:
    return list(_forked_with[0].make(parts))


def _shares(sized: list[tuple[int, Part]], count: int) -> list[list[Part]]:
    """Parts in lots: the large ones first and alone, so that no process is left with a large one at the end."""
    limit = sum(size for size, _ in sized) // (count * 8) + 1
    shares: list[list[Part]] = []
    room = 0
    for size, part in sorted(sized, key=lambda pair: -pair[0]):
        if room <= 0:
            shares.append([])
            room = limit
        shares[-1].append(part)
        room -= size
    return shares if count > 1 else [[part for share in shares for part in share]]


# --- cache ------------------------------------------------------------------------------------

_CLASSES: dict[tuple[str, str], type] = {
    (findings.__name__, name): value
    for name, value in vars(findings).items()
    if isinstance(value, type) and value.__module__ == findings.__name__
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type:
        """Only the classes of findings. Raises KeyError for any other, so that a pickle can run no code."""
        return _CLASSES[module, name]


class _Cache:
    """Outcomes by what they depend on; each is pickled by itself, so that one is read only when it is asked for."""

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / _NAME if folder is not None else None
        self._header = _header() if folder is not None else b""
        self._old: dict[bytes, tuple[int, bytes]] = {}
        self._used: set[bytes] = set()
        self._new: dict[bytes, bytes] = {}
        if self._path is not None:
            with contextlib.suppress(OSError, *DAMAGE):
                self._old = self._read(self._path)

    @property
    def is_on(self) -> bool:
        return self._path is not None

    def _read(self, path: Path) -> dict[bytes, tuple[int, bytes]]:
        raw = path.read_bytes()
        start = len(self._header) + 4
        if not raw.startswith(self._header) or raw[len(self._header) : start] != _checksum(raw[start:]):
            return {}
        table = _Unpickler(io.BytesIO(raw[start:])).load()
        return {bytes(key): (int(age), bytes(blob)) for key, (age, blob) in table.items()}

    def get(self, key: bytes) -> Outcome | None:
        """The outcome that was kept under a key."""
        known = self.recall(key)
        try:
            outcome = Outcome(*known or ())
        except DAMAGE:
            return None
        return outcome if known and all(isinstance(finding, Finding) for finding in outcome.findings) else None

    def recall(self, key: bytes) -> tuple[Any, ...] | None:
        """What was kept under a key."""
        try:
            known = _Unpickler(io.BytesIO(self._old[key][1])).load()
        except DAMAGE:
            return None
        self._used.add(key)
        return known if isinstance(known, tuple) else None

    def put(self, key: bytes, known: tuple[Any, ...]) -> None:
        """Keep plain data, or an outcome."""
        self._new[key] = pickle.dumps(tuple(known), 5)

    def save(self) -> None:
        """Write the cache anew where something was added; one that cannot be written is done without."""
        if self._path is None or not self._new:
            return
        kept = {key: (0 if key in self._used else age + 1, blob) for key, (age, blob) in self._old.items()}
        table = {key: item for key, item in kept.items() if item[0] <= _OLDEST}
        table |= {key: (0, blob) for key, blob in self._new.items()}
        body = pickle.dumps(table, 5)
        beside = self._path.with_name(f"{self._path.name}.{os.getpid()}.tmp")
        try:
            beside.write_bytes(self._header + _checksum(body) + body)
            os.replace(beside, self._path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(beside)


def _checksum(body: bytes) -> bytes:
    return zlib.crc32(body).to_bytes(4, "little")


def _header() -> bytes:
    """Identifies autolock's code: all of it, since anything in it can change what is found or said."""
    code = [file.read_bytes() for file in sorted(Path(__file__).parent.rglob("*.py"))]
    rules = ",".join(rule.id for rule in registry.rules())
    python = ".".join(map(str, sys.version_info[:3]))
    parts = (__version__, digest(b"".join(code)).hex(), rules, sys.implementation.name, python)
    return f"autolock outcomes {' '.join(parts)}\n".encode()
