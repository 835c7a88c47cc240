"""Where a program says a name that its requests share, and where it calls a function."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from autolock.program.index import dotted
from autolock.program.linker import Program, Ref

if TYPE_CHECKING:
    from autolock.program.values import Location


_DEPENDS = frozenset({"Depends", "Security"})


class Mention(NamedTuple):
    """One mention: the expression or alias, its statement, and the function round it (empty at the top level)."""

    path: str
    function: str
    statement: ast.stmt
    node: ast.AST


class Mentions:
    """Looks names up in the files of a program."""

    def __init__(self, program: Program) -> None:
        self.program = program

    def of(self, location: Location) -> Iterator[Mention]:
        """Every mention of a module variable, a class attribute or a part of `app.state`."""
        name = location.fields[-1].lstrip(".") if location.fields else location.root.name
        for path in self.program.modules:
            if not self.is_taken(path, name):
                continue
            unit = self.program.unit(path)
            assert unit is not None
            for function, statement, node in _expressions(unit.tree.body, ""):
                if self.means(path, function, node, location, name, unit.functions):
                    yield Mention(path, function, statement, node)

    def means(
        self,
        path: str,
        function: str,
        node: ast.AST,
        location: Location,
        name: str,
        functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef],
    ) -> bool:
        if location.fields:
            return isinstance(node, ast.Attribute) and node.attr == name
        if isinstance(node, ast.alias):
            found = self.program.resolve(path, node.asname or node.name, function)
            return node.name == name and found is not None and found[0] == Ref("variable", location.root.path, name)
        if isinstance(node, ast.Attribute):
            found = self.program.resolve(path, dotted(node), function) if node.attr == name else None
            return found == (Ref("variable", location.root.path, name), ())
        if not isinstance(node, ast.Name) or self.is_local(function, node.id, functions):
            return False
        found = self.program.resolve(path, node.id, function)
        return found == (Ref("variable", location.root.path, name), ())

    @staticmethod
    def is_local(function: str, name: str, functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef]) -> bool:
        """Whether a name is bound in a function, or in one round it."""
        while function:
            node = functions.get(function)
            if node is not None and name in _bound(node):
                return True
            function = function.rpartition(".")[0]
        return False

    def calls(self, function: Ref) -> Iterator[tuple[str, ast.Call]]:
        """Every direct call of a function; of a method, also those on objects of which nothing is known here."""
        owner, _, short = function.name.rpartition(".")
        for path in self.program.modules:
            unit = self.program.unit(path) if self.is_taken(path, short) else None
            for scope, _, node in _expressions(unit.tree.body, "") if unit is not None else ():
                if isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] == short:
                    found = self.program.resolve(path, dotted(node.func), scope)
                    some = owner and isinstance(node.func, ast.Attribute) and (found is None or found[1])
                    if some or (found is not None and found[0] == function):
                        yield path, node

    def depends(self, provider: Ref) -> Iterator[tuple[str, ast.stmt, ast.Call]]:
        """Every `Depends(provider)`."""
        short = provider.name.rpartition(".")[2]
        for path in self.program.modules:
            unit = self.program.unit(path) if self.is_taken(path, short) else None
            for scope, statement, node in _expressions(unit.tree.body, "") if unit is not None else ():
                if not isinstance(node, ast.Call) or dotted(node.func).rpartition(".")[2] not in _DEPENDS:
                    continue
                found = self.program.resolve(path, dotted(node.args[0]), scope) if node.args else None
                if found is not None and found[0] == provider:
                    yield path, statement, node

    def is_taken(self, path: str, name: str) -> bool:
        """Whether a file says a name at all."""
        unit = self.program.unit(path) if self.program.may_say(path, name) else None
        return unit is not None and re.search(rf"\b{re.escape(name)}\b", unit.text) is not None


def _expressions(body: list[ast.stmt], scope: str) -> Iterator[tuple[str, ast.stmt, ast.AST]]:
    """All expressions and imported names, with their statement and the qualified name of their function."""
    for statement in body:
        inner = scope
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = f"{scope}.{statement.name}".lstrip(".")
        stack: list[ast.AST] = list(ast.iter_child_nodes(statement))
        blocks: list[ast.stmt] = []
        while stack:
            node = stack.pop()
            if isinstance(node, ast.stmt):
                blocks.append(node)
                continue
            if isinstance(node, ast.expr | ast.alias):
                yield scope, statement, node
            stack.extend(ast.iter_child_nodes(node))
        yield from _expressions(blocks, inner)


def _bound(node: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """The names that a function binds itself."""
    arguments = node.args
    names = {a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    shared: set[str] = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            names.add(inner.id)
        elif isinstance(inner, ast.Global):
            shared |= set(inner.names)
    return names - shared
