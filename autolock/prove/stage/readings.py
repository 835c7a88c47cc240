"""What a statement changes by itself, as far as its text tells: what functions of the project do that it calls is heard
when their own lines run.
"""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType, FrameType, FunctionType, MethodType, ModuleType
from typing import Any

#: A name, or "" for what a call has given, and the attributes that lead on from it.
Chain = tuple[str, ...]

_PLAIN_NODES = (
    *(ast.Name, ast.Attribute, ast.Subscript, ast.Slice, ast.Constant, ast.Call, ast.keyword, ast.Starred, ast.Await),
    *(ast.Compare, ast.BoolOp, ast.BinOp, ast.UnaryOp, ast.IfExp, ast.JoinedStr, ast.FormattedValue, ast.NamedExpr),
    *(ast.Tuple, ast.List, ast.Set, ast.Dict, ast.expr_context, ast.operator, ast.boolop, ast.unaryop, ast.cmpop),
    *(ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Return, ast.Expr, ast.Raise, ast.Assert, ast.Pass),
)
_LOOKING_FUNCTIONS = (
    *(abs, all, any, bool, dict, float, frozenset, int, isinstance, len, list, max, min, range, repr, round, set),
    *(sorted, str, sum, tuple),
)
_LOOKING_METHODS = frozenset(["get", "keys", "values", "items", "copy", "index", "count", "union", "intersection"])
_TEXTS = (str, bytes)
_BUILT_IN_CONTAINERS = (dict, list, set, frozenset, tuple, deque)
_NOTHING = object()


class Unknown(Exception):
    """A chain leads past what can be looked at without running code."""


@dataclass(frozen=True)
class Reading:
    """What a statement calls, the objects of which it sets an attribute or an item (with the attribute's name, or ""),
    and what it may change in place.
    """

    calls: tuple[Chain, ...]
    stores: tuple[tuple[Chain, str], ...]
    in_place: tuple[Chain, ...]
    takes_items: bool


def reading(statement: ast.stmt) -> Reading | None:
    """What the text of a statement, or of the head of one that has a body, tells; None where it leaves things open."""
    parts: list[ast.AST] = [statement.test] if isinstance(statement, (ast.If, ast.While)) else [statement]
    nodes = [node for part in parts for node in ast.walk(part)]
    if not all(isinstance(node, _PLAIN_NODES) for node in nodes):
        return None
    if any(isinstance(node, ast.Await) and not isinstance(node.value, ast.Call) for node in nodes):
        return None
    calls = [_chain(node.func) for node in nodes if isinstance(node, ast.Call)]
    stores = [_stored(node) for node in nodes if isinstance(getattr(node, "ctx", None), ast.Store)]
    in_place = [_chain(node.target) for node in nodes if isinstance(node, ast.AugAssign)]
    if None in calls or None in stores or None in in_place:
        return None
    return Reading(
        tuple(call for call in calls if call is not None),
        tuple(store for store in stores if store is not None and store[0]),
        tuple(chain for chain in in_place if chain is not None),
        any(isinstance(node, ast.Subscript) for node in nodes),
    )


def _chain(node: ast.expr) -> Chain | None:
    """A name, or a call, and its attributes; None for what is no such thing."""
    if isinstance(node, (ast.Name, ast.Call)):
        return (node.id if isinstance(node, ast.Name) else "",)
    above = _chain(node.value) if isinstance(node, ast.Attribute) else None
    return (*above, node.attr) if isinstance(node, ast.Attribute) and above is not None else None


def _stored(node: ast.AST) -> tuple[Chain, str] | None:
    """What a target belongs to, and under which name; nothing for a plain name, None where it cannot be told."""
    if isinstance(node, (ast.Attribute, ast.Subscript)):
        owner = _chain(node.value)
        return None if owner is None else (owner, node.attr if isinstance(node, ast.Attribute) else "")
    return (), ""


def found(frame: FrameType, chain: Chain, given: Any) -> Any:
    """What a chain stands for in a function, where a call has given a value just now (else None), looked up without
    running any code. Raises Unknown.
    """
    name, *attributes = chain
    if not name and given is None:
        raise Unknown
    for space in (frame.f_locals, frame.f_globals, frame.f_builtins) if name else ({"": given},):
        if name in space:
            thing = space[name]
            break
    else:
        raise Unknown
    for attribute in attributes:
        thing = _attribute(thing, attribute)
    return thing


def _attribute(thing: Any, name: str) -> Any:
    if isinstance(thing, (ModuleType, type)):
        spaces = [vars(thing)] if isinstance(thing, ModuleType) else [vars(kind) for kind in thing.__mro__]
        value = next((space[name] for space in spaces if name in space), _NOTHING)
        value = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
    else:
        value = getattr(thing, "__dict__", {}).get(name, _NOTHING)
        if value is _NOTHING:
            inherited = next((vars(kind)[name] for kind in type(thing).__mro__ if name in vars(kind)), _NOTHING)
            value = MethodType(inherited, thing) if isinstance(inherited, FunctionType) else _NOTHING
    if value is _NOTHING:
        raise Unknown
    return value


def only_looks(frame: FrameType, chain: Chain, given: Any, is_own: Callable[[CodeType], bool]) -> bool:
    """Whether what is called changes nothing that its own lines, being of the project, do not tell."""
    try:
        if (
            len(chain) > 1
            and chain[-1] in _LOOKING_METHODS
            and type(found(frame, chain[:-1], given)) in _BUILT_IN_CONTAINERS
        ):
            return True
        if len(chain) > 1 and type(found(frame, chain[:-1], given)) in _TEXTS:
            return True
        called = found(frame, chain, given)
    except Unknown:
        return False
    if any(called is one for one in _LOOKING_FUNCTIONS):
        return True
    if isinstance(called, type):
        return type(called).__call__ is type.__call__ and all(_is_own_or_none(one, is_own) for one in _makers(called))
    if isinstance(called, MethodType):
        called = called.__func__
    return isinstance(called, FunctionType) and is_own(called.__code__)


def _makers(kind: type) -> Iterator[Any]:
    for name in ("__new__", "__init__"):
        for base in kind.__mro__:
            if name in vars(base):
                yield vars(base)[name]
                break


def _is_own_or_none(maker: Any, is_own: Callable[[CodeType], bool]) -> bool:
    maker = maker.__func__ if isinstance(maker, staticmethod) else maker
    if isinstance(maker, FunctionType):
        return is_own(maker.__code__)
    return maker in (object.__new__, object.__init__)
