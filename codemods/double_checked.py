"""Checks again under a lock what was checked without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from codemods.base import RegionCodemod
from codemods.blocks import Margin, Statement, block_of, edit_statement, indented_block, newline_of, pinned
from codemods.locks import held, with_lock
from codemods.paths import PlaceError, StatementPath, Step, Steps

if TYPE_CHECKING:
    import argparse

    from libcst.codemod import CodemodContext


class DoubleChecked(RegionCodemod):
    """Turn `if TEST: BODY` into `if TEST:` / `with LOCK:` / `if TEST:` / BODY.

    The statement must have no else. What is created once is then created once, and the lock is
    taken only until it exists.
    """

    DESCRIPTION = "Check again under a lock what an if statement checked without it."

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        """The arguments of the command line, named as those of the class."""
        arg_parser.add_argument("--at", required=True, help="path of the if statement")
        arg_parser.add_argument("--lock", required=True, help="the expression that is the lock")
        arg_parser.add_argument("--is-async", action="store_true", help="write async with")

    def __init__(self, context: CodemodContext, at: str, lock: str, is_async: bool) -> None:
        super().__init__(context, at)
        self.lock = lock
        self.is_async = is_async

    def transform_module_impl(self, tree: cst.Module) -> cst.Module:
        """The module with the second check; raises PlaceError."""
        return edit_statement(tree, self.region.start, self._checked)

    def undo(self, tree: cst.Module) -> cst.Module:
        """The module with the lock and the second check taken away; raises PlaceError."""
        return edit_statement(tree, self.region.start, self._unchecked)

    def relocate(self, path: StatementPath) -> StatementPath:
        return path.moved(self.region.start.child("body", 0), self._move_inside)

    def _checked(self, statement: Statement, margin: Margin) -> cst.If:
        outer = _plain_if(statement)
        newline = newline_of(outer)
        indent = block_of(outer, "body", margin).margin.step
        body = pinned(outer.body, margin)
        if isinstance(body, cst.IndentedBlock):
            body = body.with_changes(header=cst.TrailingWhitespace(newline=newline))
        inner = cst.If(test=outer.test.deep_clone(), body=body)
        guarded = with_lock(indented_block([inner], indent, newline), self.lock, is_async=self.is_async)
        block = indented_block([guarded], indent, newline)
        if isinstance(outer.body, cst.IndentedBlock):
            block = block.with_changes(header=outer.body.header)
        return outer.with_changes(body=block)

    def _unchecked(self, statement: Statement, margin: Margin) -> cst.If:
        outer = _plain_if(statement)
        block = block_of(outer, "body", margin)
        guarded = held(block.lines[0], self.lock, is_async=self.is_async)
        inner = _plain_if(block_of(guarded, "body", block.margin).lines[0])
        if not inner.test.deep_equals(outer.test):
            raise PlaceError("the two checks differ")
        body = inner.body
        if isinstance(body, cst.IndentedBlock) and isinstance(outer.body, cst.IndentedBlock):
            body = body.with_changes(header=outer.body.header)
        return outer.with_changes(body=body)

    def _move(self, index: int) -> Steps:
        return (Step(self.region.start.field, index),)

    def _move_inside(self, index: int) -> Steps:
        return Step("body", 0), Step("body", 0), Step("body", index)


def _plain_if(statement: Statement) -> cst.If:
    if not isinstance(statement, cst.If) or statement.orelse is not None:
        raise PlaceError("there is no if statement without else there")
    return statement
