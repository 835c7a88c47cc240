"""A condition that is waited for once: what was asked before is asked again after each wait."""

from __future__ import annotations

import ast

from autolock.edits import Edit
from autolock.planning.blocks import Refusal, Sources, own_nodes
from autolock.planning.guards import Guarding
from autolock.planning.homes import frozen
from autolock.program.windows import RaceWindow

_BY_HAND = "ask again after the wait: `while` in place of `if`"


def ask_again(sources: Sources, window: RaceWindow) -> Guarding:
    """The edit that makes a loop of the `if` round a `wait()`. Raises Refusal."""
    control = window.control
    function = window.read.function if window.read is not None else window.function
    asked = next(
        (
            node
            for node in ast.walk(sources.node_of(function))
            if control is not None and isinstance(node, ast.If) and node.test is control.node
        ),
        None,
    )
    if asked is None or asked.orelse:
        raise Refusal(_BY_HAND)
    if any(isinstance(n, ast.Break | ast.Continue) for n in own_nodes(asked.body)):
        raise Refusal(f"the branch that waits leaves a loop; {_BY_HAND}")
    spot = sources.blocks(function.path).spot(asked)
    if isinstance(spot.owner, ast.If) and spot.prefix.endswith("orelse") and len(spot.block) == 1:
        raise Refusal(f"the wait stands under an `elif`; {_BY_HAND}")
    edit = Edit(function.path, "ask-again", frozen(at=spot.path))
    return Guarding(
        [edit],
        f"Ask `{ast.unparse(asked.test)}` again after each wait",
        "`wait()` gives the lock away: whoever gets it next may take what the notice was about.",
    )
