"""Lets the database compute a new value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from codemods.blocks import Margin, Statement, newline_of
from codemods.layout import comments
from codemods.paths import PlaceError
from codemods.replacing import ReplacingCodemod
from codemods.sources import simple_statement

if TYPE_CHECKING:
    import argparse

    from libcst.codemod import CodemodContext


class UpdateInSql(ReplacingCodemod):
    """Put the simple statement CODE in place of the one at `at`, whose comments stay.

    `user.credits -= price` becomes `user.credits = User.credits - price`.
    """

    DESCRIPTION = "Let the database compute a new value."

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        """The arguments of the command line, named as those of the class."""
        arg_parser.add_argument("--at", required=True, help="path of the statement")
        arg_parser.add_argument("--code", required=True, help="the statement to put there")

    def __init__(self, context: CodemodContext, at: str, code: str) -> None:
        super().__init__(context, at)
        self.code = code

    def replacement(self, statement: Statement, margin: Margin) -> list[Statement]:
        """The statement CODE; raises PlaceError."""
        if not isinstance(statement, cst.SimpleStatementLine):
            raise PlaceError("only a simple statement can be replaced")
        if any(map(comments, statement.body)):
            raise PlaceError("the statement has comments inside, which would be lost")
        return [statement.with_changes(body=simple_statement(self.code, newline_of(statement)).body)]
