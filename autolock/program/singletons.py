"""Classes of which there is only one object, by way of what makes it."""

from __future__ import annotations

import ast

from autolock.program.index import dotted

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def kept_instance(new: _Function) -> str:
    """The attribute in which `__new__` keeps the one object, and from which it gives it to everybody; empty for none.

    `cls._one = super().__new__(cls)` and `return cls._one`, whatever the attribute is called.
    """
    owner = new.args.args[0].arg if new.args.args else ""
    given = {_of_owner(n.value, owner) for n in ast.walk(new) if isinstance(n, ast.Return) and n.value is not None}
    kept = {
        _of_owner(target, owner): _makes(node.value, new)
        for node in ast.walk(new)
        if isinstance(node, ast.Assign)
        for target in node.targets
    }
    return next((name for name, made in kept.items() if name and name in given and made), "")


def _of_owner(node: ast.AST, owner: str) -> str:
    """`x` of `cls.x`, or of `Shop.x` in `Shop`."""
    plain = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    of_class = plain and (node.value.id == owner or node.value.id[:1].isupper())  # type: ignore[attr-defined]
    return node.attr if of_class else ""  # type: ignore[attr-defined]


def _makes(value: ast.expr, new: _Function) -> bool:
    """Whether a value is a new object, or a name that was given one."""
    if isinstance(value, ast.Name):
        return any(
            isinstance(n, ast.Assign) and not isinstance(n.value, ast.Name) and _makes(n.value, new)
            for n in ast.walk(new)
            if isinstance(n, ast.Assign) and any(dotted(t) == value.id for t in n.targets)
        )
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr == "__new__"


def fields_given(new: _Function, kept: str) -> dict[str, ast.expr]:
    """What `__new__` puts into the object that it keeps: `cls._one.stock = {}`, `made.stock = {}`."""
    holders = {"self"}
    for node in ast.walk(new):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call | ast.Name):
            names = [dotted(t) for t in node.targets]
            if any(n.rpartition(".")[2] == kept for n in names) or _makes(node.value, new):
                holders.update((*names, dotted(node.value)))
    return {
        target.attr: node.value
        for node in ast.walk(new)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Attribute) and dotted(target.value) in holders - {""}
    }
