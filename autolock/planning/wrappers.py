"""Frames of wrappers that hand on all that they are given: for who reads the code they are not there."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from autolock.program.linker import Program
from autolock.program.trace import Frame


def without_wrappers(program: Program, stack: Sequence[Frame]) -> tuple[Frame, ...]:
    """The calls as they are written: `await repo.take(id)` calls `take`, also where a decorator has wrapped it."""
    return tuple(f for f in stack[:-1] if not _hands_on(program, f)) + tuple(stack[-1:])


def _hands_on(program: Program, frame: Frame) -> bool:
    """Whether a frame is `return await fn(*args, **kwargs)` of a function with no other parameters."""
    node = program.syntax_of(frame.function) if frame.function is not None else None
    if node is None or frame.statement is None or node.args.vararg is None or node.args.kwarg is None:
        return False
    if node.args.args or node.args.posonlyargs or node.args.kwonlyargs:
        return False
    return any(
        isinstance(n, ast.Call)
        and any(isinstance(a, ast.Starred) and _is(a.value, node.args.vararg) for a in n.args)
        and any(k.arg is None and _is(k.value, node.args.kwarg) for k in n.keywords)
        for n in ast.walk(frame.statement)
    )


def _is(value: ast.expr, parameter: ast.arg) -> bool:
    return isinstance(value, ast.Name) and value.id == parameter.arg
