"""Building and recognising `with LOCK:` and the calls of a lock."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import libcst as cst

from codemods.blocks import Statement, indented_block
from codemods.paths import PlaceError

if TYPE_CHECKING:
    from collections.abc import Sequence


def expression(code: str) -> cst.BaseExpression:
    """The expression that `code` spells; raises PlaceError when it spells none."""
    try:
        return cst.parse_expression(code)
    except cst.ParserSyntaxError as error:
        raise PlaceError(f"{code!r} is not an expression") from error


def with_lock(
    lines: Sequence[Statement],
    lock: str,
    *,
    is_async: bool,
    indent: str | None,
    newline: cst.Newline,
    leading_lines: Sequence[cst.EmptyLine] = (),
) -> cst.With:
    """`with LOCK:` (or `async with`) around the lines."""
    return cst.With(
        items=[cst.WithItem(expression(lock))],
        body=indented_block(lines, indent, newline),
        asynchronous=cst.Asynchronous() if is_async else None,
        leading_lines=tuple(leading_lines),
    )


def held(line: Statement, lock: str, *, is_async: bool) -> cst.With:
    """The statement as a `with` of just this lock; raises PlaceError when it is anything else."""
    keyword = "async with" if is_async else "with"
    if (
        not isinstance(line, cst.With)
        or (line.asynchronous is not None) is not is_async
        or len(line.items) != 1
        or not spells(line.items[0].item, lock)
    ):
        raise PlaceError(f"there is no '{keyword} {lock}:' there")
    return line


def spells(node: cst.BaseExpression, code: str) -> bool:
    """Whether an expression is the one that `code` spells, but for white space."""
    try:
        return ast.dump(ast.parse(code, mode="eval")) == ast.dump(ast.parse(f"({_code(node)})", mode="eval"))
    except SyntaxError:
        return False


def is_call(line: Statement, code: str) -> bool:
    """Whether a line is just the expression that `code` spells."""
    return (
        isinstance(line, cst.SimpleStatementLine)
        and len(line.body) == 1
        and isinstance(line.body[0], cst.Expr)
        and spells(line.body[0].value, code)
    )


def _code(node: cst.CSTNode) -> str:
    return cst.Module(body=()).code_for_node(node)
