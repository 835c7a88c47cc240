"""Attributes that no object of a class can have: to use one is an error, and a lock of that name guards nothing."""

from __future__ import annotations

from autolock.program.facts import FunctionFacts
from autolock.program.linker import Program, Ref

#: What such an attribute is, for want of anything.
LACKING = "autolock.lacking"
#: Ways to get attributes that are not written down as such.
_DYNAMIC = frozenset({"setattr", "__dict__", "vars", "__getattr__", "__getattribute__", "__setattr__", "__slots__"})
#: Bases outside of the project that bring no attributes which a lock might be.
_BARE = frozenset({"object", "builtins.object", "abc.ABC", "typing.Generic", "typing.Protocol"})


def lacks(program: Program, ref: Ref, name: str) -> bool:
    """Whether nothing in the program gives an object of a class an attribute of this name."""
    for cls in program.mro(ref):
        if cls.kind != "class":
            if cls.name not in _BARE:
                return False
            continue
        facts = program.klass(cls)
        if facts is None or facts.metaclass or name in facts.bindings or name in facts.methods:
            return False
        functions = [program.modules[cls.path].functions.get(f"{cls.name}.{method}") for method in facts.methods]
        if not _DYNAMIC.isdisjoint((*facts.methods, *facts.bindings)):
            return False
        if any(f is None or f"self.{name}" in f.mutates or _is_dynamic(f) for f in functions):
            return False
    return not _is_given_from_outside(program, name)


def _is_dynamic(function: FunctionFacts) -> bool:
    return any(ref.rpartition(".")[2] in _DYNAMIC for ref in function.refs)


def _is_given_from_outside(program: Program, name: str) -> bool:
    """Whether any code sets an attribute of this name on something that is not its own `self` or class."""
    return any(
        mutated.endswith(f".{name}") and mutated not in (f"self.{name}", f"cls.{name}")
        for facts in program.modules.values()
        for scope in (facts.module_mutates, *(f.mutates for f in facts.functions.values()))
        for mutated in scope
    )
