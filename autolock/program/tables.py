"""Strings of a program that hold the SQL which makes tables, or changes them."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

_WANTED = re.compile(r"(?i)\b(?:CREATE\s+(?:UNIQUE\s+INDEX|(?:\w+\s+)?TABLE)|ALTER\s+TABLE|DROP\s+INDEX)\b")
#: One of these is in every file that has such a string; looking for them costs next to nothing.
_WORDS = ("CREATE ", "create table", "create unique", "ALTER TABLE", "alter table", "DROP INDEX", "drop index")


def texts_of_tables(tree: ast.AST, source: bytes | str) -> tuple[str, ...]:
    """The strings of a file that make or change tables, in no particular order."""
    if not holds_any(source, _WORDS):
        return ()
    said = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return tuple(text for text in said if isinstance(text, str) and _WANTED.search(text))


def holds_any(source: bytes | str, words: Sequence[str]) -> bool:
    """Whether one of some words is in the text of a file."""
    if isinstance(source, str):
        return any(word in source for word in words)
    return any(word.encode() in source for word in words)
