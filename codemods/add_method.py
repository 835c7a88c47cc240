"""Gives a class another method."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from codemods.blocks import Margin, Statement, blank_lines, newline_of
from codemods.paths import PlaceError
from codemods.replacing import ReplacingCodemod

if TYPE_CHECKING:
    import argparse

    from libcst.codemod import CodemodContext


class AddMethod(ReplacingCodemod):
    """Put the function CODE below the method at `at`."""

    DESCRIPTION = "Give a class another method, below one that it has."

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        """The arguments of the command line, named as those of the class."""
        arg_parser.add_argument("--at", required=True, help="path of the method below which to put it")
        arg_parser.add_argument("--code", required=True, help="source of the function")

    def __init__(self, context: CodemodContext, at: str, code: str) -> None:
        super().__init__(context, at)
        self.code = code

    def replacement(self, statement: Statement, margin: Margin) -> list[Statement]:
        """The two methods; raises PlaceError."""
        if not isinstance(statement, cst.FunctionDef) or not margin.prefix:
            raise PlaceError("there is no method there")
        try:
            new = cst.parse_statement(self.code)
        except cst.ParserSyntaxError as error:
            raise PlaceError(f"{self.code!r} is not a function") from error
        if not isinstance(new, cst.FunctionDef):
            raise PlaceError(f"{self.code!r} is not a function")
        return [statement, new.with_changes(leading_lines=blank_lines(1, newline_of(statement)))]
