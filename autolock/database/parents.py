"""Which row others belong to: the one whose lock keeps everybody from counting them."""

from __future__ import annotations

from autolock.database.models import Model


def refers_to(model: Model | None, column: str, parent: Model) -> bool:
    """Whether a column names rows of another table: by its foreign key, or by its name where only SQL tells of both."""
    if model is None:
        return False
    known = model.columns.get(column)
    if known is not None:
        return known.foreign_key.rpartition(".")[0].rpartition(".")[2] == parent.table
    stem = column.removesuffix("_id")
    plurals = {stem, f"{stem}s", f"{stem}es", f"{stem.removesuffix('y')}ies"}
    return not model.columns and stem != column and parent.table.rpartition(".")[2] in plurals
