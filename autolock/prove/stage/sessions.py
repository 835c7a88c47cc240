"""SQLAlchemy's sessions and pools between runs: each run finds the sessions that outlive a request as new ones.

A session that a module keeps would go on with the rows, the transaction and the failure of the run before.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from typing import Any


async def close_sessions() -> None:
    """Close every session that is alive; it begins anew when it is used again."""
    module = sys.modules.get("sqlalchemy.orm.session")
    alive = list(module._sessions.values()) if module is not None else []
    for session in alive:
        await _in_greenlet(session.close)


async def empty_pools() -> None:
    """Let every engine connect anew, as after a start or a pause.

    What SQLite keeps in memory would be gone with its connection.
    """
    for engine in instances_of("sqlalchemy.engine", "Engine"):
        if engine.dialect.name != "sqlite":
            await _in_greenlet(engine.dispose)


async def _in_greenlet(work: Any) -> None:
    """Do what may wait for a driver over asyncio. What can't be closed is left to the driver."""
    spawn = sys.modules["sqlalchemy.util"].greenlet_spawn
    with contextlib.suppress(Exception):
        await spawn(work)


def instances_of(module: str, name: str) -> list[Any]:
    """All living instances of a library's class, where it has been imported."""
    kind = getattr(sys.modules.get(module), name, None)
    return [] if kind is None else [thing for thing in gc.get_objects() if isinstance(thing, kind)]
