"""Finds the application in a tree: which module, under which name, imported from where."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SKIPPED = {"tests", "test", "docs", "examples", "node_modules", "site-packages", "__pycache__", "migrations"}
_LIKELY = ("main", "app", "asgi", "server", "api", "application")


@dataclass(frozen=True)
class Application:
    """An application to import: `name` is `module:attribute`, `folder` (relative to the root) is where it is
    imported from.
    """

    name: str
    folder: str = "."


def find_application(root: Path) -> Application | None:
    """The likeliest application of a tree: made at the top of a module, nearest to the root, best named;
    None if there is none.
    """
    found = sorted(_candidates(root), key=lambda one: one[0])
    return found[0][1] if found else None


def _candidates(root: Path) -> Iterator[tuple[tuple[int, int, str], Application]]:
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in _SKIPPED and not name.startswith(".")]
        for file in files:
            path = Path(folder, file)
            if file.endswith(".py") and re.search(rb"FastAPI|_app\(", path.read_bytes()):
                for name, is_made in _applications(path):
                    application = _importable(root, path, name)
                    depth = len(path.relative_to(root).parts)
                    rank = _LIKELY.index(path.stem) if path.stem in _LIKELY else len(_LIKELY)
                    yield (depth + (0 if is_made else 20), rank, application.name), application


def _applications(path: Path) -> Iterator[tuple[str, bool]]:
    """Names of applications in a module; False for functions that make one."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    makers = {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and _makes_one(node)}
    for statement in tree.body:
        if isinstance(statement, (ast.Assign, ast.AnnAssign)) and isinstance(statement.value, ast.Call):
            target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
            called = ast.unparse(statement.value.func)
            makes = called.endswith("FastAPI") or called in makers
            if isinstance(target, ast.Name) and (makes or (target.id in _LIKELY and "app" in called.lower())):
                yield target.id, True
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef) and statement.name in makers and not statement.args.args:
            yield statement.name, False


def _makes_one(function: ast.FunctionDef) -> bool:
    """Whether a function returns an application, as far as it says so or makes one itself."""
    if function.returns is not None:
        return ast.unparse(function.returns).endswith("FastAPI")
    calls = (node for node in ast.walk(function) if isinstance(node, ast.Call))
    returns = any(isinstance(node, ast.Return) and node.value is not None for node in ast.walk(function))
    return returns and any(ast.unparse(call.func).endswith("FastAPI") for call in calls)


def _importable(root: Path, path: Path, name: str) -> Application:
    parts = [path.stem] if path.stem != "__init__" else []
    folder = path.parent
    while folder != root and (folder / "__init__.py").exists():
        parts.insert(0, folder.name)
        folder = folder.parent
    return Application(f"{'.'.join(parts)}:{name}", folder.relative_to(root).as_posix() or ".")
