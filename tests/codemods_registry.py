"""The codemods under the names by which edits call them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codemods.add_method import AddMethod
from codemods.add_parameter import AddParameter
from codemods.answer_conflict import AnswerConflict
from codemods.ask_again import AskAgain
from codemods.decorate import Decorate
from codemods.define_lock import DefineLock
from codemods.double_checked import DoubleChecked
from codemods.extend_lock import ExtendLock
from codemods.finally_release import FinallyRelease
from codemods.flush_commit import FlushCommit
from codemods.gather_in_sequence import GatherInSequence
from codemods.hold_longer import HoldLonger
from codemods.import_name import ImportName
from codemods.insert_after import InsertAfter
from codemods.insert_before import InsertBefore
from codemods.insert_or_reselect import InsertOrReselect
from codemods.lock_rows import LockRows
from codemods.release_in_finally import ReleaseInFinally
from codemods.remove_parameter import RemoveParameter
from codemods.remove_statement import RemoveStatement
from codemods.replace_expression import ReplaceExpression
from codemods.replace_lock import ReplaceLock
from codemods.snapshot_iteration import SnapshotIteration
from codemods.undecorate import Undecorate
from codemods.unwrap_lock import UnwrapLock
from codemods.update_in_sql import UpdateInSql
from codemods.wrap_checked import WrapChecked
from codemods.wrap_in_lock import WrapInLock
from codemods.wrap_in_transaction import WrapInTransaction
from codemods.yield_session import YieldSession

if TYPE_CHECKING:
    from codemods.base import PlacedCodemod

CODEMODS: dict[str, type[PlacedCodemod]] = {
    "add-method": AddMethod,
    "add-parameter": AddParameter,
    "answer-conflict": AnswerConflict,
    "ask-again": AskAgain,
    "decorate": Decorate,
    "define-lock": DefineLock,
    "double-checked": DoubleChecked,
    "extend-lock": ExtendLock,
    "finally-release": FinallyRelease,
    "flush-commit": FlushCommit,
    "gather-in-sequence": GatherInSequence,
    "hold-longer": HoldLonger,
    "import-name": ImportName,
    "insert-after": InsertAfter,
    "insert-before": InsertBefore,
    "insert-or-reselect": InsertOrReselect,
    "lock-rows": LockRows,
    "release-in-finally": ReleaseInFinally,
    "remove-parameter": RemoveParameter,
    "remove-statement": RemoveStatement,
    "replace-expression": ReplaceExpression,
    "replace-lock": ReplaceLock,
    "snapshot-iteration": SnapshotIteration,
    "undecorate": Undecorate,
    "unwrap-lock": UnwrapLock,
    "update-in-sql": UpdateInSql,
    "wrap-checked": WrapChecked,
    "wrap-in-lock": WrapInLock,
    "wrap-in-transaction": WrapInTransaction,
    "yield-session": YieldSession,
}
