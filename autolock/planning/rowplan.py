"""A plan for a window on rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from autolock.edits import Edit
from autolock.findings import Safety
from autolock.program.linker import Ref


@dataclass(slots=True)
class RowPlan:
    """A finished plan: its edits, and what to say about it.

    `holds` tells from where on it keeps rows locked that were not before, up to the commit: from the
    look, from the write, or not at all. `taken_at` is the function and line of a lock that is taken later
    than that.
    """

    edits: list[Edit]
    title: str
    reason: str
    safety: Safety = Safety.SAFE
    holds: Literal["look", "write", ""] = ""
    taken_at: tuple[Ref, int] | None = None
