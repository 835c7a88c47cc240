"""What runs before a handler without being one of its parameters: `dependencies=[Depends(...), ...]`."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from autolock.program.index import dotted
from autolock.program.linker import Ref

if TYPE_CHECKING:
    from autolock.program.facts import RouteFacts
    from autolock.program.linker import Program

#: A `Depends(...)` and the scope in which its names are looked up.
Dependency = tuple[Ref, ast.expr]

#: Routers in routers: more than anybody nests.
_DEPTH = 5


def dependencies_of(program: Program, path: str, route: RouteFacts) -> list[Dependency]:
    """The dependencies of a route that its handler does not name, in the order in which FastAPI resolves them.

    Those of the application come first, then those of each inclusion and of each router on the way,
    then those of the route's own decorator or of the call that registers it.
    """
    return [*_of_router(program, path, route.base, route.scope, 0), *_of_route(program, path, route)]


def _of_router(program: Program, path: str, base: str, scope: str, depth: int) -> list[Dependency]:
    found: list[Dependency] = []
    inclusion = program.inclusions.of(path, base, scope) if depth <= _DEPTH else None
    if inclusion is not None:
        other, included = inclusion
        found += _of_router(program, other, included.parent, included.scope, depth + 1)
        found += _at(program, other, included.line, included.scope)
    target = program.resolve(path, base, scope)
    if target is not None and target[0].kind == "variable" and not target[1]:
        path, base = target[0].path, target[0].name
    unit = program.unit(path)
    if unit is None:
        return found
    factory = unit.functions.get(scope)
    for body in (factory.body if factory is not None else [], unit.tree.body):
        made = unit.assignment(body, base)
        if made is not None and isinstance(made.value, ast.Call):
            return found + _given(program, path, made.value, scope)
    return found


def _of_route(program: Program, path: str, route: RouteFacts) -> list[Dependency]:
    unit = program.unit(path)
    node = unit.functions.get(route.function) if unit is not None and route.function else None
    if node is None:
        return _at(program, path, route.line, route.scope)
    return [
        dependency
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call) and dotted(decorator.func) == f"{route.base}.{route.kind}"
        for dependency in _given(program, path, decorator, route.scope)
    ]


def _at(program: Program, path: str, line: int, scope: str) -> list[Dependency]:
    """Those of the calls that begin in a line."""
    unit = program.unit(path)
    calls = unit.calls.get(line, []) if unit is not None else []
    return [dependency for call in calls for dependency in _given(program, path, call, scope)]


def _given(program: Program, path: str, call: ast.Call, scope: str) -> list[Dependency]:
    value = next((k.value for k in call.keywords if k.arg == "dependencies"), None)
    return _listed(program, path, value, scope, 0) if value is not None else []


def _listed(program: Program, path: str, value: ast.expr, scope: str, depth: int) -> list[Dependency]:
    """What a list holds that is written out, named, or put together of such."""
    if depth > _DEPTH:
        return []
    if isinstance(value, ast.List | ast.Tuple):
        found: list[Dependency] = []
        for element in value.elts:
            if isinstance(element, ast.Starred):
                found += _listed(program, path, element.value, scope, depth + 1)
            else:
                # A name is looked up as a function would that stands in the factory.
                place = Ref("function", path, f"{scope}.{element.lineno}") if scope else Ref("module", path, "")
                found.append((place, element))
        return found
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
        return [d for side in (value.left, value.right) for d in _listed(program, path, side, scope, depth + 1)]
    target = program.resolve(path, dotted(value), scope) if dotted(value) else None
    unit = program.unit(target[0].path) if target is not None and target[0].kind == "variable" else None
    if target is None or unit is None or target[1]:
        return []
    made = unit.assignment(unit.tree.body, target[0].name)
    return _listed(program, target[0].path, made.value, "", depth + 1) if made is not None and made.value else []
