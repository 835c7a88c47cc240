"""Statements made from source that an edit brings along."""

from __future__ import annotations

import libcst as cst

from codemods.blocks import Statement
from codemods.paths import PlaceError


def statements(code: str, newline: cst.Newline) -> list[Statement]:
    """The statements that `code` spells, with lines that end like `newline`; raises PlaceError if there are none."""
    try:
        body = cst.parse_module(code).body
    except cst.ParserSyntaxError as error:
        raise PlaceError(f"{code!r} is not Python") from error
    if not body:
        raise PlaceError("there is no statement to write")
    return [_ended(line, newline) if isinstance(line, cst.SimpleStatementLine) else line for line in body]


def simple_statement(code: str, newline: cst.Newline) -> cst.SimpleStatementLine:
    """The one simple statement that `code` spells; raises PlaceError when it spells anything else."""
    line, *others = statements(code, newline)
    if others or not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1:
        raise PlaceError(f"{code!r} is not one simple statement")
    return line


def _ended(line: cst.SimpleStatementLine, newline: cst.Newline) -> cst.SimpleStatementLine:
    end = line.trailing_whitespace.with_changes(newline=cst.Newline(value=newline.value))
    return line.with_changes(trailing_whitespace=end)
