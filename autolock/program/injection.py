"""Objects that a container of dependency_injector makes: `stock = providers.Singleton(Stock)`."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from autolock.program.index import dotted
from autolock.program.linker import Ref
from autolock.program.values import NOTHING, ClassValue, FunctionValue, Heap, Location, Root, Value

if TYPE_CHECKING:
    from autolock.program.calls import Calls

_PROVIDERS = "dependency_injector.providers."
#: Providers that give the same object each time.
_SHARED = frozenset({"Singleton", "ThreadSafeSingleton", "ContextLocalSingleton", "Resource", "Object"})
_WIRING = frozenset({"Provide", "Closing"})


def wired(node: ast.expr) -> ast.expr | None:
    """What `Provide[...]` names."""
    while isinstance(node, ast.Subscript) and dotted(node.value).rpartition(".")[2] in _WIRING:
        node = node.slice
        if not isinstance(node, ast.Subscript):
            return node
    return None


def is_provider(value: Value) -> bool:
    """Whether a value is a provider of a container, which gives an object when it is called."""
    obj = value.obj
    return isinstance(obj, Heap) and obj.type.kind == "external" and obj.type.name.startswith(_PROVIDERS)


def provided(machine: Calls, provider: Value) -> Value:
    """The object that a provider gives."""
    heap = provider.obj
    if not isinstance(heap, Heap) or not isinstance(heap.node, ast.Call) or not heap.node.args or heap.location is None:
        return NOTHING
    root = heap.location.root
    name = f"{root.name}{''.join(heap.location.fields)}"
    if heap.type.name.rpartition(".")[2] not in _SHARED:
        return _made(machine, heap.node, Ref("class", root.path, root.name), name, shared=False)
    key = (root.path, f"{name}()")
    if key not in machine.singletons:
        machine.singletons[key] = NOTHING
        with machine.startup():
            value = _made(machine, heap.node, Ref("class", root.path, root.name), name, shared=True)
        machine.settle(value, Location(Root("instance", root.path, name)))
        machine.singletons[key] = Value(value.obj, term=name)
    return machine.singletons[key]


def _made(machine: Calls, call: ast.Call, container: Ref, name: str, *, shared: bool) -> Value:
    with machine.startup():
        machine.enter_module(container.path)
        target, *args = [_argument(machine, a, container) for a in call.args]
        kwargs = {k.arg: _argument(machine, k.value, container) for k in call.keywords if k.arg is not None}
    if isinstance(target.obj, ClassValue):
        return machine.instantiate(target.obj, args, kwargs, call)
    if isinstance(target.obj, FunctionValue):
        return machine.call_function(target.obj, args, kwargs, call)
    return target if shared else NOTHING


def _argument(machine: Calls, node: ast.expr, container: Ref) -> Value:
    """An argument of a provider: another one of the container stands for what it gives."""
    if isinstance(node, ast.Name) and machine.program.class_binding(container, node.id) is not None:
        value = machine.class_slot(container, node.id, node)
    else:
        value = machine.evaluate(node)
    return provided(machine, value) if is_provider(value) else value
