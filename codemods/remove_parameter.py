"""Takes a parameter away from a function."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from codemods.blocks import Margin, Statement
from codemods.layout import comments
from codemods.paths import PlaceError
from codemods.replacing import ReplacingCodemod

if TYPE_CHECKING:
    import argparse

    from libcst.codemod import CodemodContext

_FIELDS = ("posonly_params", "params", "kwonly_params")


class RemoveParameter(ReplacingCodemod):
    """Take the parameter NAME away from the function at `at`."""

    DESCRIPTION = "Take a parameter away from a function."

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        """The arguments of the command line, named as those of the class."""
        arg_parser.add_argument("--at", required=True, help="path of the definition")
        arg_parser.add_argument("--name", required=True, help="name of the parameter")

    def __init__(self, context: CodemodContext, at: str, name: str) -> None:
        super().__init__(context, at)
        self.name = name

    def replacement(self, statement: Statement, margin: Margin) -> list[Statement]:
        """The definition without the parameter; raises PlaceError."""
        if not isinstance(statement, cst.FunctionDef):
            raise PlaceError("there is no function there")
        parameters = statement.params
        for field in _FIELDS:
            listed: tuple[cst.Param, ...] = tuple(getattr(parameters, field))
            kept = [p for p in listed if p.name.value != self.name]
            if len(kept) == len(listed):
                continue
            if len(listed) == 1 and field != "params":
                raise PlaceError(f"{self.name} is alone on its side of a `/` or `*`")
            if any(list(comments(p)) for p in listed):
                raise PlaceError("there are comments among the parameters that could be lost")
            if listed[-1].name.value == self.name and kept:
                kept[-1] = kept[-1].with_changes(comma=listed[-1].comma)
            return [statement.with_changes(params=parameters.with_changes(**{field: kept}))]
        raise PlaceError(f"{statement.name.value} has no parameter {self.name}")
