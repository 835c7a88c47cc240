"""By which name a function reaches the object whose methods do something for it."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from itertools import pairwise

from autolock.program.index import dotted
from autolock.program.trace import Frame


def receiver(frames: Sequence[Frame]) -> str:
    """The name in the first frame of the object that is `self` in all others; empty where that is not certain.

    `rooms.leave(user)`, which does its work in methods of `rooms` only, has `rooms`.
    """
    owners = {
        (f.function.path, f.function.name.rpartition(".")[0]) if f.function is not None else None for f in frames[1:]
    }
    if len(owners) != 1 or owners == {None}:
        return ""
    names = [called_on(frame, later) for frame, later in pairwise(frames)]
    return names[0] if all(name == "self" for name in names[1:]) else ""


def called_on(frame: Frame, later: Frame) -> str:
    """What the method of the later frame is called on, where a frame's statement calls it on one thing only."""
    if frame.statement is None or later.function is None or "." not in later.function.name:
        return ""
    method = later.function.name.rpartition(".")[2]
    found = {
        dotted(node.func.value)
        for node in ast.walk(frame.statement)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == method
    }
    return found.pop() if len(found) == 1 else ""
