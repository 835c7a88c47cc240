"""Puts a decorator on a function."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from codemods.blocks import Margin, Statement, newline_of
from codemods.paths import PlaceError
from codemods.replacing import ReplacingCodemod

if TYPE_CHECKING:
    import argparse

    from libcst.codemod import CodemodContext


class Decorate(ReplacingCodemod):
    """Put DECORATOR (its source, without the `@`) on the function or class at `at`, below `above` of its decorators."""

    DESCRIPTION = "Put a decorator on a function or class."

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        """The arguments of the command line, named as those of the class."""
        arg_parser.add_argument("--at", required=True, help="path of the definition")
        arg_parser.add_argument("--decorator", required=True, help="source of the decorator")
        arg_parser.add_argument("--above", type=int, default=0, help="how many decorators stay above it")

    def __init__(self, context: CodemodContext, at: str, decorator: str, above: int = 0) -> None:
        super().__init__(context, at)
        self.decorator = decorator.removeprefix("@")
        self.above = above

    def replacement(self, statement: Statement, margin: Margin) -> list[Statement]:
        """The definition with the decorator; raises PlaceError."""
        if not isinstance(statement, cst.FunctionDef | cst.ClassDef):
            raise PlaceError("there is no function or class there")
        if self.above > len(statement.decorators):
            raise PlaceError(f"{statement.name.value} has only {len(statement.decorators)} decorators")
        try:
            expression = cst.parse_expression(self.decorator)
        except cst.ParserSyntaxError as error:
            raise PlaceError(f"{self.decorator!r} is not an expression") from error
        newline = newline_of(statement)
        decorators = list(statement.decorators)
        new = cst.Decorator(expression, trailing_whitespace=cst.TrailingWhitespace(newline=newline))
        if not decorators:
            changed = statement.with_changes(
                decorators=[new.with_changes(leading_lines=statement.leading_lines)], leading_lines=()
            )
            return [changed]
        decorators.insert(self.above, new)
        return [statement.with_changes(decorators=decorators)]
