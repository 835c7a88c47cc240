"""What limits how often a route is called: decorators, dependencies of the application, middleware."""

from __future__ import annotations

import ast
from functools import cached_property
from typing import TYPE_CHECKING

from autolock.llm import names
from autolock.program.index import dotted
from autolock.program.library import ROUTE_DECORATORS

if TYPE_CHECKING:
    from autolock.program.linker import Program, Ref

_DEFAULTS = frozenset({"default_limits", "application_limits"})


class Limiters:
    """The limiters that a program puts before its routes."""

    def __init__(self, program: Program) -> None:
        self.program = program

    def limits(self, function: Ref) -> bool:
        """Whether something limits the route of this handler, by what is written round it."""
        return self.is_decorated(function) or self.everything

    def is_decorated(self, function: Ref) -> bool:
        """Whether a limiter's decorator stands below those that register the handler: above, it limits nothing."""
        node = self.program.syntax_of(function)
        decorators = node.decorator_list if node is not None else []
        registered = [n for n, d in enumerate(decorators) if registers(d)]
        first = registered[-1] + 1 if registered else 0
        return any(names.limits(_called(d)) for d in decorators[first:])

    @cached_property
    def everything(self) -> bool:
        """Whether a middleware or a dependency of the application limits all routes."""
        return any(self._limits_all(path) for path in self.program.modules)

    @cached_property
    def _has_defaults(self) -> bool:
        """Whether slowapi's limiter is made with limits for everything, which its middleware keeps."""
        return any(
            isinstance(node, ast.Call) and dotted(node.func).endswith("Limiter") and _given(node, _DEFAULTS)
            for path, facts in self.program.modules.items()
            if any(i.module.partition(".")[0] == "slowapi" for i in facts.imports.values())
            for node in self._nodes(path)
        )

    def _nodes(self, path: str) -> list[ast.AST]:
        unit = self.program.unit(path)
        return list(ast.walk(unit.tree)) if unit is not None else []

    def _limits_all(self, path: str) -> bool:
        facts = self.program.modules[path]
        if any(r.kind == "middleware" and names.limits(r.function or r.target) for r in facts.routes):
            return True
        slowed = any(r.kind == "middleware" and "SlowAPI" in r.target for r in facts.routes)
        if slowed and self._has_defaults:
            return True
        if not facts.inclusions and not facts.routes:
            return False
        return any(
            isinstance(node, ast.Call)
            and dotted(node.func).rpartition(".")[2] in ("FastAPI", "include_router", "Middleware", "add_middleware")
            and any(names.limits(_called(a)) for a in _listed(node))
            for node in self._nodes(path)
        )


def registers(decorator: ast.expr) -> bool:
    """Whether a decorator registers a route."""
    call = decorator.func if isinstance(decorator, ast.Call) else None
    return isinstance(call, ast.Attribute) and call.attr in ROUTE_DECORATORS


def _called(node: ast.expr) -> str:
    return ast.unparse(node.func if isinstance(node, ast.Call) else node)


def _given(call: ast.Call, wanted: frozenset[str]) -> bool:
    return any(k.arg in wanted and ast.unparse(k.value) != "[]" for k in call.keywords)


def _listed(call: ast.Call) -> list[ast.expr]:
    """The middleware or the dependencies that a call names."""
    last = dotted(call.func).rpartition(".")[2].lower()
    if last.endswith("middleware"):
        return call.args[:1]
    found: list[ast.expr] = []
    for keyword in call.keywords:
        if keyword.arg == "dependencies" and isinstance(keyword.value, ast.List | ast.Tuple):
            for item in keyword.value.elts:
                found += item.args[:1] if isinstance(item, ast.Call) else [item]
    return found
