"""Where a session stands on one path: which transaction, what it has written, which rows it has locked."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from autolock.database.trace import Commit, RowWrite
    from autolock.program.values import Location


class RowLock(NamedTuple):
    """A lock that the database holds until the transaction ends.

    `kind` is row or advisory, `serial` tells one acquisition from another.
    """

    kind: str
    table: Location | None
    serial: int
    node: ast.AST


@dataclass(frozen=True, slots=True)
class Transaction:
    """`serial` tells one transaction of a session from the next; `blocks` counts the `begin()` blocks that are open.

    `connected` when a statement has been run in it on every path: the session has its connection.
    `sent` are those of the pending writes that a flush has sent. `commits` are those that have happened
    on the way here, oldest first.
    """

    serial: int
    begun: bool = False
    blocks: int = 0
    pending: tuple[RowWrite, ...] = ()
    sent: frozenset[RowWrite] = frozenset()
    locks: tuple[RowLock, ...] = ()
    commits: tuple[Commit, ...] = ()
    isolated: bool = False
    connected: bool = False

    def merged(self, other: Transaction) -> Transaction:
        """Where two paths meet: row locks count when both hold them, the rest when one has it.

        An advisory lock that only one side takes is for one of several databases.
        """
        if self is other:
            return self
        serials = {lock.serial for lock in other.locks}
        return Transaction(
            max(self.serial, other.serial),
            self.begun or other.begun,
            max(self.blocks, other.blocks),
            tuple(dict.fromkeys((*self.pending, *other.pending))),
            self.sent & other.sent,
            tuple(
                dict.fromkeys(
                    lock for lock in (*self.locks, *other.locks) if lock.kind == "advisory" or lock.serial in serials
                )
            ),
            tuple(dict.fromkeys((*self.commits, *other.commits))),
            self.isolated and other.isolated,
            self.connected and other.connected,
        )

    def maybe(self) -> Transaction:
        """Where the path on which it is meets one on which the session has not been used."""
        return replace(self, connected=False) if self.connected else self

    def ended(self, serial: int, commit: Commit | None) -> Transaction:
        """After a commit (or a rollback, without one): nothing pending, nothing locked."""
        commits = (*self.commits, commit) if commit is not None else self.commits
        return replace(
            self,
            serial=serial,
            begun=False,
            connected=False,
            pending=(),
            sent=frozenset(),
            locks=(),
            commits=commits,
        )
