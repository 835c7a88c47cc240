"""Whether a test asks how much time has gone by."""

from __future__ import annotations

import ast

from autolock.program.index import dotted
from autolock.program.linker import statements_in

_CLOCKS = frozenset({"time", "monotonic", "perf_counter", "now", "utcnow", "time_ns", "monotonic_ns"})


def asks_the_clock(test: ast.AST, function: ast.AST) -> bool:
    """Whether a test of a function reads a clock, or a name that the function has set from one."""
    names = {n.id for n in ast.walk(test) if isinstance(n, ast.Name)}
    told = [
        n.value
        for n in statements_in(function)
        if isinstance(n, ast.Assign) and any(isinstance(t, ast.Name) and t.id in names for t in n.targets)
    ]
    return any(reads_a_clock(n) for tree in (test, *told) for n in ast.walk(tree))


def reads_a_clock(node: ast.AST) -> bool:
    """Whether an expression asks what time it is."""
    return isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] in _CLOCKS
