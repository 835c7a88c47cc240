"""Puts one lock in place of another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from codemods.base import Phase, RegionCodemod
from codemods.blocks import Margin, Statement, edit_statement
from codemods.expressions import expression, spells
from codemods.paths import PlaceError, Step, Steps

if TYPE_CHECKING:
    import argparse

    from libcst.codemod import CodemodContext


class ReplaceLock(RegionCodemod):
    """Replace the context expression `item` (from 0) of the `with` at `at` by LOCK.

    `with` becomes `async with`, or the reverse, where the lock's kind asks for it and it is the
    only one of the statement.
    """

    DESCRIPTION = "Replace the lock of a with statement."
    phase = Phase.STATEMENT

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        """The arguments of the command line, named as those of the class."""
        arg_parser.add_argument("--at", required=True, help="path of the with statement")
        arg_parser.add_argument("--item", type=int, default=0, help="which of its context expressions")
        arg_parser.add_argument("--lock", required=True, help="the expression that is the new lock")
        arg_parser.add_argument("--is-async", action="store_true", help="the lock is for async with")

    def __init__(self, context: CodemodContext, at: str, item: int, lock: str, is_async: bool) -> None:
        super().__init__(context, at)
        self.item = item
        self.lock = lock
        self.is_async = is_async
        self._old: tuple[cst.BaseExpression, cst.Asynchronous | None] | None = None

    def transform_module_impl(self, tree: cst.Module) -> cst.Module:
        """The module with the other lock; raises PlaceError."""
        return edit_statement(tree, self.region.start, self._replaced)

    def undo(self, tree: cst.Module) -> cst.Module:
        """The module with the lock that was there before; raises PlaceError."""
        return edit_statement(tree, self.region.start, self._restored)

    def _replaced(self, statement: Statement, _: Margin) -> cst.With:
        block = self._with(statement)
        self._old = block.items[self.item].item, block.asynchronous
        asynchronous = block.asynchronous
        if self.is_async is not (asynchronous is not None):
            if len(block.items) != 1:
                raise PlaceError("the with statement has other items, which are not for that kind of with")
            asynchronous = cst.Asynchronous() if self.is_async else None
        return self._with_item(block, expression(self.lock)).with_changes(asynchronous=asynchronous)

    def _restored(self, statement: Statement, _: Margin) -> cst.With:
        block = self._with(statement)
        if self._old is None or not spells(block.items[self.item].item, self.lock):
            raise PlaceError(f"{self.lock} was not put there")
        old, asynchronous = self._old
        return self._with_item(block, old).with_changes(asynchronous=asynchronous)

    def _with(self, statement: Statement) -> cst.With:
        if not isinstance(statement, cst.With) or not 0 <= self.item < len(statement.items):
            raise PlaceError(f"there is no with statement with an item {self.item} there")
        return statement

    def _with_item(self, block: cst.With, lock: cst.BaseExpression) -> cst.With:
        items = list(block.items)
        items[self.item] = items[self.item].with_changes(item=lock)
        return block.with_changes(items=items)

    def _move(self, index: int) -> Steps:
        return (Step(self.region.start.field, index),)
