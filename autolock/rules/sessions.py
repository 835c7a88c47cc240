"""What several rules about sessions share."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autolock.database.session_windows import SessionWindow
    from autolock.database.sessions import Outliving
    from autolock.program.windows import RaceWindow


def session_window(window: RaceWindow, *kinds: str) -> SessionWindow | None:
    """The window as one of a session, when it is of one of the kinds."""
    # Imported late: a run in which nothing has changed only asks rules for their names.
    from autolock.database.session_windows import SessionWindow

    return window if isinstance(window, SessionWindow) and window.kind in kinds else None


def started(task: Outliving) -> str:
    """What is started to run by itself, as its caller writes it."""
    call = task.node
    first = call.args[0] if isinstance(call, ast.Call) and call.args else None
    if isinstance(first, ast.Call):
        first = first.func
    return ast.unparse(first) if first is not None else task.task.name


def handlers(window: RaceWindow) -> str:
    """`the requests to GET /notes and POST /notes`, or `every request` where there are many."""
    routes = window.routes
    if not routes:
        return "everything that uses it"
    if len(routes) > 2:
        return f"all requests to {len(routes)} routes"
    return f"all requests to {' and '.join(routes)}"
