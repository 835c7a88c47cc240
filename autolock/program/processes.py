"""Calls by which a program serves itself in several processes: `uvicorn.run("main:app", workers=4)`."""

from __future__ import annotations

import ast

from autolock.program.tables import holds_any

#: Line, number of processes (0 for as many as there are processors), the module that is named, what stands there.
Started = tuple[int, int, str, str]


def processes_started(tree: ast.AST, source: bytes | str) -> tuple[Started, ...]:
    """The calls of a file that start more than one process."""
    if not (holds_any(source, ("uvicorn",)) and holds_any(source, ("workers",))):
        return ()
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return tuple(started for call in calls if (started := _started(call)) is not None)


def _started(call: ast.Call) -> Started | None:
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if "workers" not in given or ast.unparse(call.func) not in ("uvicorn.run", "run") or _is_true(given.get("reload")):
        return None
    written = ast.unparse(given["workers"])
    value = given["workers"].value if isinstance(given["workers"], ast.Constant) else None
    count = 0 if "cpu_count" in written else value
    if not isinstance(count, int) or count in (1, True):
        return None
    app = call.args[0] if call.args else given.get("app")
    named = app.value if isinstance(app, ast.Constant) and isinstance(app.value, str) else ""
    return call.lineno, count, named.partition(":")[0], f"{ast.unparse(call.func)}(..., workers={written})"


def _is_true(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True
