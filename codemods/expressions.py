"""Finding one expression inside a statement, and putting another in its place."""

from __future__ import annotations

import ast
from abc import abstractmethod
from typing import TYPE_CHECKING, NamedTuple, cast

import libcst as cst

from codemods.base import Order, Phase, RegionCodemod
from codemods.blocks import Margin, Statement, edit_statement
from codemods.paths import PlaceError, Step, Steps

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from libcst.codemod import CodemodContext

_ELSEWHERE = (
    *(cst.BaseSuite, cst.If, cst.Else, cst.Finally, cst.ExceptHandler, cst.ExceptStarHandler, cst.MatchCase),
    *(cst.Import, cst.ImportFrom, cst.NameItem),
)
_NAMES: tuple[tuple[type[cst.CSTNode], str], ...] = (
    (cst.Attribute, "attr"),
    (cst.Arg, "keyword"),
    (cst.Param, "name"),
    (cst.FunctionDef, "name"),
    (cst.ClassDef, "name"),
)
_KINDS: dict[type[ast.expr], type[cst.BaseExpression]] = {
    ast.Name: cst.Name,
    ast.Attribute: cst.Attribute,
    ast.Call: cst.Call,
    ast.Await: cst.Await,
}


def expression(code: str) -> cst.BaseExpression:
    """The expression that `code` spells; raises PlaceError when it spells none."""
    try:
        return cst.parse_expression(code)
    except cst.ParserSyntaxError as error:
        raise PlaceError(f"{code!r} is not an expression") from error


def spells(node: cst.BaseExpression, code: str) -> bool:
    """Whether an expression is the one that `code` spells, but for white space."""
    try:
        return ast.dump(ast.parse(code, mode="eval")) == ast.dump(ast.parse(f"({code_of(node)})", mode="eval"))
    except SyntaxError:
        return False


def code_of(node: cst.CSTNode) -> str:
    """The source of a node."""
    return cst.Module(body=()).code_for_node(node)


def syntax_of(statement: cst.CSTNode) -> str:
    """What a statement is, but for white space and comments."""
    return ast.dump(ast.parse(code_of(statement)))


def expressions(node: cst.CSTNode) -> Iterator[cst.BaseExpression]:
    """What `ast` counts as expressions inside a statement, in the order of the source, outer before inner.

    Of a statement with blocks only its header counts.
    """
    names = [getattr(node, field) for kind, field in _NAMES if isinstance(node, kind)]
    for child in node.children:
        if isinstance(child, _ELSEWHERE) or any(child is name for name in names):
            continue
        if isinstance(child, cst.BaseExpression) and not isinstance(node, cst.ConcatenatedString):
            yield child
        yield from expressions(child)


def find(statement: Statement, code: str, nth: int) -> int:
    """Which of the statement's `expressions` is the `nth` (from 0) that `code` spells; raises PlaceError."""
    try:
        wanted = ast.parse(code, mode="eval").body
    except SyntaxError as error:
        raise PlaceError(f"{code!r} is not an expression") from error
    kind = _KINDS.get(type(wanted), cst.BaseExpression)
    found = [
        number for number, node in enumerate(expressions(statement)) if isinstance(node, kind) and spells(node, code)
    ]
    if not 0 <= nth < len(found):
        raise PlaceError(f"the statement has {len(found)} of the expression {code!r}, so there is none of number {nth}")
    return found[nth]


def with_expression(statement: Statement, old: cst.BaseExpression, new: cst.BaseExpression) -> Statement:
    """The statement with another expression in place of one of its own."""
    if isinstance(new, cst.Await) and _is_whole(statement, old):
        new = new.with_changes(lpar=old.lpar, rpar=old.rpar)
    return cast("Statement", statement.visit(_Replacement(old, new)))


def _is_whole(statement: Statement, node: cst.BaseExpression) -> bool:
    """Whether an expression is all that a line says, assigns or returns: nothing there could tear another one apart."""
    if not isinstance(statement, cst.SimpleStatementLine):
        return False
    whole = (cst.Expr, cst.Assign, cst.AnnAssign, cst.Return)
    return any(isinstance(part, whole) and part.value is node for part in statement.body)


class _Replacement(cst.CSTTransformer):
    """Puts one node in place of another; what is in the blocks of the statement stays as it is."""

    def __init__(self, old: cst.BaseExpression, new: cst.BaseExpression) -> None:
        super().__init__()
        self._old = old
        self._new = new

    def on_visit(self, node: cst.CSTNode) -> bool:
        return node is not self._old and not isinstance(node, cst.BaseSuite)

    def on_leave(self, original_node: cst.CSTNodeT, updated_node: cst.CSTNodeT) -> cst.CSTNodeT:
        return cast("cst.CSTNodeT", self._new) if original_node is self._old else updated_node


class _Change(NamedTuple):
    """One expression of the statement: which of them, as it was, and the source of what it became."""

    number: int
    old: cst.BaseExpression
    code: str


class ExpressionCodemod(RegionCodemod):
    """A codemod that replaces the `nth` of the expressions spelled `expression` in the statement at `at`."""

    phase = Phase.STATEMENT

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        """The arguments of the command line, named as those of the class."""
        arg_parser.add_argument("--at", required=True, help="path of the statement")
        arg_parser.add_argument("--expression", required=True, help="the expression, as ast.unparse writes it")
        arg_parser.add_argument("--nth", type=int, default=0, help="which of those that are alike, from 0")

    def __init__(self, context: CodemodContext, at: str, expression: str, nth: int = 0) -> None:
        super().__init__(context, at)
        self.expression = expression
        self.nth = nth
        self._change: _Change | None = None

    @property
    def order(self) -> Order:
        """Of one statement, outer expressions before those inside them; of those alike, the last first."""
        return self.phase, self.region.start.steps, (-len(self.expression), -self.nth)

    def transform_module_impl(self, tree: cst.Module) -> cst.Module:
        """The module with the other expression; raises PlaceError."""
        return edit_statement(tree, self.region.start, self._changed)

    def undo(self, tree: cst.Module) -> cst.Module:
        """The module with the expression that was there before; raises PlaceError."""
        return edit_statement(tree, self.region.start, self._restored)

    @abstractmethod
    def replacement(self, node: cst.BaseExpression) -> cst.BaseExpression:
        """What comes in place of the expression; raises PlaceError."""

    def _changed(self, statement: Statement, _: Margin) -> Statement:
        number = find(statement, self.expression, self.nth)
        old = list(expressions(statement))[number]
        new = self.replacement(old)
        self._change = _Change(number, old, code_of(new))
        return with_expression(statement, old, new)

    def _restored(self, statement: Statement, _: Margin) -> Statement:
        found = list(expressions(statement))
        change = self._change
        if change is None or change.number >= len(found) or not spells(found[change.number], f"({change.code})"):
            raise PlaceError(f"{self.expression} was not changed there")
        return with_expression(statement, found[change.number], change.old)

    def _move(self, index: int) -> Steps:
        return (Step(self.region.start.field, index),)
