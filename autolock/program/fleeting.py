"""Windows in threads that are open for an instant: nothing that takes time stands between the two accesses.

The interpreter changes threads there all the same, but only where its time slice happens to end.
"""

from __future__ import annotations

import ast
import re

from autolock.program.index import dotted
from autolock.program.library import PURE_BUILTINS
from autolock.program.linker import Program, Ref
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

#: What reads much from a disk or a network: models and what belongs to them, files, connections.
_LOADING = re.compile(
    r"(model|transformer|pipeline|encoder|tokenizer|pretrained|rerank|llama|whisper|detector|recogni[sz]er)"
    r"|(connect|engine|sleep|fetch|download|request)|^_*(load|open|read|init|warm|run|start|scan|build)",
    re.IGNORECASE,
)


def is_fleeting(program: Program, candidate: Candidate) -> bool:
    """Whether one function reads and writes, on a thread, with only quick calls in between."""
    read, write = candidate.read, candidate.write
    if candidate.between is not None or read.stack[-1].serial != write.stack[-1].serial:
        return False
    node, statement = program.syntax_of(read.function), write.stack[-1].statement
    # The key of `d[key] += n` is there before it reads.
    if isinstance(statement, ast.AugAssign) and read.stack[-1].statement is statement:
        return all(_is_quick(program, read.function, n) for n in ast.walk(statement.value) if isinstance(n, ast.Call))
    begin, end = getattr(read.node, "lineno", 0), getattr(write.node, "end_lineno", 0)
    calls = [n for n in ast.walk(node) if isinstance(n, ast.Call) and begin <= n.lineno <= end] if node else []
    return node is not None and all(_is_quick(program, read.function, call) for call in calls)


def _is_quick(program: Program, function: Ref, call: ast.Call) -> bool:
    """Whether a call is over at once: a constructor by its looks is, too, unless it loads something."""
    name = dotted(call.func)
    last = name.rpartition(".")[2] or getattr(call.func, "attr", "")
    if last in _QUICK or name in PURE_BUILTINS:
        return True
    if not last[:1].isupper() or LASTING.search(last) is not None:
        return False
    found = program.resolve(function.path, name, function.name) if name else None
    if found is None or found[0].kind != "class" or found[1]:
        return _LOADING.search(last) is None
    return not _loads(program, program.method(found[0], "__init__"))


def _loads(program: Program, constructor: Ref | None) -> bool:
    """Whether a constructor of the project calls something that takes time, by its name."""
    node = program.syntax_of(constructor)
    calls = [n for n in ast.walk(node) if isinstance(n, ast.Call)] if node is not None else []
    names = [dotted(call.func).rpartition(".")[2] or getattr(call.func, "attr", "") for call in calls]
    return any(_LOADING.search(name) for name in names)
