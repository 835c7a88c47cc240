"""SQL text as programs put it together: constants, f-strings, pieces that are not known."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from autolock.program.values import Thing, Value

#: What stands in the text for an expression that is not known.
UNKNOWN = "autolock_any"
_SQL = re.compile(
    r"\s*\(?\s*(?:select\b.*\bfrom\b|select\s+\S*pg_\w*advisory|insert\s+(?:or\s+\w+\s+)?into\b|replace\s+into\b"
    r"|update\s+(?:only\s+)?\S+(?:\s+(?:as\s+)?\w+)?\s+set\b|delete\s+from\b|with\s+(?:recursive\s+)?\w+.*\bas\b"
    r"|begin\b|commit\s*;?\s*$|rollback\s*;?\s*$|lock\s+table\b|select\s+exists\b)",
    re.IGNORECASE | re.DOTALL,
)
_TABLE_FOLLOWS = re.compile(r"\b(?:from|into|update|join|table)\s+[\w.\"]*$", re.IGNORECASE)
_VALUE_FOLLOWS = re.compile(
    r"(?:[=<>(,+*/|-]|\b(?:by|and|or|where|select|limit|offset|in|values|not|is|like))\s*$", re.I
)
_SETS_FOLLOW = re.compile(r"\bset\s*$", re.IGNORECASE)


@dataclass(slots=True, eq=False)
class SqlText(Thing):
    """A text that is SQL; `exact` when all of it is known."""

    text: str
    exact: bool = True


def is_sql(text: str) -> bool:
    """Whether a text begins like a statement that reads or writes rows, or ends a transaction."""
    return _SQL.match(text) is not None


def put_together(parts: Sequence[Value], tables: Sequence[str] = ()) -> SqlText | None:
    """The SQL that an f-string is; None for other text, and where the name of a table is not known.

    `tables` are, for each part, the name that a helper has been given which is to write it out in full.
    """
    text, exact = "", True
    for place, part in enumerate(parts):
        known = constant_text(part)
        if known is None and _TABLE_FOLLOWS.search(text):
            known = tables[place] if place < len(tables) else ""
            if not known and _is_of_a_schema(parts[place + 1 :]):
                known = UNKNOWN
            if not known:
                return None
        elif known is None:
            known, exact = _in_place(text), False
        elif isinstance(part.obj, SqlText):
            exact = exact and part.obj.exact
        text += known
    return SqlText(text, exact) if is_sql(text) else None


def named_in(node: ast.expr) -> str:
    """The name that is all that a helper is given: `table("jobs")`."""
    alone = isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords
    given = node.args[0] if isinstance(node, ast.Call) and alone else None
    name = given.value if isinstance(given, ast.Constant) else None
    return name if isinstance(name, str) and name.isidentifier() else ""


def _is_of_a_schema(rest: Sequence[Value]) -> bool:
    """Whether the name of a table follows, after a dot: `FROM {schema}.jobs`, `FROM "{schema}".jobs`."""
    follows = constant_text(rest[0]) if rest else None
    return follows is not None and follows.lstrip('"')[:1] == "."


def constant_text(value: Value) -> str | None:
    """The text that a value is known to be."""
    if isinstance(value.obj, SqlText):
        return value.obj.text
    if value.made != "const" or not value.term.startswith(("'", '"')):
        return None
    return _meant(value.term)


@lru_cache(maxsize=4096)
def _meant(term: str) -> str | None:
    """The text that a literal means; the same ones are asked for all the time."""
    try:
        text = ast.literal_eval(term)
    except (SyntaxError, ValueError):
        return None  # computed from a constant, and no longer one
    return text if isinstance(text, str) else None


def _in_place(before: str) -> str:
    """What can stand where an unknown piece is; a clause that may be left out is left out."""
    if _SETS_FOLLOW.search(before):
        return f"{UNKNOWN} = 0"
    return UNKNOWN if _VALUE_FOLLOWS.search(before) else " "
