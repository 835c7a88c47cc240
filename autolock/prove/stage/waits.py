"""Whether a task waits for another task, which asyncio's `wait_for`, `shield`, `gather` and `wait` hide behind a future
of their own, or for what another task has taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

#: Where a task stands that waits for what another one gives back: a connection of a pool, the turn in a lock. A driver
#: has asyncio's events set when its socket has something to read.
_TURNS = frozenset([("asyncio.queues", "get"), ("asyncio.locks", "acquire")])


def waits_for_another(task: asyncio.Task[Any], frames: list[FrameType], others: Iterable[asyncio.Task[Any]]) -> bool:
    """Whether what a task waits for is the end of one of the `others`, or that somebody gives back what it has taken.

    `frames` is where the task stands.
    """
    if frames and (frames[-1].f_globals.get("__name__"), frames[-1].f_code.co_name) in _TURNS:
        return True
    future = task._fut_waiter  # type: ignore[attr-defined]
    return future is not None and any(
        other is future or any(_resolves(callback, future) for callback, _ in other._callbacks or ())
        for other in others
        if other is not task and not other.done()
    )


def _resolves(callback: Callable[..., Any], future: asyncio.Future[Any]) -> bool:
    """Whether a callback knows of a future, which it then sets."""
    cells = getattr(callback, "__closure__", None) or ()
    return any(cell.cell_contents is future for cell in cells) or future in getattr(callback, "args", ())
