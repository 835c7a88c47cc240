"""A lock that is taken by hand and released in a `finally`, and is to be held for longer."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterable

from autolock.edits import Edit
from autolock.planning.blocks import Blocks, Region
from autolock.planning.homes import frozen
from autolock.program.index import dotted
from autolock.program.trace import LockUse


def held_longer(blocks: Blocks, uses: Iterable[LockUse], region: Region) -> Edit | None:
    """The edit that holds the lock of the one acquisition in `uses` over a region that has all of it in its block.

    None where the lock is not taken just before a `try` that does nothing but release it in the end.
    """
    nodes = {id(use.node): use.node for use in uses}
    call = next(iter(nodes.values())) if len(nodes) == 1 else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.args or call.keywords:
        return None
    lock = ast.unparse(call.func.value)
    block = region.block
    for index, (statement, following) in enumerate(itertools.pairwise(block)):
        taken = statement.value if isinstance(statement, ast.Expr) else None
        if (taken.value if isinstance(taken, ast.Await) else taken) is not call:
            continue
        if not isinstance(following, ast.Try) or not _only_releases(following, lock):
            return None
        if not region.first <= index + 1 <= region.last:
            return None
        arguments = frozen(
            at=blocks.spot(statement).path,
            lock=lock,
            is_async=isinstance(taken, ast.Await),
            before=max(index - region.first, 0),
            after=region.last - index - 1,
        )
        return Edit(region.path, "hold-longer", arguments)
    return None


def _only_releases(tried: ast.Try, lock: str) -> bool:
    """Whether all that a `try` does is to make sure of the release, once."""
    if tried.handlers or tried.orelse or len(tried.finalbody) != 1:
        return False
    releases = [n for n in ast.walk(tried) if isinstance(n, ast.Call) and dotted(n.func) == f"{lock}.release"]
    last = tried.finalbody[0]
    return len(releases) == 1 and isinstance(last, ast.Expr) and last.value is releases[0]
