"""Puts a clause at the end of the SQL that a string literal holds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import libcst as cst

from codemods.paths import PlaceError

if TYPE_CHECKING:
    from collections.abc import Iterator

_RAW = re.compile(r"(?P<sql>.*?)(?P<end>[\s;]*)", re.DOTALL)
_ESCAPED = re.compile(r"(?P<sql>(?:\\.|[^\\])*?)(?P<end>(?:\s|;|\\[nrt\n])*)", re.DOTALL)
_LOCKS = re.compile(r"\bFOR\s+(?:NO\s+KEY\s+UPDATE|UPDATE|KEY\s+SHARE|SHARE)\b", re.IGNORECASE)


def with_lock_clause(node: cst.BaseExpression, clause: str) -> cst.BaseExpression:
    """The string literal with ` CLAUSE` after its SQL, before a `;` and white space that end it; raises PlaceError.

    The literal may be triple-quoted or written in parts, and an f-string if it does not end in a value.
    """
    text = "".join(_texts(node))
    if not re.search(r"\bSELECT\b", text, re.IGNORECASE):
        raise PlaceError("the string holds no SELECT")
    if _LOCKS.search(text):
        raise PlaceError("the SQL locks its rows already")
    if "--" in text.rstrip("; \t\r\n").rpartition("\n")[2]:
        raise PlaceError("the SQL ends in a comment, of which the clause would be a part")
    changed = _changed(node, f" {clause}")
    if changed is None:
        raise PlaceError("the string holds no SELECT")
    return changed


def _texts(node: cst.BaseExpression) -> Iterator[str]:
    """The text of a literal, with `?` for the values in an f-string; raises PlaceError for anything else."""
    if isinstance(node, cst.ConcatenatedString):
        yield from _texts(node.left)
        yield from _texts(node.right)
    elif isinstance(node, cst.FormattedString):
        yield from (part.value if isinstance(part, cst.FormattedStringText) else "?" for part in node.parts)
    elif isinstance(node, cst.SimpleString) and isinstance(node.evaluated_value, str):
        yield node.evaluated_value
    else:
        raise PlaceError("the expression is no string literal")


def _changed(node: cst.BaseExpression, clause: str) -> cst.BaseExpression | None:
    """The literal with the clause, None if all of it is white space and `;`."""
    if isinstance(node, cst.ConcatenatedString):
        right = _changed(node.right, clause)
        if right is not None:
            return node.with_changes(right=right)
        left = _changed(node.left, clause)
        return None if left is None else node.with_changes(left=left)
    if isinstance(node, cst.FormattedString):
        if not node.parts:
            return None
        *others, last = node.parts
        raw = _with_clause(last.value, clause, node) if isinstance(last, cst.FormattedStringText) else None
        if raw is not None:
            return node.with_changes(parts=[*others, last.with_changes(value=raw)])
        if others or isinstance(last, cst.FormattedStringExpression):
            raise PlaceError("the SQL ends in a value of an f-string")
        return None
    string = cst.ensure_type(node, cst.SimpleString)
    raw = _with_clause(string.raw_value, clause, string)
    return None if raw is None else string.with_changes(value=f"{string.prefix}{string.quote}{raw}{string.quote}")


def _with_clause(raw: str, clause: str, string: cst.SimpleString | cst.FormattedString) -> str | None:
    """The text between the quotes with the clause, None if it is white space and `;`."""
    is_raw = "r" in string.prefix.lower()
    quote = (string.quote if isinstance(string, cst.SimpleString) else string.end)[0]
    if is_raw and quote in clause:
        raise PlaceError(f"a raw string cannot hold the {quote} of the clause")
    match = (_RAW if is_raw else _ESCAPED).fullmatch(raw)
    if match is None or not match["sql"]:
        return None
    return match["sql"] + clause.replace(quote, f"\\{quote}") + match["end"]
