"""Who else may change a state: functions that change something of its name, on an object that nobody could name."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property

from autolock.planning.blocks import Sources
from autolock.program.index import dotted
from autolock.program.linker import Program, Ref
from autolock.program.machine import Machine
from autolock.program.values import Location

#: Receivers of a method's own object and class.
_OWN = ("self", "cls")


class Hidden:
    """Looks for writers that the analysis did not tie to any state."""

    def __init__(self, program: Program, machine: Machine, sources: Sources) -> None:
        self.program = program
        self.machine = machine
        self.sources = sources

    def writer(self, owners: Sequence[Location]) -> Ref | None:
        """A function that a request runs and that may change one of the states by another way; None for none."""
        for owner in owners:
            attribute = owner.fields[-1] if owner.fields else ""
            for function, receiver in self._changes.get(attribute, ()) if attribute.startswith(".") else ():
                tied = self._tied[attribute]
                if function in self.machine.reached and function not in tied and self._nameless(function, receiver):
                    return function
        return None

    @cached_property
    def _changes(self) -> dict[str, list[tuple[Ref, str]]]:
        """Per attribute the functions that change it or what it holds, each with what it is an attribute of."""
        found: dict[str, list[tuple[Ref, str]]] = defaultdict(list)
        for path, facts in self.program.modules.items():
            for qualname, function in facts.functions.items():
                for mutated in function.mutates:
                    receiver, _, name = mutated.rpartition(".")
                    if receiver:
                        found[f".{name}"].append((Ref("function", path, qualname), receiver))
        return found

    @cached_property
    def _tied(self) -> dict[str, set[Ref]]:
        """Per attribute the functions whose change of it the analysis has tied to a state."""
        found: dict[str, set[Ref]] = defaultdict(set)
        for _, write in self.machine.trace.writes:
            for field in write.location.fields:
                found[field].add(write.function)
        return found

    def _nameless(self, function: Ref, receiver: str) -> bool:
        """Whether nothing says what the receiver is: not `self`, no name of the program, no local object or type."""
        first = receiver.partition(".")[0]
        if first in _OWN or self.program.resolve(function.path, first, function.name) is not None:
            return False
        return first == "?" or not any(self._says(function, n, first) for n in ast.walk(self.sources.node_of(function)))

    def _says(self, function: Ref, node: ast.AST, name: str) -> bool:
        """Whether a node says what a name is: a parameter's annotation, or the making of an object."""
        if isinstance(node, ast.arg):
            return node.arg == name and node.annotation is not None
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
            return False
        if not any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
            return False
        made = self.program.resolve(function.path, dotted(node.value.func), function.name)
        return made is not None and (made[0].kind == "class" or made[0].name.rpartition(".")[2][:1].isupper())
