"""Plans for conversations of which each has a key: a lock for each of them, from a turn to its answer."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING

from autolock.edits import Edit
from autolock.planning.blocks import Refusal, Region, check_span, own_nodes
from autolock.planning.homes import Home, Use, frozen
from autolock.planning.needs import owner_of
from autolock.planning.rowplan import RowPlan
from autolock.program.index import dotted
from autolock.program.linker import Ref
from autolock.program.machine import in_order

if TYPE_CHECKING:
    from autolock.llm.exchanges import ExchangeWindow
    from autolock.planning.guards import Guards
    from autolock.program.trace import Frame, Read, Write

_DEEPEST = 3


class Turns:
    """Plans a fix for one function that adds a turn, asks the model and adds the answer."""

    def __init__(self, guards: Guards) -> None:
        self.guards = guards
        self.program = guards.program
        self.sources = guards.sources

    def plan(self, window: ExchangeWindow) -> RowPlan:
        """The plan of a window; raises Refusal where a conversation has no lock that its turns could take."""
        assert window.write is not None
        self.refuse_others(window)
        found = self.of_object(window) or self.of_key(window)
        function, region, lock, edits = found
        check_span(region, function.name)
        self.guards.refuse_endless(function, region.statements, 0)
        if self.comes_back(function, function, region.statements, 0):
            raise Refusal(f"`{function.name}` may call itself before the model has answered, and would wait for itself")
        wrap = frozen(at=region.at, count=region.count, lock=lock, is_async=True)
        return RowPlan(
            [*edits, Edit(function.path, "wrap-in-lock", wrap)],
            f"Hold a lock of its own for each conversation in `{window.shown}`, from the turn to its answer",
            f"The next message of a conversation waits in `{function.name}` for the answer to the one before; other "
            "conversations do not. It holds within one process.",
        )

    def refuse_others(self, window: ExchangeWindow) -> None:
        """Raise Refusal where another function adds turns as well, or this one puts another list in its place."""
        place = owner_of(window.location).child("[*]")
        first, answer = self.ends(window)
        renamed = _binds(self.sources.node_of(first.function).body, _receiver(first).partition(".")[0])
        for entry, write in self.guards.machine.trace.writes:
            here = any(frame.function == window.function for frame in write.stack)
            if renamed and write.location == place and here and write.serial > answer.serial:
                raise Refusal(
                    f"`{write.function.name}` puts another list in the place of the one that it added to: who waited "
                    "for the lock would add to the old one"
                )
            adds = write.kind == "insert" and write.location.base == window.location
            if adds and entry.context != "startup" and not here:
                raise Refusal(
                    f"`{write.function.name}` adds to `{window.shown}` as well: give both the same lock by hand"
                )

    # -- a lock that the object has -----------------------------------------------------------------

    def of_object(self, window: ExchangeWindow) -> tuple[Ref, Region, str, list[Edit]] | None:
        """A lock made in the `__init__` of the class whose method adds the turns; None where it is no such method."""
        first, last = self.ends(window)
        receiver = _receiver(first)
        if first.function != last.function or not receiver.startswith("self.") or receiver.count(".") != 1:
            return None
        if first.location.fields[-2:-1] != (f".{receiver[5:]}",):
            return None
        function = first.function
        use = Use(function, (first.node,), self.sources.node_of(function))
        home = self.guards.homes.on_instance(window.location, "asyncio", [use])
        if home is None or not str(home.edits[0].arguments.get("target")).startswith("self."):
            return None
        return function, self.region(function, first.stack[-1], last.stack[-1]), home.names[function], list(home.edits)

    # -- a table of locks -------------------------------------------------------------------------------

    def of_key(self, window: ExchangeWindow) -> tuple[Ref, Region, str, list[Edit]]:
        """A lock that is looked up by the key of the conversation, in a table beside that of the conversations."""
        first, last = self.ends(window)
        frames = list(zip(first.stack, last.stack, strict=False))
        for one, other in reversed(frames):
            key = self.key(window, one) if one.serial == other.serial and one.function is not None else ""
            if key and one.function is not None and self.guards.is_async(one.function):
                region = self.region(one.function, one, other)
                if not _binds(region.statements, key.partition(".")[0]):
                    home = self.table(window, one.function)
                    return one.function, region, f"{home.names[one.function]}[{key}]", list(home.edits)
        raise Refusal("the key of the conversation has no name in the function that adds the turns")

    def key(self, window: ExchangeWindow, frame: Frame) -> str:
        """How a function names the key under which it looks a conversation up; empty where it does not."""
        assert frame.function is not None
        node = self.sources.node_of(frame.function)
        arguments = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        given = {a.arg for a in arguments} - {"self", "cls"}
        place = owner_of(window.location).child("[*]")
        given_to = window.exchange.reads if window.exchange is not None else frozenset()
        known: list[Read | Write] = [*in_order(given_to)]
        known += [w for entry, w in self.guards.machine.trace.writes if entry is window.entry]
        for look in (event for event in known if event.location == place):
            own = look.function == frame.function
            outermost = frame is look.stack[0] or frame.serial == look.stack[0].serial
            plain = look.key.partition(".")[0] in given and look.key.replace(".", "").isidentifier()
            if plain and (outermost or (own and _subscripts(node, look.key))):
                return look.key
        return ""

    def table(self, window: ExchangeWindow, function: Ref) -> Home:
        """`sessions_locks = defaultdict(asyncio.Lock)` beside `sessions`; raises Refusal."""
        owner = owner_of(window.location)
        nodes = [n for n in ast.walk(self.sources.node_of(function)) if isinstance(n, ast.Attribute | ast.Name)]
        made = self.guards.homes.home(owner, "asyncio", [Use(function, tuple(nodes), self.sources.node_of(function))])
        define = next(e for e in made.edits if e.codemod == "define-lock")
        known = self.program.resolve(define.path, "defaultdict")
        if known is None and self.guards.homes.is_taken(define.path, "defaultdict"):
            raise Refusal(f"{define.path} has another `defaultdict`")
        if self.guards.homes.is_taken(define.path, f"{made.name}s"):
            raise Refusal(f"{define.path} uses the name `{made.name}s` already")
        at = str(define.arguments["after"])
        before = at.partition(".")[0]
        edits = [
            Edit(define.path, "import-name", frozen(module="asyncio", name="", before=before)),
            Edit(define.path, "import-name", frozen(module="collections", name="defaultdict", before=before)),
            Edit(
                define.path,
                "insert-after",
                frozen(at=at, code=f"{define.arguments['target']}s = defaultdict(asyncio.Lock)"),
            ),
            *(_plural(e) for e in made.edits if e is not define),
        ]
        return Home(f"{made.name}s", tuple(edits), {f: f"{name}s" for f, name in made.names.items()}, made.beside)

    # -- where ------------------------------------------------------------------------------------------

    def ends(self, window: ExchangeWindow) -> tuple[Write, Write]:
        """The turn that is added, and the answer."""
        assert window.write is not None
        return window.rivals[0][1], window.write

    def region(self, function: Ref, one: Frame, other: Frame) -> Region:
        """The statements from the turn to the answer."""
        assert one.statement is not None
        assert other.statement is not None
        blocks = self.sources.blocks(function.path)
        return blocks.spanning([one.statement, other.statement], self.sources.node_of(function))

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


def _receiver(write: Write) -> str:
    """The list to which something is added, as the code says it."""
    node = write.node
    return dotted(node.func.value) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""


def _subscripts(node: ast.AST, key: str) -> bool:
    """Whether a function looks something up under a key: `x[key]`, `x.get(key)`, `x.setdefault(key, [])`."""
    return any(
        (isinstance(n, ast.Subscript) and ast.unparse(n.slice) == key)
        or (isinstance(n, ast.Call) and bool(n.args) and ast.unparse(n.args[0]) == key)
        for n in ast.walk(node)
    )


def _binds(statements: Sequence[ast.stmt], name: str) -> bool:
    return any(isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Store) for n in own_nodes(statements))


def _plural(edit: Edit) -> Edit:
    """The import of a table of locks, from that of one lock."""
    return Edit(edit.path, edit.codemod, frozen(**{**edit.arguments, "name": f"{edit.arguments['name']}s"}))
