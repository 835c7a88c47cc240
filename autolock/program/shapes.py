"""What makes one call of a function like another."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from autolock.program.values import (
    ClassValue,
    Coroutine,
    External,
    FunctionValue,
    Group,
    Heap,
    LockValue,
    Method,
    Own,
    Partial,
    Row,
    Thing,
    Value,
    is_none,
    truth,
)

#: What databases know; isinstance takes three times as long where it puts a union together first.
_OF_ONE_RUN = (Row, Thing)


def terms_of(values: Iterable[Value]) -> tuple[str, ...]:
    """The texts by which equal values are recognised."""
    return tuple([v.term for v in values])


def shape_of(value: Value, depth: int = 0) -> object:
    """What a value is, as far as it can change what a function does."""
    obj = value.obj
    if obj is None:
        return "None" if is_none(value) else truth(value)
    if isinstance(obj, External):
        return obj.name
    if isinstance(obj, ClassValue):
        return obj.ref
    if isinstance(obj, LockValue):
        return obj.location
    if isinstance(obj, _OF_ONE_RUN):
        return obj.__class__, obj.serial  # what is done through it belongs to one run
    if isinstance(obj, Heap):
        if obj.location is not None:
            return obj.location, isinstance(obj.location, Own)
        if depth > 2:
            return obj.type
        keys = _keys_of(obj) if obj.keywords else None
        return obj.type, keys, tuple((name, shape_of(held, depth + 1)) for name, held in sorted(obj.fields.items()))
    if isinstance(obj, FunctionValue):
        receiver = shape_of(obj.receiver, depth + 1) if obj.receiver is not None and depth < 3 else ""
        return obj.ref, id(obj.node), id(obj.env) if obj.env is not None else 0, receiver
    if isinstance(obj, Method):
        return obj.name, shape_of(obj.receiver, depth + 1) if depth < 3 else ""
    if isinstance(obj, Group):
        return tuple(shape_of(item, depth + 1) for item in obj.items[:8]) if depth < 3 else "group"
    if isinstance(obj, Coroutine):
        return "coroutine", obj.function.ref, *(shape_of(a, depth + 1) for a in obj.args if depth < 3)
    if isinstance(obj, Partial):
        return "partial", shape_of(obj.function, depth + 1) if depth < 3 else ""
    return getattr(obj, "path", None) or str(getattr(obj, "location", type(obj)))


def _keys_of(made: Heap) -> tuple[str, ...]:
    """The keys that a dictionary is written with, where all of them are known."""
    node = made.node
    return tuple(str(k.value) for k in node.keys if isinstance(k, ast.Constant)) if isinstance(node, ast.Dict) else ()
