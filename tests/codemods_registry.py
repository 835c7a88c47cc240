"""The codemods under the names by which edits call them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codemods.define_lock import DefineLock
from codemods.double_checked import DoubleChecked
from codemods.extend_lock import ExtendLock
from codemods.flush_commit import FlushCommit
from codemods.import_name import ImportName
from codemods.lock_rows import LockRows
from codemods.release_in_finally import ReleaseInFinally
from codemods.remove_statement import RemoveStatement
from codemods.replace_expression import ReplaceExpression
from codemods.replace_lock import ReplaceLock
from codemods.snapshot_iteration import SnapshotIteration
from codemods.unwrap_lock import UnwrapLock
from codemods.wrap_in_lock import WrapInLock

if TYPE_CHECKING:
    from codemods.base import PlacedCodemod

CODEMODS: dict[str, type[PlacedCodemod]] = {
    "define-lock": DefineLock,
    "double-checked": DoubleChecked,
    "extend-lock": ExtendLock,
    "flush-commit": FlushCommit,
    "import-name": ImportName,
    "lock-rows": LockRows,
    "release-in-finally": ReleaseInFinally,
    "remove-statement": RemoveStatement,
    "replace-expression": ReplaceExpression,
    "replace-lock": ReplaceLock,
    "snapshot-iteration": SnapshotIteration,
    "unwrap-lock": UnwrapLock,
    "wrap-in-lock": WrapInLock,
}
