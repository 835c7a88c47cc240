"""Rows that an UPDATE chooses in a SELECT of its own: `UPDATE jobs ... WHERE id IN (SELECT id FROM jobs ... LIMIT 1)`.

Two such statements at once see the same rows free: the second waits for the first to commit and then asks its own
WHERE again, but not the SELECT in it. PostgreSQL does so at its default isolation level, for `IN`, `=` and for a
SELECT under a name, and both get the rows. A DELETE finds them gone.
"""

from __future__ import annotations

from autolock.database.objects import Condition, Expression, Query


def chosen_by(query: Query) -> Query | None:
    """The SELECT by which an UPDATE finds rows of its own table to give them back; None where there is none."""
    if query.kind != "update" or not query.returning:
        return None
    return next((s for s in map(subquery, query.conditions) if s is not None and _is_of(s, query)), None)


def subquery(condition: Condition) -> Query | None:
    """The SELECT that a column is compared with, seen through those that only pass its rows on."""
    obj = condition.value.obj
    found = obj.query if isinstance(obj, Expression) else obj
    while isinstance(found, Query) and found.inner is not None and not found.conditions:
        found = found.inner
    return found if isinstance(found, Query) and condition.operator in ("==", "in") else None


def _is_of(chosen: Query, query: Query) -> bool:
    return chosen.model is not None and query.model is not None and chosen.model.table == query.model.table
