"""Changing a thread lock that only coroutines take into an asyncio lock."""

from __future__ import annotations

import ast

from autolock.edits import Edit
from autolock.planning.blocks import Refusal, Sources
from autolock.planning.guards import Guarding
from autolock.planning.homes import frozen
from autolock.program.calls import same_lock
from autolock.program.index import dotted
from autolock.program.linker import Program, Ref
from autolock.program.machine import Machine
from autolock.program.trace import TAKING, LockUse
from autolock.program.windows import RaceWindow

_BY_HAND = "make it an asyncio.Lock and take it with `async with`, or move the awaits out of the locked block"


class LockKind:
    """Plans the change of one lock's kind, at its definition and wherever it is taken."""

    def __init__(self, program: Program, machine: Machine, sources: Sources) -> None:
        self.program = program
        self.machine = machine
        self.sources = sources

    def to_asyncio(self, window: RaceWindow) -> Guarding:
        """The edits that make the window's lock an asyncio lock. Raises Refusal where others take it too."""
        lock = window.guards[0]
        if lock.reentrant or lock.location is None or lock.node is None:
            raise Refusal(_BY_HAND)
        uses = [u for u in self.machine.trace.locks if u.style in TAKING and same_lock(u.lock, lock)]
        for use in uses:
            self.refuse_unless_coroutine(use)
        path, statement = self.definition(lock.path, lock.node)
        target = ast.unparse(statement.targets[0])
        self.refuse_strangers(target.rpartition(".")[2], {u.function for u in uses}, path)
        at = self.sources.blocks(path).spot(statement).path
        edits = [
            Edit(path, "define-lock", frozen(after=at, target=target, kind="asyncio")),
            Edit(path, "remove-statement", frozen(at=at)),
        ]
        for use in {id(u.node): u for u in uses}.values():
            edits.append(self.taken(use))
        names = sorted({u.function.name for u in uses})
        who = ", ".join(f"`{n}`" for n in names[:4])
        return Guarding(
            edits,
            f"Make `{window.location}` an `asyncio.Lock`",
            f"Only coroutines take it: {who}. Waiting for it no longer stops the event loop.",
            names,
        )

    def refuse_unless_coroutine(self, use: LockUse) -> None:
        facts = self.program.function(use.function)
        taken = _is_bare_acquire(use) or (isinstance(use.node, ast.With) and len(use.node.items) == 1)
        if use.context != "loop" or facts is None or not facts.is_async or not taken:
            raise Refusal(f"`{use.function.name}` takes it as well, which cannot await: {_BY_HAND}")

    def definition(self, path: str, node: ast.AST) -> tuple[str, ast.Assign]:
        """The statement that makes the lock."""
        blocks = self.sources.blocks(path)
        for statement in ast.walk(blocks.unit.tree):
            if isinstance(statement, ast.Assign) and statement.value is node and len(statement.targets) == 1:
                return path, statement
        raise Refusal(_BY_HAND)

    def refuse_strangers(self, name: str, known: set[Ref], home: str) -> None:
        """Code that names the lock but was not seen to take it may need the lock to stay what it is."""
        for path, facts in self.program.modules.items():
            for function in facts.functions.values():
                ref = Ref("function", path, function.qualname)
                if ref in known or (path == home and function.qualname.endswith("__init__")):
                    continue
                if any(r.rpartition(".")[2] == name or f".{name}." in f".{r}." for r in function.refs):
                    raise Refusal(f"`{function.qualname}` uses `{name}` as well: {_BY_HAND}")

    def taken(self, use: LockUse) -> Edit:
        blocks = self.sources.blocks(use.function.path)
        if isinstance(use.node, ast.Call):
            statement = use.stack[-1].statement
            assert statement is not None
            text = ast.unparse(use.node)
            arguments = frozen(at=blocks.spot(statement).path, expression=text, replacement=f"await {text}")
            return Edit(use.function.path, "replace-expression", arguments)
        assert isinstance(use.node, ast.With)
        text = dotted(use.node.items[0].context_expr)
        if not text:
            raise Refusal(_BY_HAND)
        return Edit(
            use.function.path, "replace-lock", frozen(at=blocks.spot(use.node).path, item=0, lock=text, is_async=True)
        )


def _is_bare_acquire(use: LockUse) -> bool:
    """`lock.acquire()` as a statement of its own, with no timeout that an asyncio lock would not know."""
    statement = use.stack[-1].statement
    call = statement.value if isinstance(statement, ast.Expr) else None
    return call is use.node and isinstance(call, ast.Call) and not call.args and not call.keywords
