"""A method that locks a row, for the object that keeps the session to itself."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from autolock.database.objects import Session
from autolock.edits import Edit
from autolock.planning.blocks import Sources
from autolock.planning.homes import frozen
from autolock.planning.statements import header_nodes
from autolock.program.index import dotted
from autolock.program.linker import Program, Ref
from autolock.program.trace import Frame

_NAMES = ("lock", "lock_row")
_DOC = "Lock a row and read these columns again: who comes second waits, and sees what the first wrote."
_DECLARING = frozenset({"ABC", "Protocol"})


class LockMethod(NamedTuple):
    """How a function calls the method, and the edits that make it, none where the class has it already."""

    call: str
    edits: tuple[Edit, ...]


def lock_method(
    program: Program, sources: Sources, session: Session, said: str, function: Ref, stacks: Sequence[Sequence[Frame]]
) -> LockMethod | None:
    """The method of an object whose session a function can only reach into: `said` is `self.orders._session`.

    `stacks` lead through what the function calls of the object. None where the object is known by what another class
    declares, or its class has no name left for it.
    """
    holder, _, kept = said.rpartition(".")
    method = next((m for s in stacks for m in _called_on(s, function, holder)), None)
    owner = Ref("class", method.path, method.name.rpartition(".")[0]) if method is not None else None
    if method is None or owner is None or program.klass(owner) is None or session.names.get(method) != f"self.{kept}":
        return None
    if _is_declared(program, owner, method.name.rpartition(".")[2]):
        return None
    code = _code(f"self.{kept}", session.is_async, sources.node_of(method))
    for name in _NAMES:
        own = program.method(owner, name)
        wanted = code.format(name=name)
        if own is not None and ast.unparse(sources.node_of(own)) == ast.unparse(ast.parse(wanted)):
            return LockMethod(f"{holder}.{name}", ())
        if own is None and not _is_used(program, name):
            at = sources.blocks(method.path).spot(sources.node_of(method)).path
            return LockMethod(f"{holder}.{name}", (Edit(method.path, "add-method", frozen(at=at, code=wanted)),))
    return None


def _called_on(stack: Sequence[Frame], function: Ref, holder: str) -> list[Ref]:
    """The methods that a function calls of the object that it knows by a name, on one way."""
    found = []
    for outer, inner in pairwise(stack):
        if outer.function != function or inner.function is None or outer.statement is None:
            continue
        called = f"{holder}.{inner.function.name.rpartition('.')[2]}"
        if any(isinstance(n, ast.Call) and dotted(n.func) == called for n in header_nodes(outer.statement)):
            found.append(inner.function)
    return found


def _is_declared(program: Program, owner: Ref, method: str) -> bool:
    """Whether an abstract class or a protocol has the method as well: callers may know the object as that only."""
    return any(
        method in facts.methods
        and Ref("class", path, name) != owner
        and {base.rpartition(".")[2].partition("[")[0] for base in program.bases(Ref("class", path, name))} & _DECLARING
        for path, module in program.modules.items()
        for name, facts in module.classes.items()
    )


def _is_used(program: Program, name: str) -> bool:
    """Whether any class of the program has something of that name."""
    modules = program.modules.values()
    classes = (facts for module in modules for facts in module.classes.values())
    functions = (facts for module in modules for facts in module.functions.values())
    return any(name in c.methods or name in c.bindings for c in classes) or any(
        f"self.{name}" in f.mutates for f in functions
    )


def _code(session: str, is_async: bool, beside: ast.AST) -> str:
    """The source of the method, in the manner of one beside it, with a place for its name."""
    typed = getattr(beside, "returns", None) is not None
    define, wait = ("async def", "await ") if is_async else ("def", "")
    head = "(self, row: object, *columns: str) -> None" if typed else "(self, row, *columns)"
    return (
        f'{define} {{name}}{head}:\n    """{_DOC}"""\n'
        f"    {wait}{session}.refresh(row, attribute_names=columns, with_for_update=True)\n"
    )
