"""Inserts a row, or reads the one that another request has inserted meanwhile."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from codemods.base import Order, Phase, PlacedCodemod
from codemods.paths import PlaceError, Region, Relocate, StatementPath
from codemods.remove_statement import RemoveStatement
from codemods.scopes import parsed, statement_at
from codemods.sources import statements
from codemods.trying import TryingCodemod
from codemods.wrap_in_transaction import WrapInTransaction

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    import libcst as cst
    from libcst.codemod import CodemodContext

    from codemods.blocks import Statement


class InsertOrReselect(PlacedCodemod):
    """Put `count` sibling statements from `at` on, which add a row, into a nested transaction of their own.

    Where that fails with ERROR, RESELECT (the source of statements) reads the row that is there.
    With `drop_last` the last of the statements is a `flush()`, which the end of the nested
    transaction does anyway: it is removed. A `commit()` belongs after the statements: it would end
    the nested transaction.
    """

    DESCRIPTION = "Insert a row, or read the one that is there."

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        """The arguments of the command line, named as those of the class."""
        TryingCodemod.add_args(arg_parser)
        arg_parser.add_argument("--session", required=True, help="the session that adds the row")
        arg_parser.add_argument("--is-async", action="store_true", help="write async with")
        arg_parser.add_argument("--reselect", required=True, help="the statements that read the row")
        arg_parser.add_argument("--drop-last", action="store_true", help="remove the flush that is the last of them")

    def __init__(
        self,
        context: CodemodContext,
        at: str,
        count: int,
        session: str,
        is_async: bool,
        reselect: str,
        error: str,
        drop_last: bool = False,
    ) -> None:
        super().__init__(context)
        self.region = Region(StatementPath.parse(at), count)
        self.session = session
        self.is_async = is_async
        self.reselect = reselect
        self.error = error
        self.drop_last = drop_last
        self._steps: list[PlacedCodemod] = []

    @property
    def order(self) -> Order:
        """Among the regions, outer ones first."""
        return Phase.REGION, self.region.start.steps, (-self.region.count,)

    def follow(self, relocate: Relocate) -> None:
        self.region = self.region.moved(relocate)

    def relocate(self, path: StatementPath) -> StatementPath:
        for step in self._steps:
            path = step.relocate(path)
        return path

    def transform_module_impl(self, tree: cst.Module) -> cst.Module:
        """The module with the nested transaction; raises PlaceError."""
        start, kept = self.region.start, self.region.count - int(self.drop_last)
        if self.drop_last:
            last = start.sibling(self.region.end - 1)
            self._check_flush(tree, last)
            self._steps.append(RemoveStatement(self.context, str(last)))
        self._steps.append(_Reselecting(self.context, str(start), kept, self.error, self.reselect))
        inside, header = str(start.child("body", 0)), f"{self.session}.begin_nested()"
        self._steps.append(WrapInTransaction(self.context, inside, kept, header, self.is_async))
        for step in self._steps:
            tree = step.transform_module(tree)
        return tree

    def undo(self, tree: cst.Module) -> cst.Module:
        """The module without it; raises PlaceError."""
        for step in reversed(self._steps):
            tree = step.undo(tree)
        return tree

    def _check_flush(self, tree: cst.Module, last: StatementPath) -> None:
        flush = f"{'await ' if self.is_async else ''}{self.session}.flush()"
        if ast.unparse(statement_at(parsed(tree.code), last)) != flush:
            raise PlaceError(f"the last of the statements is not '{flush}', so it cannot be dropped")


class _Reselecting(TryingCodemod):
    """The `try` whose handler reads the row."""

    def __init__(self, context: CodemodContext, at: str, count: int, error: str, reselect: str) -> None:
        super().__init__(context, at, count, error)
        self.reselect = reselect

    def handling(self, newline: cst.Newline) -> Sequence[Statement]:
        return statements(self.reselect, newline)
