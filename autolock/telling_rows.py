"""The steps of two requests in a window on rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from autolock.findings import Action, Step

if TYPE_CHECKING:
    from autolock.database.splits import SplitWindow
    from autolock.database.windows import RowWindow
    from autolock.program.trace import Event

Tell = Callable[..., Step]


def row_steps(window: RowWindow, step: Tell) -> list[Step]:
    """An interleaving that breaks it: both look, then both write."""
    if window.kind == "row-order":
        return _order_steps(window, step)
    read, write = window.look, window.change
    other = window.rivals[0][1]
    if window.kind == "row-skew" and other.node is not write.node:
        return [
            step("A", Action.CHECK, read),
            step("B", Action.WRITE, other, note="changes what A has looked at"),
            step("A", Action.WRITE, write, note=_loss(window), lost=True),
        ]
    look = Action.READ if window.dependence == "data" else Action.CHECK
    commit = write.commits[0] if write.commits else None
    steps = [
        step("A", look, read, note="" if not read.locks else "locks the row"),
        step("B", look, read, note=_seen(window)),
        step("A", Action.WRITE, write),
    ]
    if commit is not None and commit.stack and commit.stack[-1].statement is not write.stack[-1].statement:
        steps.append(_commit(commit, step))
    steps.append(step("B", Action.WRITE, write, note=_loss(window), lost=True))
    return steps


def _order_steps(window: RowWindow, step: Tell) -> list[Step]:
    """Each locks the row that the other wants."""
    assert window.second is not None
    return [
        step("A", Action.ACQUIRE, window.look, note="locks its first row"),
        step("B", Action.ACQUIRE, window.look, note="locks the row that A wants next"),
        step("A", Action.ACQUIRE, window.second, note="waits for B"),
        step("B", Action.ACQUIRE, window.second, note="waits for A: a deadlock", lost=True),
    ]


def split_steps(window: SplitWindow, step: Tell) -> list[Step]:
    """Half of the change is there for others to see, and to stay when the rest fails."""
    earlier, later = window.pair
    return [
        step("A", Action.WRITE, earlier),
        step("A", Action.WRITE, window.commits[0], note="commits"),
        step("B", Action.WRITE, earlier, note="starts from half a change", lost=True),
        step("A", Action.WRITE, later, note="when this fails, the first half stays"),
    ]


def _commit(commit: Event, step: Tell) -> Step:
    return step("A", Action.WRITE, commit, note="commits")


def _seen(window: RowWindow) -> str:
    if window.kind in ("row-insert", "row-skew"):
        return "sees what A sees"
    return "sees the same row"


def _loss(window: RowWindow) -> str:
    if window.kind == "row-insert":
        return "the unique constraint refuses it" if window.unique is not None else "a second row"
    if window.kind == "row-claim":
        return "takes the row that A has taken"
    if window.kind == "row-skew" and window.dependence == "data":
        return "leaves out what A has changed"
    if window.kind == "row-skew":
        return "on what is no longer true"
    return "overwrites A's write" if window.dependence == "data" else "on a check that is no longer true"
