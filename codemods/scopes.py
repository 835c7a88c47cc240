"""Which names a module and the functions round a statement bind, read off the standard library's `ast`."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from codemods.parsing import parse
from codemods.paths import PlaceError, StatementPath

if TYPE_CHECKING:
    from collections.abc import Iterator

Scope = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_OTHER = "?"


def parsed(code: str) -> ast.Module:
    """The module as `ast`; raises PlaceError where it cannot be parsed."""
    try:
        return parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise PlaceError(f"the module cannot be parsed: {error}") from error


def scopes_of(tree: ast.Module, path: StatementPath) -> list[Scope]:
    """The module and the definitions that the statement at `path` stands in, outermost first; raises PlaceError."""
    node: ast.AST = tree
    scopes: list[Scope] = [tree]
    for step in path.owner:
        node = _child(node, step.field, step.index)
        if isinstance(node, _SCOPES):
            scopes.append(node)
    return scopes


def statement_at(tree: ast.Module, path: StatementPath) -> ast.AST:
    """The statement at `path`; raises PlaceError."""
    node: ast.AST = tree
    for step in path.steps:
        node = _child(node, step.field, step.index)
    return node


def bindings(scope: Scope) -> dict[str, set[str]]:
    """For each name that a scope binds, what it is bound to: `asyncio`, `asyncio.Lock` by imports, else `?`."""
    found: dict[str, set[str]] = {}
    for name, source in _bound(scope):
        found.setdefault(name, set()).add(source)
    return found


def runtime_imports(tree: ast.Module, before: int) -> dict[str, str]:
    """Names that the module's own imports bind when it runs, and to what.

    Only imports before the module's statement `before` count, those in the body of a `try` too, and
    none under an `if`, such as `if TYPE_CHECKING:`.
    """
    found: dict[str, str] = {}
    for statement in tree.body[:before]:
        inside = statement.body if isinstance(statement, ast.Try) else [statement]
        for node in inside:
            if isinstance(node, ast.Import | ast.ImportFrom):
                found.update(_imported(node))
    return found


def _child(node: ast.AST, field: str, index: int) -> ast.AST:
    children = getattr(node, field, None)
    if not isinstance(children, list) or index >= len(children):
        raise PlaceError(f"there is no statement at {field}[{index}]")
    child: ast.AST = children[index]
    return child


def _bound(scope: Scope) -> Iterator[tuple[str, str]]:
    """Every binding of the scope itself, not of those inside it."""
    if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
        arguments = scope.args
        for group in (arguments.posonlyargs, arguments.args, arguments.kwonlyargs):
            yield from ((argument.arg, _OTHER) for argument in group)
        for rest in (arguments.vararg, arguments.kwarg):
            if rest is not None:
                yield rest.arg, _OTHER
    pending: list[ast.AST] = list(scope.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from _imported(node)
        elif isinstance(node, _SCOPES):
            yield node.name, _OTHER
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id, _OTHER
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name is not None:
            yield node.name, _OTHER
        elif isinstance(node, ast.MatchMapping) and node.rest is not None:
            yield node.rest, _OTHER
        if not isinstance(node, (*_SCOPES, ast.Lambda)):
            pending.extend(ast.iter_child_nodes(node))


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """The names that an import binds, and what to."""
    if isinstance(node, ast.ImportFrom):
        module = "." * node.level + (node.module or "")
        separator = "" if module.endswith(".") else "."
        for alias in node.names:
            yield alias.asname or alias.name, f"{module}{separator}{alias.name}"
        return
    for alias in node.names:
        if alias.asname:
            yield alias.asname, alias.name
        else:
            top = alias.name.partition(".")[0]
            yield top, top
