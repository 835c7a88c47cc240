"""Gives a function another parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from codemods.blocks import Margin, Statement
from codemods.paths import PlaceError
from codemods.replacing import ReplacingCodemod

if TYPE_CHECKING:
    import argparse

    from libcst.codemod import CodemodContext


class AddParameter(ReplacingCodemod):
    """Make `NAME: ANNOTATION` the first parameter of the function at `at`."""

    DESCRIPTION = "Give a function another first parameter."

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        """The arguments of the command line, named as those of the class."""
        arg_parser.add_argument("--at", required=True, help="path of the definition")
        arg_parser.add_argument("--name", required=True, help="name of the parameter")
        arg_parser.add_argument("--annotation", required=True, help="source of its annotation")

    def __init__(self, context: CodemodContext, at: str, name: str, annotation: str) -> None:
        super().__init__(context, at)
        self.name = name
        self.annotation = annotation

    def replacement(self, statement: Statement, margin: Margin) -> list[Statement]:
        """The definition with the parameter; raises PlaceError."""
        if not isinstance(statement, cst.FunctionDef):
            raise PlaceError("there is no function there")
        try:
            annotation = cst.parse_expression(self.annotation)
        except cst.ParserSyntaxError as error:
            raise PlaceError(f"{self.annotation!r} is not an expression") from error
        parameters = statement.params
        if any(p.name.value == self.name for p in _all(parameters)):
            raise PlaceError(f"{statement.name.value} has a parameter {self.name} already")
        new = cst.Param(cst.Name(self.name), cst.Annotation(annotation), comma=cst.MaybeSentinel.DEFAULT)
        if (
            _all(parameters)
            or parameters.star_kwarg is not None
            or parameters.star_arg is not cst.MaybeSentinel.DEFAULT
        ):
            new = new.with_changes(comma=_comma(statement.whitespace_before_params))
        field = "posonly_params" if parameters.posonly_params else "params"
        return [statement.with_changes(params=parameters.with_changes(**{field: (new, *getattr(parameters, field))}))]


def _all(parameters: cst.Parameters) -> list[cst.Param]:
    star = parameters.star_arg
    found = [*parameters.posonly_params, *parameters.params, *parameters.kwonly_params]
    found += [star] if isinstance(star, cst.Param) else []
    return found + ([parameters.star_kwarg] if parameters.star_kwarg is not None else [])


def _comma(margin: cst.BaseParenthesizableWhitespace) -> cst.Comma:
    """The comma before what was first, followed by a new line where that one began on a line of its own."""
    if isinstance(margin, cst.ParenthesizedWhitespace):
        plain = margin.with_changes(first_line=margin.first_line.with_changes(comment=None), empty_lines=())
        return cst.Comma(whitespace_after=plain)
    return cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
