"""Asks again after each wait what was asked before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from codemods.base import Phase, RegionCodemod
from codemods.blocks import Margin, Statement, edit_statement
from codemods.paths import PlaceError, Step, Steps

if TYPE_CHECKING:
    import argparse

    from libcst.codemod import CodemodContext


class AskAgain(RegionCodemod):
    """Turn `if TEST:` at `at`, which has no other branch, into `while TEST:`."""

    DESCRIPTION = "Ask a test again until it is false."
    phase = Phase.STATEMENT

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        """The arguments of the command line, named as those of the class."""
        arg_parser.add_argument("--at", required=True, help="path of the if statement")

    def __init__(self, context: CodemodContext, at: str) -> None:
        super().__init__(context, at)

    def transform_module_impl(self, tree: cst.Module) -> cst.Module:
        """The module with the loop; raises PlaceError."""
        return edit_statement(tree, self.region.start, _loop)

    def undo(self, tree: cst.Module) -> cst.Module:
        """The module with the question that is asked once; raises PlaceError."""
        return edit_statement(tree, self.region.start, _branch)

    def _move(self, index: int) -> Steps:
        return (Step(self.region.start.field, index),)


def _loop(statement: Statement, _: Margin) -> cst.While:
    if not isinstance(statement, cst.If) or statement.orelse is not None:
        raise PlaceError("there is no if statement with one branch there")
    return cst.While(
        test=statement.test,
        body=statement.body,
        leading_lines=statement.leading_lines,
        whitespace_after_while=statement.whitespace_before_test,
        whitespace_before_colon=statement.whitespace_after_test,
    )


def _branch(statement: Statement, _: Margin) -> cst.If:
    if not isinstance(statement, cst.While) or statement.orelse is not None:
        raise PlaceError("there is no while statement with one branch there")
    return cst.If(
        test=statement.test,
        body=statement.body,
        leading_lines=statement.leading_lines,
        whitespace_before_test=statement.whitespace_after_while,
        whitespace_after_test=statement.whitespace_before_colon,
    )
