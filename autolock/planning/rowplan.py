"""A plan for a window on rows."""

from __future__ import annotations

from dataclasses import dataclass

from autolock.edits import Edit
from autolock.findings import Safety


@dataclass(slots=True)
class RowPlan:
    """A finished plan: its edits, and what to say about it."""

    edits: list[Edit]
    title: str
    reason: str
    safety: Safety = Safety.SAFE
