"""What several rules about sessions share."""

from __future__ import annotations

from autolock.database.session_windows import SessionWindow
from autolock.program.windows import RaceWindow


def session_window(window: RaceWindow, *kinds: str) -> SessionWindow | None:
    """The window as one of a session, when it is of one of the kinds."""
    return window if isinstance(window, SessionWindow) and window.kind in kinds else None


def handlers(window: RaceWindow) -> str:
    """`the requests to GET /notes and POST /notes`, or `every request` where there are many."""
    routes = window.routes
    if not routes:
        return "everything that uses it"
    if len(routes) > 2:
        return f"all requests to {len(routes)} routes"
    return f"all requests to {' and '.join(routes)}"
