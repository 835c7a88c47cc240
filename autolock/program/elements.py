"""What is put into containers whose elements nobody has declared: found by looks, before any of it is followed.

An entry point may work on elements that another one puts there, and may be followed first.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from autolock.program.index import dotted
from autolock.program.linker import Program, Ref
from autolock.program.values import Type

if TYPE_CHECKING:
    from autolock.program.objects import Objects

_Function = ast.FunctionDef | ast.AsyncFunctionDef
#: Methods of containers whose last argument becomes an element.
_PUTTING = frozenset({"setdefault", "append", "add", "appendleft", "insert"})


class _Change(NamedTuple):
    """A function that changes what a dotted name means."""

    path: str
    function: str
    text: str

    @property
    def owner(self) -> Ref:
        """The class of the method that makes it."""
        return Ref("class", self.path, self.function.rpartition(".")[0])


class Elements:
    """Tells the class of what is put into a container."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        self._known: dict[tuple[Ref, str], Type | None] = {}
        self._changes = _changes(objects.program)

    def of_variable(self, variable: Ref) -> Type | None:
        """The class of the elements of a module-level container; None where there is none, or more than one."""
        resolve = self.objects.program.resolve
        return self._of(variable, variable.name, lambda c: resolve(c.path, c.text, c.function) == (variable, ()))

    def of_attribute(self, cls: Ref, name: str) -> Type | None:
        """The same for a container that is an attribute of the objects of a class, or of the class."""
        texts = (f"self.{name}", f"cls.{name}", f"{cls.name}.{name}")
        mro = self.objects.program.mro
        return self._of(cls, name, lambda c: c.text in texts and c.owner in mro(cls))

    def of_local(self, factory: Ref, name: str) -> Type | None:
        """The same for a container that is a local of a function whose nested functions share it."""
        nested = f"{factory.name}."
        return self._of(
            factory, name, lambda c: c.text == name and c.path == factory.path and c.function.startswith(nested)
        )

    def of_state(self, name: str) -> Type | None:
        """The same for `app.state.NAME`, however the application is reached."""
        return self._of(Ref("state", "", ""), name, lambda c: c.text.endswith(f"state.{name}"))

    def _of(self, whose: Ref, name: str, is_about: Callable[[_Change], bool]) -> Type | None:
        """The one class of what is put in by the changes of a name that are about the container."""
        if (whose, name) not in self._known:
            self._known[whose, name] = self._one([c for c in self._changes[name] if is_about(c)])
        return self._known[whose, name]

    def _one(self, changes: list[_Change]) -> Type | None:
        types = {kind for change in changes for kind in self._put(change) if kind.kind != "unknown"}
        only = types.pop() if len(types) == 1 else None
        return only if only is not None and only.kind == "instance" else None

    def _put(self, change: _Change) -> Iterator[Type]:
        """The types of what a function puts into a container."""
        function = self.objects.program.syntax_of(Ref("function", change.path, change.function))
        for node in ast.walk(function) if function is not None else ():
            value: ast.expr | None = None
            if isinstance(node, ast.Assign):
                into = [t for t in node.targets if isinstance(t, ast.Subscript) and dotted(t.value) == change.text]
                value = node.value if into else None
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                putting = node.func.attr in _PUTTING and dotted(node.func.value) == change.text
                value = node.args[-1] if putting else None
            if value is not None and function is not None:
                yield self._type(value, function, change)

    def _type(self, value: ast.expr, function: _Function, change: _Change) -> Type:
        """The type of an expression, or of what its function gives the name that it is."""
        if not isinstance(value, ast.Name):
            return self.objects.constructed(change.path, value, change.function)
        arguments = function.args
        for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            if argument.arg == value.id:
                return self.objects.type_of_annotation(change.path, argument.annotation, change.function)[0]
        given = [
            n.value
            for n in ast.walk(function)
            if isinstance(n, ast.Assign) and any(isinstance(t, ast.Name) and t.id == value.id for t in n.targets)
        ]
        types = {self.objects.constructed(change.path, v, change.function) for v in given} - {Type("unknown")}
        return types.pop() if len(types) == 1 else Type("unknown")


def _changes(program: Program) -> dict[str, list[_Change]]:
    """The changes that functions make, by the last part of what they change."""
    found: dict[str, list[_Change]] = defaultdict(list)
    for path, facts in program.modules.items():
        for function in facts.functions.values():
            for text in function.mutates:
                found[text.rpartition(".")[2]].append(_Change(path, function.qualname, text))
    return found
