"""asyncio locks that nobody ever waits for: whoever has one gives it back before anything else can run.

`async with self._lock: self._count += 1` in every place where it is taken. Taking a lock that is free suspends nothing,
and such a lock is always free.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from autolock.program.facts import ModuleFacts
from autolock.program.index import dotted
from autolock.program.linker import Program
from autolock.program.values import LockValue

_SUSPENDING = ast.Await | ast.AsyncFor | ast.AsyncWith | ast.Yield | ast.YieldFrom
_MADE = frozenset({"asyncio.Lock", "asyncio.locks.Lock", "Lock"})


class UnwaitedLocks:
    """Answers for the locks of one program, by what is written where they are taken."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._known: dict[ast.AST, bool] = {}

    def has(self, lock: LockValue) -> bool:
        """Whether a lock is one of those; one that is reached in another way than by its name may be held anywhere.

        Those of anyio let others run whenever they are taken.
        """
        place, made = lock.location, lock.node
        if place is None or lock.unknown or lock.keyed or lock.family != "asyncio" or not isinstance(made, ast.Call):
            return False
        name = place.fields[-1].lstrip(".") if place.fields else place.root.name
        if dotted(made.func) not in _MADE or not name.isidentifier():
            return False
        if made not in self._known:
            self._known[made] = all(
                self._is_given_back_at_once(path, name, made)
                for path, facts in self.program.modules.items()
                if _says(facts, name)
            )
        return self._known[made]

    def _is_given_back_at_once(self, path: str, name: str, made: ast.Call) -> bool:
        """Whether a file takes the locks of a name only round statements that wait for nothing."""
        unit = self.program.unit(path)
        if unit is None:
            return False
        brief = {
            id(block.items[0].context_expr)
            for block in ast.walk(unit.tree)
            if isinstance(block, ast.AsyncWith) and len(block.items) == 1 and not _may_suspend(block.body)
        }
        return all(id(use) in brief for use in _uses(unit.tree, name, made))


def _says(facts: ModuleFacts, name: str) -> bool:
    """Whether a file says a name, or gives it another one."""
    said = [facts.module_refs, *(function.refs for function in facts.functions.values())]
    return any(ref.rpartition(".")[2] == name for refs in said for ref in refs) or name in facts.imports


def _may_suspend(body: list[ast.stmt]) -> bool:
    return any(
        isinstance(n, _SUSPENDING) or (isinstance(n, ast.comprehension) and bool(n.is_async))
        for statement in body
        for n in ast.walk(statement)
    )


def _uses(tree: ast.Module, name: str, made: ast.Call) -> Iterator[ast.AST]:
    """Where something of a name is looked up, but for attributes of objects that have a lock of their own."""
    rest: list[ast.AST] = [tree]
    while rest:
        node = rest.pop()
        if isinstance(node, ast.ClassDef) and _makes_its_own(node, name, made):
            rest.extend(n for n in ast.walk(node) if isinstance(n, ast.Attribute) and not _is_own(n, name))
            continue
        if (isinstance(node, ast.Attribute) and node.attr == name) or (isinstance(node, ast.Name) and node.id == name):
            if isinstance(node.ctx, ast.Load):
                yield node
        elif isinstance(node, ast.alias) and node.asname and node.name.rpartition(".")[2] == name:
            yield node
        rest.extend(ast.iter_child_nodes(node))


def _makes_its_own(owner: ast.ClassDef, name: str, made: ast.Call) -> bool:
    """Whether a class puts something else under a name of its objects than the lock that is asked about."""
    kept = [n for n in ast.walk(owner) if _is_own(n, name) and isinstance(getattr(n, "ctx", None), ast.Store)]
    return bool(kept) and all(n is not made for n in ast.walk(owner))


def _is_own(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == name and dotted(node.value) == "self"
