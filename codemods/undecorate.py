"""Takes a decorator away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from codemods.blocks import Margin, Statement
from codemods.decorators import without_decorator
from codemods.expressions import spells
from codemods.paths import PlaceError
from codemods.replacing import ReplacingCodemod

if TYPE_CHECKING:
    import argparse

    from libcst.codemod import CodemodContext


class Undecorate(ReplacingCodemod):
    """Take DECORATOR (its source, without the `@`) from the function or class at `at`; comments above it stay."""

    DESCRIPTION = "Take a decorator from a function or class."

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        """The arguments of the command line, named as those of the class."""
        arg_parser.add_argument("--at", required=True, help="path of the definition")
        arg_parser.add_argument("--decorator", required=True, help="source of the decorator")

    def __init__(self, context: CodemodContext, at: str, decorator: str) -> None:
        super().__init__(context, at)
        self.decorator = decorator.removeprefix("@")

    def replacement(self, statement: Statement, margin: Margin) -> list[Statement]:
        """The definition without the decorator; raises PlaceError."""
        if not isinstance(statement, cst.FunctionDef | cst.ClassDef):
            raise PlaceError("there is no function or class there")
        for number, decorator in enumerate(statement.decorators):
            if spells(decorator.decorator, self.decorator):
                return [without_decorator(statement, number)]
        raise PlaceError(f"{statement.name.value} has no decorator {self.decorator}")
