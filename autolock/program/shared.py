"""Objects of which the application has one: who handles requests in their methods shares them."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from autolock.program.linker import Ref
from autolock.program.values import FunctionValue, Heap, Location, Root, Type, Value

if TYPE_CHECKING:
    from autolock.program.objects import Objects


def shared_instance(machine: Objects, cls: Ref) -> Heap:
    """An object of a class of which the application has one; its constructor is run with unknown arguments."""
    heap = _bare(cls)
    init = machine.program.method(cls, "__init__")
    if init is not None:
        bound = machine.bound(init, Value(heap)).obj
        if isinstance(bound, FunctionValue):
            with machine.startup():
                machine.enter_module(cls.path)
                machine.invoke(bound, [], {}, ast.Pass())
    return heap


def owner_of_handlers(machine: Objects, method: Ref) -> Heap | None:
    """The object whose method defines handlers, that all of them share; None for other functions, and static ones."""
    facts, node = machine.program.function(method), machine.program.syntax_of(method)
    if facts is None or not facts.owner or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return None
    if not node.args.args or {"staticmethod", "classmethod"} & set(facts.decorators):
        return None
    cls = Ref("class", method.path, facts.owner)
    return _bare(cls) if node.name == "__init__" else shared_instance(machine, cls)


def _bare(cls: Ref) -> Heap:
    return Heap(Type("instance", cls), Location(Root("instance", cls.path, cls.name)))
