"""Finds the application in a tree: which module, under which name, imported from where, by which interpreter."""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SKIPPED = {
    *("tests", "test", "docs", "examples", "node_modules", "site-packages", "__pycache__", "migrations"),
    *("venv", "env"),
}
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


def named_application(root: Path, name: str) -> Application:
    """An application that somebody names as `module:attribute`, imported from the folder nearest to the root which has
    the module.
    """
    parts = name.partition(":")[0].split(".")
    ends = (Path(*parts).with_suffix(".py").parts, Path(*parts, "__init__.py").parts)
    found = [(path, end) for path in _python_files(root) for end in ends if path.parts[-len(end) :] == end]
    if not found:
        return Application(name)
    path, end = min(found, key=lambda one: (len(one[0].parts), one[0]))
    return Application(name, path.parents[len(end) - 1].relative_to(root).as_posix() or ".")


def interpreter_of(root: Path) -> str:
    """The interpreter that has the packages of a project: of the environment that is active, or that stands in the
    tree, where FastAPI is installed in it; else this one.
    """
    active = os.environ.get("VIRTUAL_ENV")
    places = [*([Path(active)] if active else []), root / ".venv", root / "venv"]
    own = (place for place in places if any(place.glob("lib/python*/site-packages/fastapi")))
    usable = (str(place / "bin" / "python") for place in own if (place / "bin" / "python").exists())
    return next(usable, sys.executable)


def _python_files(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in _SKIPPED and not name.startswith(".")]
        yield from (Path(folder, file) for file in files if file.endswith(".py"))


def _candidates(root: Path) -> Iterator[tuple[tuple[int, int, str], Application]]:
    for path in _python_files(root):
        if re.search(rb"FastAPI|_app\(", path.read_bytes()):
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
    folder = _import_folder(root, path)
    return Application(f"{'.'.join(_module_parts(folder, path))}:{name}", folder.relative_to(root).as_posix() or ".")


def _module_parts(folder: Path, path: Path) -> tuple[str, ...]:
    """The parts of a module's name, as it is imported from a folder; none for what is no module there."""
    parts = path.relative_to(folder).with_suffix("").parts
    return parts[:-1] if path.stem == "__init__" else parts


def _import_folder(root: Path, path: Path) -> Path:
    """The folder from which a module is imported: where most of what it imports itself is found.

    Where that tells nothing, the one outside of its packages. A folder may be a package without saying so.
    """
    names, level = _imports(path)
    deepest = level + (path.stem != "__init__")
    above = [folder for folder in path.parents if folder == root or root in folder.parents]
    folders = [one for one in above if len(_module_parts(one, path)) >= max(deepest, 1)] or above[-1:]
    outside = [one for one in folders if not (one / "__init__.py").exists()]
    return max([*outside[:1], *folders], key=lambda folder: sum(_has_module(folder, name) for name in names))


def _imports(path: Path) -> tuple[set[str], int]:
    """The modules that a file imports by their whole names, and how many packages up it reaches by relative ones."""
    nodes = list(ast.walk(ast.parse(path.read_bytes())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    parts = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    return plain | {one.module for one in parts if one.module and not one.level}, max(
        (one.level for one in parts), default=0
    )


def _has_module(folder: Path, name: str) -> bool:
    place = folder.joinpath(*name.split("."))
    return place.with_suffix(".py").is_file() or any(place.glob("*.py"))
