"""State in the memory of one process, in an application that runs in several.

Each process has a copy of its own. No lock of a process keeps another one out, and nothing has to be awaited in
between: what lies between a look and the write that depends on it is the other process.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from autolock.program.index import dotted
from autolock.program.trace import origin, undoes
from autolock.program.windows import Finder, RaceWindow

if TYPE_CHECKING:
    from autolock.deployment.evidence import Deployed
    from autolock.program.trace import Candidate, Entry, Held, Read, Write
    from autolock.program.values import Location

_LOGS = {"debug", "info", "warning", "error", "exception", "critical", "log", "print"}


@dataclass(slots=True)
class ProcessWindow(RaceWindow):
    """A Window between two processes; `kind` is across-processes.

    `deployed` is what says that there are several. `decides` tells that requests are refused by what is there. A file
    is not each process's own: what each has for itself is the lock.
    """

    deployed: Deployed | None = None
    decides: bool = False

    @property
    def is_file(self) -> bool:
        """Whether it is about a file, which all processes share."""
        return self.location.root.kind == "file"


class ProcessFinder(Finder):
    """Finds what requests decide or count by state that each process has for itself."""

    def across(self, deployed: Deployed) -> list[ProcessWindow]:
        """One window for each piece of state, the one that decides most."""
        best: dict[object, ProcessWindow] = {}
        for window in self.read_write():
            if not self._is_for_all(window):
                continue
            found = _as_process_window(window, deployed)
            key = _holder(window.location)
            if key not in best or found.decides > best[key].decides:
                best[key] = found
        return list(best.values())

    def _is_for_all(self, window: RaceWindow) -> bool:
        """Whether all processes together would have to go by the same state."""
        write = window.write
        if write is None or not any(e.kind == "route" for e in _origins(window)):
            return False
        if write.location.root.kind == "file":
            # Without a lock it is found as it is; one of which nothing is known may be a lock on the file.
            return bool(window.guards) and not any(lock.unknown for lock in window.guards)
        if window.dependence == "control":
            return window.exit == "raise" and not _is_live(write) and not self._is_lent(write)
        counts = write.kind == "augment" or (write.kind == "assign" and write.made == "expression")
        return counts and not self._is_lent(write) and self._is_used(write)

    def _is_used(self, write: Write) -> bool:
        """Whether the function goes on with the number that it has made: it is the next one, and no statistic."""
        return any(
            read.location == write.location
            and read.serial > write.serial
            and read.function == write.function
            and not _is_told(read)
            for read in self.trace.looks
        )

    def _is_lent(self, write: Write) -> bool:
        """Whether a request gives back what it takes: how many are at work in one process is that process's matter."""
        return any(
            other.function == write.function
            and other.location == write.location
            and undoes(other, write)
            and not self._is_way_out(other)
            for _, other in self.by_root[write.location.root]
        )

    def _is_way_out(self, write: Write) -> bool:
        """Whether something is done only where a branch or a failure has led."""
        node, statement = self.program.syntax_of(write.function), write.stack[-1].statement
        handlers = [n for n in ast.walk(node) if isinstance(n, ast.ExceptHandler)] if node is not None else []
        failed = any(inner is statement for handler in handlers for inner in ast.walk(handler))
        return failed or self.vanity.branches.is_conditional(write)

    # What a lock of this process, or the lack of an await, keeps others of this process from does not matter.

    @classmethod
    def _kept(cls, candidate: Candidate) -> list[Held]:
        return []

    @staticmethod
    def _common(one: Iterable[Held], other: Iterable[Held]) -> list[Held]:
        return []

    @staticmethod
    def _separable(candidate: Candidate, mixed: bool) -> bool:
        return True


def _origins(window: RaceWindow) -> Iterator[Entry]:
    return (origin(entry) for entry in window.entries)


def _is_told(read: Read) -> bool:
    """Whether a look only asks or logs how many there are by now: each process may well count for itself."""
    statement = read.stack[-1].statement
    asked = statement.test if isinstance(statement, ast.If | ast.While) else None
    call = statement.value if isinstance(statement, ast.Expr) else None
    if isinstance(call, ast.Call) and dotted(call.func).rpartition(".")[2] in _LOGS:
        asked = call
    return asked is not None and any(node is read.node for node in ast.walk(asked))


def _is_live(write: Write) -> bool:
    """Whether what is kept is an object that lives in its process: a connection, a task, an object with methods."""
    return write.made in ("new", "await", "call") and write.kind in ("assign", "insert")


def _as_process_window(window: RaceWindow, deployed: Deployed) -> ProcessWindow:
    """The same window, between two processes."""
    told = {field.name: getattr(window, field.name) for field in fields(RaceWindow)}
    told |= {"kind": "across-processes", "relation": "unguarded", "race": True}
    return ProcessWindow(**told, deployed=deployed, decides=window.dependence == "control")


def _holder(location: Location) -> object:
    """What is one thing to whoever moves it elsewhere: the object or the variable, whichever of its parts is meant."""
    return location.root, location.fields[:1]
