"""`Model.query`: what `scoped_session.query_property()` gives to every mapped class."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from autolock.database.objects import Factory
from autolock.program.index import dotted

if TYPE_CHECKING:
    from autolock.program.core import Core
    from autolock.program.linker import Ref

NAME = "query_property"


def sessions_of(core: Core, cls: Ref) -> Factory | None:
    """The sessions through which `cls.query` asks; None where nothing gives the class or its bases one."""
    for base in _bases(core, cls):
        unit = core.unit(base.path)
        body = unit.tree.body if unit is not None else []
        klass = unit.classes.get(base.name) if unit is not None else None
        call = next(_given(klass.body if klass is not None else [], "query"), None)
        call = call or next(_given(body, f"{base.name}.query"), None)
        if call is None or not isinstance(call.func, ast.Attribute):
            continue
        found = core.program.resolve(base.path, dotted(call.func.value))
        if found is None or found[0].kind != "variable" or found[1]:
            continue
        factory = core.module_variable(found[0].path, found[0].name).obj
        if isinstance(factory, Factory) and factory.scoped:
            return factory
    return None


def _bases(core: Core, cls: Ref, depth: int = 0) -> Iterator[Ref]:
    """A class and what it inherits from, also where that is made by a call: `Base = declarative_base()`."""
    yield cls
    facts = core.program.klass(cls) if cls.kind == "class" else None
    for name in facts.bases if facts is not None and depth < _DEPTH else ():
        found = core.program.resolve(cls.path, name)
        if found is not None and not found[1] and found[0].kind in ("class", "variable"):
            yield from _bases(core, found[0], depth + 1)


_DEPTH = 8


def _given(body: list[ast.stmt], name: str) -> Iterator[ast.Call]:
    """The calls of `query_property` that statements assign to a name."""
    for statement in body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        value = statement.value if isinstance(statement, ast.Assign) else None
        called = isinstance(value, ast.Call) and dotted(value.func).rpartition(".")[2] == NAME
        if called and isinstance(value, ast.Call) and any(dotted(t) == name for t in targets):
            yield value
