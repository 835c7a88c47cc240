"""Puts one expression in place of another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from codemods.expressions import ExpressionCodemod, expression

if TYPE_CHECKING:
    import argparse

    from libcst.codemod import CodemodContext

_CLOSED = (
    cst.Name,
    cst.Attribute,
    cst.Call,
    cst.Subscript,
    cst.SimpleString,
    cst.FormattedString,
    cst.Integer,
    cst.List,
    cst.Dict,
)


class ReplaceExpression(ExpressionCodemod):
    """Put `replacement` in place of the expression, in parentheses where it could be torn apart without them."""

    DESCRIPTION = "Replace an expression."

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        """The arguments of the command line, named as those of the class."""
        ExpressionCodemod.add_args(arg_parser)
        arg_parser.add_argument("--replacement", required=True, help="what to put there")

    def __init__(self, context: CodemodContext, at: str, expression: str, replacement: str, nth: int = 0) -> None:
        super().__init__(context, at, expression, nth)
        self.code = replacement

    def replacement(self, node: cst.BaseExpression) -> cst.BaseExpression:
        """The new expression in the parentheses of the old one; raises PlaceError."""
        new = expression(self.code)
        if node.lpar:
            return new.with_changes(lpar=node.lpar, rpar=node.rpar)
        if isinstance(new, _CLOSED) or new.lpar:
            return new
        return new.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
