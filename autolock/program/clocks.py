"""Whether a test asks how much time has gone by."""

from __future__ import annotations

import ast

from autolock.program.branches import names_in
from autolock.program.index import dotted
from autolock.program.linker import statements_in

_CLOCKS = frozenset({"time", "monotonic", "perf_counter", "now", "utcnow", "time_ns", "monotonic_ns"})


def asks_the_clock(test: ast.AST, function: ast.AST) -> bool:
    """Whether a test of a function reads a clock, or a name that was computed in the function from what one says."""
    told = [n for n in statements_in(function) if isinstance(n, ast.Assign)]
    seen: set[str] = set()
    trees = [test]
    while trees:
        tree = trees.pop()
        if any(reads_a_clock(n) for n in ast.walk(tree)):
            return True
        names = names_in([tree]) - seen
        seen |= names
        trees += [n.value for n in told if any(isinstance(t, ast.Name) and t.id in names for t in n.targets)]
    return False


def reads_a_clock(node: ast.AST) -> bool:
    """Whether an expression asks what time it is."""
    return isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] in _CLOCKS
