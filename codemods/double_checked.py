"""Checks again under a lock what was checked without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from codemods.base import RegionCodemod
from codemods.blocks import (
    Block,
    Margin,
    Statement,
    block_of,
    edit_block,
    edit_statement,
    indented_block,
    newline_of,
    pinned,
)
from codemods.expressions import syntax_of
from codemods.locks import held, with_lock
from codemods.paths import PlaceError, StatementPath, Step, Steps

if TYPE_CHECKING:
    import argparse

    from libcst.codemod import CodemodContext


class DoubleChecked(RegionCodemod):
    """Turn `if TEST: BODY` into `if TEST:` / `with LOCK:` / `if TEST:` / BODY.

    The statement must have no else. What is created once is then created once, and the lock is
    taken only until it exists. With `looks`, so many statements before it are done again under the
    lock: they look for what TEST asks about.
    """

    DESCRIPTION = "Check again under a lock what an if statement checked without it."

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        """The arguments of the command line, named as those of the class."""
        arg_parser.add_argument("--at", required=True, help="path of the if statement")
        arg_parser.add_argument("--lock", required=True, help="the expression that is the lock")
        arg_parser.add_argument("--is-async", action="store_true", help="write async with")
        arg_parser.add_argument("--looks", type=int, default=0, help="how many statements before it look")

    def __init__(self, context: CodemodContext, at: str, lock: str, is_async: bool, looks: int = 0) -> None:
        super().__init__(context, at)
        self.lock = lock
        self.is_async = is_async
        self.looks = looks
        self._looked: list[Statement] = []

    def transform_module_impl(self, tree: cst.Module) -> cst.Module:
        """The module with the second check; raises PlaceError."""
        self._note_looks(tree)
        return edit_statement(tree, self.region.start, self._checked)

    def undo(self, tree: cst.Module) -> cst.Module:
        """The module with the lock and the second check taken away; raises PlaceError."""
        self._note_looks(tree)
        return edit_statement(tree, self.region.start, self._unchecked)

    def relocate(self, path: StatementPath) -> StatementPath:
        return path.moved(self.region.start.child("body", 0), self._move_inside)

    def _note_looks(self, tree: cst.Module) -> None:
        """Find the statements before the check; raises PlaceError."""

        def note(block: Block) -> Block:
            span = block.span(self.region.start.index - self.looks, self.looks)
            lines = block.lines[span.start : span.stop]
            self._looked = [pinned(line, block.margin).with_changes(leading_lines=()).deep_clone() for line in lines]
            return block

        if self.looks > self.region.start.index:
            raise PlaceError("there are not so many statements before the check")
        if self.looks:
            edit_block(tree, self.region.start, note)

    def _checked(self, statement: Statement, margin: Margin) -> cst.If:
        outer = _plain_if(statement)
        newline = newline_of(outer)
        indent = block_of(outer, "body", margin).margin.step
        body = pinned(outer.body, margin)
        if isinstance(body, cst.IndentedBlock):
            body = body.with_changes(header=cst.TrailingWhitespace(newline=newline))
        inner = cst.If(test=outer.test.deep_clone(), body=body)
        guarded = with_lock(indented_block([*self._looked, inner], indent, newline), self.lock, is_async=self.is_async)
        block = indented_block([guarded], indent, newline)
        if isinstance(outer.body, cst.IndentedBlock):
            block = block.with_changes(header=outer.body.header)
        return outer.with_changes(body=block)

    def _unchecked(self, statement: Statement, margin: Margin) -> cst.If:
        outer = _plain_if(statement)
        block = block_of(outer, "body", margin)
        guarded = held(block.lines[0], self.lock, is_async=self.is_async)
        *looked, last = block_of(guarded, "body", block.margin).lines
        inner = _plain_if(last)
        if list(map(syntax_of, looked)) != list(map(syntax_of, self._looked)):
            raise PlaceError("what is looked at again is not what was looked at before")
        if not inner.test.deep_equals(outer.test):
            raise PlaceError("the two checks differ")
        body = inner.body
        if isinstance(body, cst.IndentedBlock) and isinstance(outer.body, cst.IndentedBlock):
            body = body.with_changes(header=outer.body.header)
        return outer.with_changes(body=body)

    def _move(self, index: int) -> Steps:
        return (Step(self.region.start.field, index),)

    def _move_inside(self, index: int) -> Steps:
        return Step("body", 0), Step("body", self.looks), Step("body", index)


def _plain_if(statement: Statement) -> cst.If:
    if not isinstance(statement, cst.If) or statement.orelse is not None:
        raise PlaceError("there is no if statement without else there")
    return statement
