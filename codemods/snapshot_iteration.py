"""Iterates over a copy of what may change meanwhile."""

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


class SnapshotIteration(RegionCodemod):
    """Turn `for x in EXPR:` at `at` into `for x in list(EXPR):`, or another `copy` than `list`."""

    DESCRIPTION = "Iterate over a copy of a collection."
    phase = Phase.STATEMENT

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        """The arguments of the command line, named as those of the class."""
        arg_parser.add_argument("--at", required=True, help="path of the for statement")
        arg_parser.add_argument("--copy", default="list", help="what makes the copy")

    def __init__(self, context: CodemodContext, at: str, copy: str = "list") -> None:
        super().__init__(context, at)
        self.copy = copy
        self._spaces = cst.SimpleWhitespace(" ")
        self._bare_tuple = False

    def transform_module_impl(self, tree: cst.Module) -> cst.Module:
        """The module with the copy; raises PlaceError."""
        return edit_statement(tree, self.region.start, self._copied)

    def undo(self, tree: cst.Module) -> cst.Module:
        """The module without the copy; raises PlaceError."""
        return edit_statement(tree, self.region.start, self._plain)

    def _copied(self, statement: Statement, _: Margin) -> cst.For:
        loop = _for(statement)
        source = loop.iter
        self._spaces = loop.whitespace_after_in
        self._bare_tuple = isinstance(source, cst.Tuple) and not source.lpar
        if isinstance(source, cst.Tuple) and self._bare_tuple:
            source = source.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
        call = cst.Call(func=expression(self.copy), args=[cst.Arg(source)])
        spaces = self._spaces if self._spaces.value else cst.SimpleWhitespace(" ")
        return loop.with_changes(iter=call, whitespace_after_in=spaces)

    def _plain(self, statement: Statement, _: Margin) -> cst.For:
        loop = _for(statement)
        call = loop.iter
        if not isinstance(call, cst.Call) or len(call.args) != 1 or not spells(call.func, self.copy):
            raise PlaceError(f"the loop does not run over {self.copy}(...)")
        source = call.args[0].value
        if isinstance(source, cst.Tuple) and self._bare_tuple:
            source = source.with_changes(lpar=(), rpar=())
        return loop.with_changes(iter=source, whitespace_after_in=self._spaces)

    def _move(self, index: int) -> Steps:
        return (Step(self.region.start.field, index),)


def _for(statement: Statement) -> cst.For:
    if not isinstance(statement, cst.For) or statement.asynchronous is not None:
        raise PlaceError("there is no plain for statement there")
    return statement
