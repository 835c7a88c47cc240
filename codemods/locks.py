"""Building and recognising `with LOCK:` and the calls of a lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from codemods.blocks import Statement, indented_block
from codemods.expressions import spells, syntax_of
from codemods.paths import PlaceError

if TYPE_CHECKING:
    from collections.abc import Sequence


def with_lock(body: cst.IndentedBlock, lock: str, *, is_async: bool) -> cst.With:
    """`with LOCK:` (or `async with`) with that body; LOCK may be the text of any with items."""
    return cst.With(items=_items(lock), body=body, asynchronous=cst.Asynchronous() if is_async else None)


def held(line: Statement, lock: str, *, is_async: bool) -> cst.With:
    """The statement as a `with` of just this lock; raises PlaceError when it is anything else."""
    keyword = "async with" if is_async else "with"
    if (
        not isinstance(line, cst.With)
        or (line.asynchronous is not None) is not is_async
        or not _same_items(line.items, _items(lock))
    ):
        raise PlaceError(f"there is no '{keyword} {lock}:' there")
    return line


def _items(code: str) -> Sequence[cst.WithItem]:
    """The with items that `code` spells; raises PlaceError when it spells none."""
    try:
        return cst.ensure_type(cst.parse_statement(f"with {code}:\n    pass\n"), cst.With).items
    except (cst.ParserSyntaxError, TypeError) as error:
        raise PlaceError(f"{code!r} is not an expression or several with names") from error


def _same_items(items: Sequence[cst.WithItem], others: Sequence[cst.WithItem]) -> bool:
    """Whether with items are alike, but for white space."""
    empty = indented_block((), None, cst.Newline())
    return syntax_of(cst.With(items, empty)) == syntax_of(cst.With(others, empty))


def is_call(line: Statement, code: str) -> bool:
    """Whether a line is just the expression that `code` spells."""
    return (
        isinstance(line, cst.SimpleStatementLine)
        and len(line.body) == 1
        and isinstance(line.body[0], cst.Expr)
        and spells(line.body[0].value, code)
    )
