"""Every route with its handler, what that depends on, which state and tables it reads and writes, and under what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from autolock.listing.flags import Flag, flags_of
from autolock.program.trace import TAKING, Entry, context_name, origin

if TYPE_CHECKING:
    from autolock.database.trace import RowRead, RowWrite
    from autolock.engine import Analysis
    from autolock.findings import Finding
    from autolock.program.linker import Ref
    from autolock.program.trace import Write
    from autolock.program.values import Location

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Route:
    """One route.

    `handler` is `package/module.py:function`, at `line`. `context` is where it runs, `dependencies` are functions and
    classes that run before it, in their order. `reads` and `writes` are state in memory that requests change,
    `reads_tables` and `writes_tables` tables, `guards` locks that are taken on the way. `findings` are those that name
    the route, `operation` is its operationId in the OpenAPI document that was given.
    """

    method: str
    path: str
    handler: str
    line: int
    context: str
    dependencies: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    reads_tables: tuple[str, ...] = ()
    writes_tables: tuple[str, ...] = ()
    guards: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    flags: tuple[Flag, ...] = ()
    operation: str = ""

    @property
    def title(self) -> str:
        """`POST /purchase`."""
        return f"{self.method} {self.path}"


class RouteLister:
    """Lists the routes of an analysis; `findings` are those that a user is told of."""

    def __init__(self, analysis: Analysis, findings: Sequence[Finding]) -> None:
        self._analysis = analysis
        self._machine = analysis.machine
        self._findings: dict[str, list[Finding]] = defaultdict(list)
        for finding in findings:
            for route in finding.routes:
                self._findings[route].append(finding)

    def routes(self) -> Iterator[Route]:
        """All routes, a row for each method."""
        for entry in self._analysis.entries:
            if entry.kind == "route" and entry.function is not None:
                for label in entry.routes:
                    yield self._route(entry, entry.function, *label.split(" ", 1))

    def _route(self, entry: Entry, handler: Ref, method: str, path: str) -> Route:
        facts = self._analysis.program.function(handler)
        written = self._written.get(id(entry), [])
        changed = self._changed.get(id(entry), [])
        title = f"{method} {path}"
        return Route(
            method,
            path,
            f"{handler.path}:{handler.name}",
            facts.line if facts is not None else 0,
            context_name(entry.context),
            tuple(ref.name for ref in self._machine.depended.get(entry.label, ())),
            self._read_by(entry),
            _names(str(write.location.base) for write in written),
            _names(read.query.model.table for read in self._looked.get(id(entry), []) if read.query.model is not None),
            _names(write.model.table for write in changed),
            self._guards(entry),
            tuple(self._findings.get(title, ())),
            tuple(flags_of(self._analysis.program, handler, method, written, changed)),
        )

    @cached_property
    def _written(self) -> dict[int, list[Write]]:
        return _by_entry(self._machine.trace.writes)

    @cached_property
    def _looked(self) -> dict[int, list[RowRead]]:
        return _by_entry(self._machine.database.rows.trace.reads)

    @cached_property
    def _changed(self) -> dict[int, list[RowWrite]]:
        return _by_entry(self._machine.database.rows.trace.writes)

    @cached_property
    def _shared(self) -> dict[Ref, list[Location]]:
        """For each function what it reads of what anybody changes once the application has started."""
        changed = {write.location.root for entry, write in self._machine.trace.writes if entry.context != "startup"}
        found: dict[Ref, list[Location]] = defaultdict(list)
        for read in self._machine.trace.looks:
            if read.location.root in changed:
                found[read.function].append(read.location.base)
        return found

    def _read_by(self, entry: Entry) -> tuple[str, ...]:
        reach = self._machine.reach.get(entry.label)
        functions = reach.functions if reach is not None else frozenset()
        return _names(str(location) for function in functions for location in self._shared.get(function, ()))

    def _guards(self, entry: Entry) -> tuple[str, ...]:
        trace = self._machine.trace
        taken = [use.lock for use in trace.locks if origin(use.entry) is entry and use.style in TAKING]
        named = _names(str(lock.location) for lock in taken if lock.location is not None)
        for_update = any(read.locks for read in self._looked.get(id(entry), []))
        return (*named, *(["FOR UPDATE"] if for_update else []))


def _by_entry(recorded: Iterable[tuple[Entry, T]]) -> dict[int, list[T]]:
    """What was recorded, by the entry point that everything began with."""
    found: dict[int, list[T]] = defaultdict(list)
    for entry, event in recorded:
        found[id(origin(entry))].append(event)
    return found


def _names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({name for name in names if name}))
