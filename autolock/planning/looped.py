"""The keys of all rows that a loop will load, as they can be written before it."""

from __future__ import annotations

import ast

from autolock.planning.blocks import Refusal
from autolock.program.index import dotted

#: Annotations and calls of what can be gone through twice.
_KEPT = frozenset({"list", "List", "dict", "Dict", "tuple", "Tuple", "set", "Set", "Sequence", "Mapping", "Collection"})
_MAKING = frozenset({"list", "dict", "tuple", "set", "sorted", "all", "fetchall"})
_DISPLAYS = (ast.List, ast.Dict, ast.Set, ast.Tuple, ast.ListComp, ast.DictComp, ast.SetComp)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def keys_of_turns(function: Function, loop: ast.For, key: ast.expr, otherwise: str) -> str:
    """The source of a list of what `key` will be in each turn of a loop; raises Refusal with `otherwise`."""
    source, target = loop.iter, loop.target
    paired = isinstance(target, ast.Tuple) and len(target.elts) == 2
    called = source.func if isinstance(source, ast.Call) and not source.args else None
    if paired and isinstance(target, ast.Tuple) and isinstance(called, ast.Attribute) and called.attr == "items":
        source, target = called.value, target.elts[0]
    root = _root(key)
    if not isinstance(target, ast.Name) or root is None or root.id != target.id or not _is_kept(function, source):
        raise Refusal(otherwise)
    if isinstance(key, ast.Name):
        return f"list({ast.unparse(source)})"
    return f"[{ast.unparse(key)} for {target.id} in {ast.unparse(source)}]"


def _root(key: ast.expr) -> ast.Name | None:
    """`line` in `line.product_id` and in `line["product_id"]`."""
    while isinstance(key, ast.Attribute) or (isinstance(key, ast.Subscript) and isinstance(key.slice, ast.Constant)):
        key = key.value
    return key if isinstance(key, ast.Name) else None


def _is_kept(function: Function, source: ast.expr) -> bool:
    """Whether an expression can be gone through twice: it is no generator."""
    if isinstance(source, ast.Attribute):
        return bool(dotted(source))
    if isinstance(source, ast.Call):
        once = source.func.id if isinstance(source.func, ast.Name) else ""
        return once == "sorted" and len(source.args) == 1 and _is_kept(function, source.args[0])
    if not isinstance(source, ast.Name):
        return False
    arguments = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
    named = next((a.annotation for a in arguments if a.arg == source.id), None)
    annotated = named.value if isinstance(named, ast.Subscript) else named
    made = [n.value for n in ast.walk(function) if isinstance(n, ast.Assign) and _binds(n, source.id)]
    if made:
        return all(_makes(value) for value in made)
    return annotated is not None and dotted(annotated).rpartition(".")[2] in _KEPT


def _binds(statement: ast.Assign, name: str) -> bool:
    return any(isinstance(n, ast.Name) and n.id == name for target in statement.targets for n in ast.walk(target))


def _makes(value: ast.expr) -> bool:
    value = value.value if isinstance(value, ast.Await) else value
    if isinstance(value, ast.Call):
        return (getattr(value.func, "attr", "") or getattr(value.func, "id", "")) in _MAKING
    return isinstance(value, _DISPLAYS)
