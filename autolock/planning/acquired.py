"""A lock that is taken by hand and released in a `finally`, and is to be held for longer."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

from autolock.edits import Edit
from autolock.planning.blocks import Blocks, Region
from autolock.planning.homes import frozen
from autolock.program.index import dotted
from autolock.program.trace import LockUse


def held_longer(blocks: Blocks, uses: Iterable[LockUse], region: Region) -> Edit | None:
    """The edit that holds the lock of the one acquisition in `uses` over a region that has all of it in its block.

    None where the lock is not released in a `finally` that does nothing else, or once in the same block.
    """
    nodes = {id(use.node): use.node for use in uses}
    call = next(iter(nodes.values())) if len(nodes) == 1 else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.args or call.keywords:
        return None
    lock = ast.unparse(call.func.value)
    for index, statement in enumerate(region.block):
        taken = statement.value if isinstance(statement, ast.Expr) else None
        if (taken.value if isinstance(taken, ast.Await) else taken) is not call:
            continue
        released = _released(region.block, index + 1, f"{lock}.release")
        if released is None or region.last < released or region.first > released:
            return None
        arguments = frozen(
            at=blocks.spot(statement).path,
            lock=lock,
            is_async=isinstance(taken, ast.Await),
            before=max(index - region.first, 0),
            after=region.last - index,
        )
        return Edit(region.path, "hold-longer", arguments)
    return None


def _released(block: Sequence[ast.stmt], start: int, release: str) -> int | None:
    """Which statement of a block lets go of the lock; None where there are several, or it does more than that."""
    calls = [n for s in block[start:] for n in ast.walk(s) if isinstance(n, ast.Call) and dotted(n.func) == release]
    if len(calls) != 1 or start >= len(block):
        return None
    first = block[start]
    if isinstance(first, ast.Try) and not first.handlers and not first.orelse and _is_call(first.finalbody, calls[0]):
        return start
    return next((i for i in range(start + 1, len(block)) if _is_call([block[i]], calls[0])), None)


def _is_call(statements: Sequence[ast.stmt], call: ast.Call) -> bool:
    """Whether the statements are one, and it is just this call."""
    only = statements[0] if len(statements) == 1 else None
    return isinstance(only, ast.Expr) and only.value is call
