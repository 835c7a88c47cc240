"""How much of what an entry point may execute one call may use: the rest is for what comes after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from autolock.program.core import OutOfBudget
from autolock.program.values import Value

if TYPE_CHECKING:
    from autolock.program.core import Core

#: Statements that are not worth dividing.
_LEAST = 150


def afforded(core: Core, run: Callable[[], Value]) -> Value | None:
    """Run a call with half of what is left; None when that was not enough and the call was given up.

    An authentication dependency that leads through half of the program does not keep its handler
    from being followed.
    """
    outer, left = core.floor, core.budget - core.floor
    if left < _LEAST:
        return run()
    frames, context, loops, markers = len(core.frames), core.context, core.loops, len(core.markers)
    held, control, catching = core.state.held, core.state.control, len(core.database.rows.catching)
    core.floor = core.budget - left // 2
    try:
        return run()
    except OutOfBudget:
        if core.budget < outer:
            raise
    finally:
        core.floor = outer
    del core.frames[frames:], core.markers[markers:], core.database.rows.catching[catching:]
    core.context, core.loops = context, loops
    core.state.held, core.state.control, core.state.alive = held, control, True
    core.given_up += 1
    core.trace.stopped.setdefault(core.entry.label, "too much code to follow all of it from here")
    return None
