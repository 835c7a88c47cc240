"""Finding the check that a region begins with, which may be made before the lock is taken as well."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

from autolock.planning.blocks import own_nodes
from autolock.program.index import dotted
from autolock.program.windows import RaceWindow

#: Calls that may be made twice: they look and change nothing.
_LOOKING = frozenset(
    {"get", "time", "monotonic", "now", "utcnow", "len", "isinstance", "str", "int", "float", "bool", "getattr", "min"}
    | {"max", "abs", "timedelta", "total_seconds", "keys", "hash", "tuple", "frozenset", "list", "dict", "Response"}
)
Harmless = Callable[[ast.Call], bool]
_TELLING = frozenset({"debug", "info", "warning", "error", "exception"})


_ACTING = (
    ast.Await,
    ast.Yield,
    ast.YieldFrom,
    ast.NamedExpr,
    ast.Global,
    ast.Nonlocal,
    ast.Delete,
    ast.AugAssign,
    ast.With,
    ast.AsyncWith,
    ast.AsyncFor,
)


def checks_first(statements: Sequence[ast.stmt], windows: Sequence[RaceWindow], harmless: Harmless) -> int:
    """How many of the first statements find out whether there is anything to do, and return if not; 0 for none.

    They must look only, and everything that the windows do must hang on what they find. `harmless`
    says of a call that is not known here whether it changes nothing.
    """
    if not windows or not all(_hangs_on_answer(window) for window in windows):
        return 0
    for number, statement in enumerate(statements[:-1], start=1):
        if isinstance(statement, ast.If):
            decides = any(w.control is not None and _inside(w.control.node, statement.test) for w in windows)
            return number if decides and _returns(statement) and only_looks([statement], harmless) else 0
        if not isinstance(statement, ast.Assign | ast.AnnAssign) or not only_looks([statement], harmless):
            return 0
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        if not all(isinstance(t, ast.Name) for t in targets):
            return 0
    return 0


def _hangs_on_answer(window: RaceWindow) -> bool:
    return window.dependence == "control" and window.exit in ("cached", "return")


def _inside(node: ast.AST, tree: ast.AST) -> bool:
    return any(n is node for n in ast.walk(tree))


def _returns(statement: ast.If) -> bool:
    return not statement.orelse and isinstance(statement.body[-1], ast.Return)


def only_looks(statements: Sequence[ast.stmt], harmless: Harmless) -> bool:
    """Whether statements may run twice: they bind local names, return, write to a log, and await nothing."""
    for node in own_nodes(statements):
        if isinstance(
            node, ast.Await | ast.Yield | ast.YieldFrom | ast.NamedExpr | ast.Global | ast.Delete | ast.AugAssign
        ):
            return False
        if isinstance(node, ast.Assign) and any(not isinstance(t, ast.Name | ast.Tuple) for t in node.targets):
            return False
        if isinstance(node, ast.Call):
            last = dotted(node.func).rpartition(".")[2] or getattr(node.func, "attr", "")
            if last not in _LOOKING | _TELLING and not last[:1].isupper() and not harmless(node):
                return False
    return True


def is_shared_unfinished(window: RaceWindow, statements: Sequence[ast.stmt]) -> bool:
    """Whether statements go on with an object after they have shared it: who looks without the lock finds it half made.

    `cls._instance = super().__new__(cls)` and then `cls._instance.tables = load()`.
    """
    made = window.write.node if window.write is not None else None
    if not isinstance(made, ast.Assign):
        return False
    named = [made.value] if isinstance(made.value, ast.Name) else []
    names = {ast.unparse(n) for n in (*made.targets, *named)}
    later = [n for n in own_nodes(statements) if getattr(n, "lineno", 0) > (made.end_lineno or made.lineno)]
    stored = [n for n in later if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)]
    called = [n.func for n in later if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)]
    return any(ast.unparse(n.value) in names for n in (*stored, *called))
