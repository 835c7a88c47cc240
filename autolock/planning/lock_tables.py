"""Tables of locks: one for each key, for work on one element that need not wait for that on the others."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from autolock.edits import Edit
from autolock.planning.blocks import Refusal, Region, check_span, own_nodes
from autolock.planning.homes import Home, Use, frozen
from autolock.program.linker import Ref

if TYPE_CHECKING:
    from autolock.planning.guards import Guards
    from autolock.program.trace import Frame, Read, Write
    from autolock.program.values import Location

_DEEPEST = 3


class LockTables:
    """Makes tables of locks, and finds the keys by which functions can look their locks up."""

    def __init__(self, guards: Guards) -> None:
        self.guards = guards
        self.program = guards.program
        self.sources = guards.sources

    def key(self, place: Location, events: Iterable[Read | Write], frame: Frame) -> str:
        """How a function names the key under which these events find an element; empty where it has no name for it."""
        assert frame.function is not None
        node = self.sources.node_of(frame.function)
        arguments = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        given = {a.arg for a in arguments} - {"self", "cls"}
        for look in (event for event in events if event.location == place):
            own = look.function == frame.function
            outermost = frame is look.stack[0] or frame.serial == look.stack[0].serial
            plain = look.key.partition(".")[0] in given and look.key.replace(".", "").isidentifier()
            if plain and (outermost or (own and _subscripts(node, look.key))):
                return look.key
        return ""

    def table(self, owner: Location, function: Ref) -> Home:
        """`sessions_locks = defaultdict(asyncio.Lock)` beside `sessions`; raises Refusal."""
        nodes = [n for n in ast.walk(self.sources.node_of(function)) if isinstance(n, ast.Attribute | ast.Name)]
        made = self.guards.homes.home(owner, "asyncio", [Use(function, tuple(nodes), self.sources.node_of(function))])
        define = next(e for e in made.edits if e.codemod == "define-lock")
        known = self.program.resolve(define.path, "defaultdict")
        if self.guards.homes.is_taken(define.path, "defaultdict") and (
            known is None or (known[0].kind, known[0].name) != ("external", "collections.defaultdict")
        ):
            raise Refusal(f"{define.path} may have another `defaultdict`")
        if self.guards.homes.is_taken(define.path, _plural(made.name)):
            raise Refusal(f"{define.path} uses the name `{_plural(made.name)}` already")
        at = str(define.arguments["after"])
        before = at.partition(".")[0]
        edits = [
            Edit(define.path, "import-name", frozen(module="asyncio", name="", before=before)),
            Edit(define.path, "import-name", frozen(module="collections", name="defaultdict", before=before)),
            Edit(
                define.path,
                "insert-after",
                frozen(at=at, code=f"{_plural(str(define.arguments['target']))} = defaultdict(asyncio.Lock)"),
            ),
            *(_imported(e) for e in made.edits if e is not define),
        ]
        names = {f: _plural(name) for f, name in made.names.items()}
        return Home(_plural(made.name), tuple(edits), names, made.beside)

    def check(self, function: Ref, region: Region) -> None:
        """Refuse a region under which the lock could hang. Raises Refusal."""
        check_span(region, function.name)
        self.guards.refuse_endless(function, region.statements, 0)
        if self.comes_back(function, function, region.statements, 0):
            raise Refusal(f"`{function.name}` may call itself before the model has answered, and would wait for itself")

    def comes_back(self, target: Ref, function: Ref, statements: Sequence[ast.stmt], depth: int) -> bool:
        """Whether what is called in some statements leads to a function again."""
        for node in own_nodes(statements):
            called = self.guards.called(function, node) if isinstance(node, ast.Call) else None
            if called is None or depth > _DEEPEST:
                continue
            body = getattr(self.sources.node_of(called), "body", [])
            if called == target or self.comes_back(target, called, body, depth + 1):
                return True
        return False


def _subscripts(node: ast.AST, key: str) -> bool:
    """Whether a function looks something up under a key: `x[key]`, `x.get(key)`, `x.setdefault(key, [])`."""
    return any(
        (isinstance(n, ast.Subscript) and ast.unparse(n.slice) == key)
        or (isinstance(n, ast.Call) and bool(n.args) and ast.unparse(n.args[0]) == key)
        for n in ast.walk(node)
    )


def binds(statements: Sequence[ast.stmt], name: str) -> bool:
    """Whether some statements bind a name."""
    return any(isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Store) for n in own_nodes(statements))


def _plural(lock: str) -> str:
    """What a table of locks is called, from the name of one lock: `stock_locks`, `SEATS_LOCKS`."""
    return f"{lock}S" if lock.rpartition(".")[2].isupper() else f"{lock}s"


def _imported(edit: Edit) -> Edit:
    """The import of a table of locks, from that of one lock."""
    renamed = {k: _plural(str(v)) for k, v in edit.arguments.items() if k in ("name", "alias") and v}
    return Edit(edit.path, edit.codemod, frozen(**{**edit.arguments, **renamed}))
