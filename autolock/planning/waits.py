"""What others would wait for while somebody holds the lock."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from autolock.planning.blocks import Region, awaits, own_nodes
from autolock.planning.needs import Need
from autolock.planning.places import Places
from autolock.planning.spans import Regions, starts_several
from autolock.program.linker import Ref
from autolock.program.values import Location
from autolock.program.windows import RaceWindow

if TYPE_CHECKING:
    from autolock.database.trace import Wait


class Waits(Places):
    """Tells what takes long, or comes back to the lock, in the regions of a plan."""

    def stalling(self, regions: Regions, needs: Sequence[Need]) -> str:
        """What a thread does under a lock that the event loop waits for, where that is much code."""
        contexts: dict[Ref, set[str]] = defaultdict(set)
        for need in needs:
            contexts[need.function].add(need.context)
        if all("loop" not in found for found in contexts.values()):
            return ""
        for function, spans in regions.items():
            for region in spans if "thread" in contexts[function] else ():
                call = self.slowness.heaviest(function, region.statements)
                if call:
                    return f"`{function.name}` runs `{call}`, which the event loop waits for"
        return ""

    def slow(self, regions: Regions, windows: Sequence[RaceWindow]) -> str:
        """What others would have to wait for; who wants an object that is being made would wait for it anyhow."""
        for function, spans in regions.items():
            mine = [w for w in windows if w.function == function]
            if self.is_lazy(function, windows) and not any(w.location.fields[-1:] == ("[*]",) for w in mine):
                continue
            for region in spans:
                found = self.slowness.of(function, region.statements)
                if found:
                    return f"`{function.name}` {found}"
        return ""

    def delaying(self, regions: Regions, windows: Sequence[RaceWindow]) -> str:
        """What one function waits for under the lock, while others waited for nothing, or want another element."""
        every = [(function, region) for function, spans in regions.items() for region in spans]
        trace = self.machine.database.rows.trace
        asking = [self._asked(function, region, trace.services) for function, region in every]
        acting = [w for w in windows if not self.is_lazy(w.function, windows)]
        if all(asking) and not any(_is_keyed(w) for w in acting):
            return ""
        if not any(asking):
            asking = [self._asked(function, region, trace.strangers) for function, region in every]
            if all(asking):
                return ""
        found = next(((function, text) for (function, _), text in zip(every, asking, strict=True) if text), None)
        return f"`{found[0].name}` waits for `{found[1]}`" if found is not None else ""

    def _asked(self, function: Ref, region: Region, waits: Sequence[Wait]) -> str:
        """The call of another service in a region, itself or through what it calls; empty for none."""
        return next((wait.text for wait in waits if self.is_reached_in(wait.stack, function, region)), "")

    def lining_up(self, regions: Regions, windows: Sequence[RaceWindow]) -> str:
        """Who starts several at once, each to fetch another element, which would wait for each other from then on."""
        keyed = {w.location.base for w in windows if _is_keyed(w) and self.is_lazy(w.function, windows)}
        for candidate in self.machine.trace.candidates:
            write = candidate.write
            spans = regions.get(write.function, ()) if write.location.base in keyed else ()
            if not any(awaits(region.statements) for region in spans):
                continue
            for frame in write.stack[:-1]:
                if frame.statement is not None and any(map(starts_several, ast.walk(frame.statement))):
                    assert frame.function is not None
                    return f"`{frame.function.name}` starts several at once, which come one after the other"
        return ""

    def taken_back(self, regions: Regions, windows: Sequence[RaceWindow]) -> str:
        """Where all of the work is under the lock, as who claims something gives it back at the end of it."""
        for window in windows:
            claim = window.write
            if claim is None or window.dependence != "control":
                continue
            start = getattr(claim.node, "lineno", 0)
            for _, write in self.machine.trace.writes:
                base, last = write.location.base, write.stack[-1].statement
                if write.kind != "remove" or base != claim.location.base or last is None or last.lineno <= start:
                    continue
                for region in regions.get(write.function, ()) if write.function == window.function else ():
                    inside = (n.lineno for n in own_nodes(region.statements) if isinstance(n, ast.Call))
                    if self.is_inside(write.stack[-1], region) and any(start < line < last.lineno for line in inside):
                        return f"`{window.function.name}` does all its work, until it takes `{base}` back,"
        return ""

    def wrapping(self, regions: Regions, owners: Sequence[Location]) -> str:
        """What a decorator runs under one lock for all that it decorates: another of those may be called by it."""
        if any(owner.root.kind == "cell" for owner in owners):
            return ""
        for function, spans in regions.items():
            outer = Ref("function", function.path, function.name.rpartition(".")[0])
            node = self.sources.node_of(outer) if outer.name in self.program.modules[function.path].functions else None
            wrapped = _wrapped_by(node) if node is not None else frozenset()
            for called in (n.func for region in spans for n in own_nodes(region.statements) if isinstance(n, ast.Call)):
                if isinstance(called, ast.Name) and called.id in wrapped:
                    return f"`{function.name}` runs `{called.id}`, which may need the lock itself,"
        return ""

    def calling_back(self, regions: Regions) -> str:
        """What is called under the lock and may come back to it: what a class was given, or makes its objects by."""
        for function, spans in regions.items():
            foreign = self._foreign(function)
            for called in (n.func for region in spans for n in own_nodes(region.statements) if isinstance(n, ast.Call)):
                name = ast.unparse(called)
                if name in foreign or (name.startswith("super(") and self._makes_many(function, name)):
                    return f"`{function.name}` runs `{name}`, which may need the lock itself,"
        return ""

    def _foreign(self, function: Ref) -> frozenset[str]:
        """The attributes of an object that hold what its constructor was given."""
        owner = Ref("class", function.path, function.name.rpartition(".")[0])
        if self.program.klass(owner) is None:
            return frozenset()
        init = self.program.method(owner, "__init__")
        body = self.sources.node_of(init) if init is not None else None
        given = {a.arg for a in (*body.args.args, *body.args.kwonlyargs)} - {"self"} if body is not None else set()
        return frozenset(
            ast.unparse(target)
            for n in (ast.walk(body) if body is not None else ())
            if isinstance(n, ast.Assign | ast.AnnAssign) and isinstance(n.value, ast.Name) and n.value.id in given
            for target in (n.targets if isinstance(n, ast.Assign) else [n.target])
            if isinstance(target, ast.Attribute)
        )

    def _makes_many(self, function: Ref, called: str) -> bool:
        """Whether `super().__call__` is the one of a metaclass that more than one class has."""
        owner = Ref("class", function.path, function.name.rpartition(".")[0])
        classes = [Ref("class", path, name) for path, facts in self.program.modules.items() for name in facts.classes]
        return called.endswith(".__call__") and sum(owner in self.machine.metaclasses(cls) for cls in classes) > 1


def _is_keyed(window: RaceWindow) -> bool:
    """Whether a window is about one element of many: who is after another one has nothing to do with it."""
    return any(field.startswith("[") for field in window.location.fields)


def _wrapped_by(node: ast.AST) -> frozenset[str]:
    """The parameters of a decorator, and other names for them."""
    arguments = getattr(node, "args", None)
    names = {a.arg for a in arguments.args} if isinstance(arguments, ast.arguments) else set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Assign) and any(
            n.id in names for n in ast.walk(inner.value) if isinstance(n, ast.Name)
        ):
            names |= {t.id for t in inner.targets if isinstance(t, ast.Name)}
    return frozenset(names)
