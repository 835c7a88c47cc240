"""Windows in threads that are open for an instant: nothing that takes time stands between the two accesses.

The interpreter changes threads there all the same, but only where its time slice happens to end.
"""

from __future__ import annotations

import ast

from autolock.program.index import dotted
from autolock.program.library import PURE_BUILTINS
from autolock.program.linker import Program
from autolock.program.stateless import LASTING
from autolock.program.trace import Candidate

#: Methods of texts, numbers, dates and containers, and calls that ask the clock or write to a log.
_QUICK = frozenset(
    {
        *("get", "items", "keys", "values", "append", "add", "pop", "update", "copy", "setdefault", "extend", "remove"),
        *("discard", "clear", "insert", "index", "count", "sort", "move_to_end", "popleft", "appendleft", "popitem"),
        *(
            "strip",
            "split",
            "join",
            "format",
            "lower",
            "upper",
            "startswith",
            "endswith",
            "replace",
            "encode",
            "decode",
        ),
        *("now", "utcnow", "time", "monotonic", "isoformat", "timestamp", "total_seconds", "timedelta", "uuid4", "hex"),
        *("debug", "info", "warning", "error", "exception", "log", "model_dump", "dict", "defaultdict", "round"),
    }
)


def is_fleeting(program: Program, candidate: Candidate) -> bool:
    """Whether one function reads and writes, on a thread, with only quick calls in between."""
    read, write = candidate.read, candidate.write
    if candidate.between is not None or read.stack[-1].serial != write.stack[-1].serial:
        return False
    node, statement = program.syntax_of(read.function), write.stack[-1].statement
    # The key of `d[key] += n` is there before it reads.
    if isinstance(statement, ast.AugAssign) and read.stack[-1].statement is statement:
        return all(_is_quick(n) for n in ast.walk(statement.value) if isinstance(n, ast.Call))
    begin, end = getattr(read.node, "lineno", 0), getattr(write.node, "end_lineno", 0)
    calls = [n for n in ast.walk(node) if isinstance(n, ast.Call) and begin <= n.lineno <= end] if node else []
    return node is not None and all(_is_quick(call) for call in calls)


def _is_quick(call: ast.Call) -> bool:
    """Whether a call is over at once: a constructor by its looks is, too."""
    name = dotted(call.func)
    last = name.rpartition(".")[2] or getattr(call.func, "attr", "")
    return last in _QUICK or name in PURE_BUILTINS or (last[:1].isupper() and LASTING.search(last) is None)
