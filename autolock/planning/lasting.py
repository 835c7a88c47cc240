"""What a rollback does not take back: calls that are made for what they do, and not to the database."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from autolock.planning.blocks import own_nodes
from autolock.program.index import dotted
from autolock.program.linker import Program, Ref

_SESSION = frozenset(
    {"add", "add_all", "delete", "execute", "expire", "expire_all", "expunge", "flush", "merge", "refresh", "commit"}
)
_TELLING = frozenset({"debug", "info", "warning", "warn", "error", "exception", "critical", "log", "print"})
_OF_VALUES = frozenset(
    {"append", "extend", "update", "setdefault", "insert", "pop", "clear", "remove", "discard", "sort"}
)
_FILLING = frozenset({"append", "extend"})
#: How many calls deep functions of the project are looked into.
_DEPTH = 3


class LastingCalls:
    """Looks for them in the functions of one program."""

    def __init__(self, program: Program) -> None:
        self.program = program

    def first_in(
        self, function: Ref, statements: Sequence[ast.stmt], session: str, lines: range, depth: int = _DEPTH
    ) -> str | None:
        """The first such call that begins in these lines, None where there is none.

        `session` is what the function calls its session, empty where it has none.
        """
        for node in own_nodes(statements):
            if not isinstance(node, ast.Expr) or node.lineno not in lines:
                continue
            call = node.value.value if isinstance(node.value, ast.Await) else node.value
            if isinstance(call, ast.Call) and self._lasts(function, call, session, depth):
                return ast.unparse(call.func)
        return None

    def _lasts(self, function: Ref, call: ast.Call, session: str, depth: int) -> bool:
        receiver, _, method = dotted(call.func).rpartition(".")
        if method in _TELLING or (receiver and method in _FILLING):
            return False
        if method in _SESSION and (receiver == session or method != "delete"):
            return False
        if method in _OF_VALUES and self._is_local(function, receiver):
            return False
        callee = self._callee(function, receiver, method)
        if callee is None or callee.kind == "external":
            return callee is None or not callee.name.startswith("sqlalchemy.")
        node = self._node(callee)
        if node is None or depth == 0:
            return False
        lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
        return self.first_in(callee, node.body, _session_in(node), lines, depth - 1) is not None

    def _callee(self, function: Ref, receiver: str, method: str) -> Ref | None:
        """The function that a call means; None for a method of something that is not known."""
        if receiver:
            owner = self._class_of(function, receiver)
            if owner is not None:
                return self.program.method(owner, method)
        found = self.program.resolve(function.path, f"{receiver}.{method}" if receiver else method, function.name)
        return found[0] if found is not None and not found[1] else None

    def _class_of(self, function: Ref, receiver: str) -> Ref | None:
        """The class of `self`, or of a parameter with an annotation."""
        if receiver in ("self", "cls"):
            return Ref("class", function.path, function.name.rpartition(".")[0])
        annotation = next((a.annotation for a in self._parameters(function) if a.arg == receiver), None)
        found = self.program.resolve(function.path, dotted(annotation), function.name) if annotation else None
        return found[0] if found is not None and found[0].kind == "class" and not found[1] else None

    def _is_local(self, function: Ref, receiver: str) -> bool:
        """Whether a name is a variable of the function itself."""
        if not receiver.isidentifier() or any(a.arg == receiver for a in self._parameters(function)):
            return False
        return self.program.resolve(function.path, receiver, function.name) is None

    def _parameters(self, function: Ref) -> list[ast.arg]:
        node = self._node(function)
        return [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs] if node is not None else []

    def _node(self, function: Ref) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        return self.program.syntax_of(function)


def _session_in(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """What a function calls the session that it works on: what it adds, executes or flushes with."""
    for inner in own_nodes(node.body):
        if isinstance(inner, ast.Attribute) and inner.attr in ("add", "execute", "flush", "commit"):
            return dotted(inner.value)
    return ""
