"""Locks that are asked for only where the database has them: `if not IS_SQLITE: query = query.with_for_update()`."""

from __future__ import annotations

import ast
import re

from autolock.database.objects import Query
from autolock.program.values import Value

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_ABOUT_DATABASES = re.compile(r"sqlite|postgres|mysql|maria|mssql|oracle|dialect|row_?lock", re.IGNORECASE)


def locked_in_one(one: dict[str, Value], other: dict[str, Value]) -> list[str]:
    """The names of queries that one of two branches locks."""
    return [
        name
        for name, mine in one.items()
        if (theirs := other.get(name, mine)) is not mine
        and isinstance(mine.obj, Query)
        and isinstance(theirs.obj, Query)
        and mine.obj.locks is not theirs.obj.locks
    ]


def asks_which_database(test: ast.expr, function: _Function | None) -> bool:
    """Whether a test asks what the database is or can do.

    What a caller of the function may say is another matter: there are callers who do not lock.
    """
    arguments = function.args if function is not None else None
    given = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs) if arguments is not None else ()
    owners = {n.value for n in ast.walk(test) if isinstance(n, ast.Attribute)}
    names = {n.id for n in ast.walk(test) if isinstance(n, ast.Name) and n not in owners}
    return names.isdisjoint(a.arg for a in given) and _ABOUT_DATABASES.search(ast.unparse(test)) is not None
