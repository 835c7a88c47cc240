"""What the planner asks about functions: what they call, where a statement of theirs is."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property

from autolock.planning.blocks import Region, Sources
from autolock.planning.hidden import Hidden
from autolock.planning.homes import HomeFinder
from autolock.planning.slow import Slowness
from autolock.program.index import dotted
from autolock.program.linker import Program, Ref
from autolock.program.machine import Machine
from autolock.program.trace import Frame


class Lookups:
    """The program, its sources and its runs, and the questions about functions that every plan asks."""

    def __init__(self, program: Program, machine: Machine, sources: Sources) -> None:
        self.program = program
        self.machine = machine
        self.sources = sources
        self.homes = HomeFinder(program, sources, machine.reached, machine.trace.wholes)
        self.alone: set[int] = set()
        self.slowness = Slowness(self.called, self._guessed, self._body)
        self.hidden = Hidden(program, machine, sources)

    def is_async(self, function: Ref) -> bool:
        facts = self.program.function(function)
        return facts is not None and facts.is_async

    def is_inside(self, frame: Frame, region: Region) -> bool:
        assert frame.function is not None
        assert frame.statement is not None
        blocks = self.sources.blocks(frame.function.path)
        return blocks.inside(frame.statement, region, blocks.unit.functions[frame.function.name])

    def is_reached_in(self, stack: Sequence[Frame], function: Ref, region: Region) -> bool:
        """Whether the calls that lead to an event go through a region of a function."""
        frames = (f for f in stack if f.function == function and f.statement is not None)
        return any(self.is_inside(frame, region) for frame in frames)

    def called(self, function: Ref, call: ast.Call) -> Ref | None:
        """The function of the project that a call by name or through `self` means."""
        name = dotted(call.func)
        owner = Ref("class", function.path, function.name.rpartition(".")[0])
        if name.startswith("self.") and name.count(".") == 1 and self.program.klass(owner) is not None:
            return self.program.method(owner, name[5:])
        found = self.program.resolve(function.path, name, function.name) if name else None
        if found is not None and found[0].kind == "class" and not found[1]:
            return self.program.method(found[0], "__init__")
        known = found is not None and found[0].kind == "function" and not found[1]
        return found[0] if known and found is not None else None

    def _guessed(self, function: Ref, call: ast.Call) -> Ref | None:
        """The only method of the project that has the name of the one that is called."""
        found = self._methods.get(call.func.attr, ()) if isinstance(call.func, ast.Attribute) else ()
        return found[0] if len(found) == 1 else None

    @cached_property
    def _methods(self) -> dict[str, list[Ref]]:
        found: dict[str, list[Ref]] = defaultdict(list)
        for path, facts in self.program.modules.items():
            for name in facts.functions:
                owner, _, method = name.rpartition(".")
                if owner in facts.classes:
                    found[method].append(Ref("function", path, name))
        return found

    def _body(self, function: Ref) -> Sequence[ast.stmt]:
        body: Sequence[ast.stmt] = getattr(self.sources.node_of(function), "body", [])
        return body
