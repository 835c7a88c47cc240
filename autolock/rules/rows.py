"""What several rules about rows say alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autolock.rules.shapes import routes_of

if TYPE_CHECKING:
    from autolock.database.windows import RowWindow
    from autolock.program.windows import RaceWindow


def row_window(window: RaceWindow, *kinds: str) -> RowWindow | None:
    """The window as one of rows, when it is of one of the kinds."""
    # Imported late: a run in which nothing has changed only asks rules for their names.
    from autolock.database.windows import RowWindow

    return window if isinstance(window, RowWindow) and window.kind in kinds else None


def who(window: RaceWindow) -> str:
    """`two requests to POST /purchase`, or what else runs the code."""
    return routes_of(window)


def listed(names: tuple[str, ...] | frozenset[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    parts = [f"`{n}`" for n in sorted(names)]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def loaded_at(window: RowWindow) -> str:
    """`loads the row in get_current_user`, where the look is in another function."""
    read = window.look
    return "" if read.function == window.seat.function else f" (loaded by `{read.function.name}`)"
