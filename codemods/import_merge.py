"""Takes one more name into `from MODULE import ...`, in the style in which it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from codemods.import_order import dotted, place_of_name
from codemods.layout import Space, bare, commented

if TYPE_CHECKING:
    from collections.abc import Sequence


def merged(statement: cst.ImportFrom, name: str, alias: str) -> cst.ImportFrom | None:
    """The import with one name more; None for `import *`, which takes none."""
    names = statement.names
    if isinstance(names, cst.ImportStar):
        return None
    place = place_of_name([dotted(item.name) for item in names], name)
    new = cst.ImportAlias(
        name=cst.Name(name), asname=cst.AsName(cst.Name(alias)) if alias else None, comma=_separator(statement, names)
    )
    if place < len(names):
        return statement.with_changes(names=[*names[:place], new, *names[place:]])
    return _appended(statement, names, new)


def is_merge_of(new: cst.ImportFrom, old: cst.ImportFrom, name: str, alias: str) -> bool:
    """Whether an import is another one with one name more."""
    if isinstance(new.names, cst.ImportStar) or isinstance(old.names, cst.ImportStar):
        return False
    added = [*map(_bound, old.names), (name, alias)]
    same_module = new.with_changes(names=old.names, lpar=old.lpar, rpar=old.rpar).deep_equals(old)
    return same_module and sorted(map(_bound, new.names)) == sorted(added)


def _appended(statement: cst.ImportFrom, names: Sequence[cst.ImportAlias], new: cst.ImportAlias) -> cst.ImportFrom:
    """The import with the name after the last; a comment after that one stays beside it."""
    last = names[-1]
    separator = cst.ensure_type(new.comma, cst.Comma)
    end = last.comma
    if isinstance(end, cst.Comma):
        kept = last.with_changes(comma=_commented(separator, end.whitespace_after))
        closing = end.with_changes(whitespace_after=bare(end.whitespace_after))
        return statement.with_changes(names=[*names[:-1], kept, new.with_changes(comma=closing)])
    closed = new.with_changes(comma=cst.MaybeSentinel.DEFAULT)
    if statement.rpar is None:
        return statement.with_changes(names=[*names[:-1], last.with_changes(comma=separator), closed])
    before = statement.rpar.whitespace_before
    kept = last.with_changes(comma=_commented(separator, before))
    rpar = statement.rpar.with_changes(whitespace_before=bare(before))
    return statement.with_changes(names=[*names[:-1], kept, closed], rpar=rpar)


def _separator(statement: cst.ImportFrom, names: Sequence[cst.ImportAlias]) -> cst.Comma:
    """A comma like those between the names, or as the opening parenthesis suggests if there is just one."""
    first = names[0].comma
    if len(names) > 1 and isinstance(first, cst.Comma):
        return first.with_changes(whitespace_after=bare(first.whitespace_after))
    opening = statement.lpar.whitespace_after if statement.lpar is not None else None
    if isinstance(opening, cst.ParenthesizedWhitespace):
        return cst.Comma(whitespace_after=bare(opening))
    return cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))


def _commented(separator: cst.Comma, old: Space) -> cst.Comma:
    """The separator followed by the comments that were after the last name."""
    return separator.with_changes(whitespace_after=commented(separator.whitespace_after, old))


def _bound(item: cst.ImportAlias) -> tuple[str, str]:
    asname = item.asname.name if item.asname is not None else None
    return dotted(item.name), asname.value if isinstance(asname, cst.Name) else ""
