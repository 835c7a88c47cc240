"""Strings of a program that hold the SQL which makes tables, or changes them."""

from __future__ import annotations

import ast
import re

_WANTED = re.compile(r"(?i)\b(?:CREATE\s+(?:UNIQUE\s+INDEX|(?:\w+\s+)?TABLE)|ALTER\s+TABLE|DROP\s+INDEX)\b")
#: One of these is in every file that has such a string; looking for them costs next to nothing.
_WORDS = ("CREATE ", "create table", "create unique", "ALTER TABLE", "alter table", "DROP INDEX", "drop index")
_BYTES = tuple(word.encode() for word in _WORDS)


def texts_of_tables(tree: ast.AST, source: bytes | str) -> tuple[str, ...]:
    """The strings of a file that make or change tables, in no particular order."""
    here = any(w in source for w in _WORDS) if isinstance(source, str) else any(w in source for w in _BYTES)
    if not here:
        return ()
    said = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return tuple(text for text in said if isinstance(text, str) and _WANTED.search(text))
