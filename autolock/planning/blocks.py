"""Statements in their blocks: paths, ancestors, and the smallest run of siblings that spans some of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from autolock.program.library import INSERTING, REMOVING
from autolock.program.linker import Program, Ref, Unit


class Refusal(Exception):
    """No correct rewrite is known; `reason` says why, in one sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True, frozen=True)
class Spot:
    """Where a statement stands: its block, its index there, the block's path, the statement that owns it."""

    block: list[ast.stmt]
    index: int
    prefix: str
    owner: ast.AST | None

    @property
    def path(self) -> str:
        return f"{self.prefix}[{self.index}]"


@dataclass(slots=True, frozen=True)
class Region:
    """A run of sibling statements."""

    path: str
    block: list[ast.stmt]
    prefix: str
    first: int
    last: int

    @property
    def at(self) -> str:
        """The statement path of its first statement."""
        return f"{self.prefix}[{self.first}]"

    @property
    def count(self) -> int:
        return self.last - self.first + 1

    @property
    def statements(self) -> list[ast.stmt]:
        return self.block[self.first : self.last + 1]


class Blocks:
    """The statements of one file by their place."""

    def __init__(self, path: str, unit: Unit) -> None:
        self.path = path
        self.unit = unit
        self._spots: dict[int, Spot] = {}
        self._index(unit.tree, "")

    def _index(self, node: ast.AST, prefix: str) -> None:
        stack: list[tuple[ast.AST, str]] = [(node, prefix)]
        while stack:
            owner, prefix = stack.pop()
            for name in ("body", "orelse", "finalbody"):
                block = getattr(owner, name, None)
                if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                    for index, statement in enumerate(block):
                        spot = Spot(block, index, f"{prefix}{name}", owner)
                        self._spots[id(statement)] = spot
                        stack.append((statement, f"{spot.path}."))
            for name in ("handlers", "cases"):
                for index, part in enumerate(getattr(owner, name, None) or []):
                    stack.append((part, f"{prefix}{name}[{index}]."))

    def spot(self, statement: ast.stmt) -> Spot:
        """The place of a statement of this file."""
        return self._spots[id(statement)]

    def owner_of(self, spot: Spot) -> ast.stmt | None:
        """The statement around a block; that of the `try` for an except clause."""
        owner = spot.owner
        while owner is not None and not isinstance(owner, ast.stmt):
            owner = next((s for s in self._parents(owner)), None)
        return owner

    def _parents(self, node: ast.AST) -> Iterator[ast.stmt]:
        for spot in self._spots.values():
            statement = spot.block[spot.index]
            if node in (getattr(statement, "handlers", None) or []) or node in (
                getattr(statement, "cases", None) or []
            ):
                yield statement

    def chain(self, statement: ast.stmt, function: ast.AST) -> list[Spot]:
        """The spots from the function's body down to the statement."""
        found: list[Spot] = []
        current: ast.stmt | None = statement
        while current is not None and current is not function:
            spot = self.spot(current)
            found.append(spot)
            current = self.owner_of(spot)
        found.reverse()
        return found

    def spanning(self, statements: Sequence[ast.stmt], function: ast.AST) -> Region:
        """The smallest run of siblings inside a function that holds all of these statements."""
        chains = [self.chain(s, function) for s in statements]
        depth = 0
        while (
            all(len(c) > depth + 1 for c in chains)
            and len({id(c[depth].block) for c in chains}) == 1
            and (len({c[depth].index for c in chains}) == 1 and len({id(c[depth + 1].block) for c in chains}) == 1)
        ):
            depth += 1
        while depth > 0 and self._is_elif(chains[0][depth]):
            depth -= 1
        level = [c[depth] for c in chains]
        return Region(
            self.path, level[0].block, level[0].prefix, min(s.index for s in level), max(s.index for s in level)
        )

    def enclosing_loop(self, statement: ast.stmt, function: ast.AST) -> ast.stmt | None:
        """The innermost loop around a statement."""
        for spot in reversed(self.chain(statement, function)):
            owner = self.owner_of(spot)
            if isinstance(owner, ast.For | ast.AsyncFor | ast.While):
                return owner
        return None

    def _is_elif(self, spot: Spot) -> bool:
        """Whether a block is the `elif` of an `if`, which can't stand under a `with` of its own."""
        statement = spot.block[0]
        return (
            isinstance(spot.owner, ast.If)
            and spot.prefix.endswith("orelse")
            and len(spot.block) == 1
            and isinstance(statement, ast.If)
            and statement.col_offset == spot.owner.col_offset
        )

    def touches(self, one: Region, other: Region, function: ast.AST) -> bool:
        """Whether two regions have a statement in common, follow each other, or one is inside the other.

        They follow each other where there is nothing between them but changes of state that wait for nobody: to let
        go of the lock for those would let others see half of what is done.
        """
        if one.block is other.block:
            first, second = sorted((one, other), key=lambda region: region.first)
            if all(map(_only_stores, first.block[first.last + 1 : second.first])):
                return True
        return any(self.inside(s, other, function) for s in one.statements) or any(
            self.inside(s, one, function) for s in other.statements
        )

    def inside(self, statement: ast.stmt, region: Region, function: ast.AST) -> bool:
        """Whether a statement is one of the region's, or nested in one."""
        return any(
            s.block is region.block and region.first <= s.index <= region.last for s in self.chain(statement, function)
        )


def _only_stores(statement: ast.stmt) -> bool:
    """Whether a statement stores what is there already, or puts it into a container."""
    if not isinstance(statement, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Expr):
        return False
    acting = [n for n in own_nodes([statement]) if isinstance(n, ast.Call | ast.Yield | ast.YieldFrom)]
    return not awaits([statement]) and all(
        isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute) and n.func.attr in INSERTING | REMOVING
        for n in acting
    )


def own_nodes(statements: Sequence[ast.stmt]) -> Iterator[ast.AST]:
    """All nodes below some statements, without what nested functions and lambdas do later."""
    stack: list[ast.AST] = list(statements)
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            stack.extend(ast.iter_child_nodes(node))


def awaits(statements: Sequence[ast.stmt]) -> bool:
    """Whether any of the statements can suspend the coroutine."""
    return any(
        isinstance(n, ast.Await | ast.AsyncFor | ast.AsyncWith) or (isinstance(n, ast.comprehension) and n.is_async)
        for n in own_nodes(statements)
    )


_ENDLESS = frozenset(
    {"receive", "receive_text", "receive_json", "receive_bytes", "iter_text", "iter_json", "iter_bytes"}
)
_FOREIGN = frozenset({"wait", "join", "call_next"})
#: Calls that wait for what they are given.
_PASSING = frozenset({"wait_for", "shield", "gather", "ensure_future", "create_task"})


def check_span(region: Region, name: str) -> None:
    """Refuse to hold a lock over what may take for ever, or what may need the lock to go on.

    Raises Refusal.
    """
    for node in own_nodes(region.statements):
        if isinstance(node, ast.Yield | ast.YieldFrom):
            raise Refusal(f"`{name}` yields in between: the lock would be held for as long as the consumer takes")
        if is_endless(node):
            raise Refusal(f"`{name}` loops for ever in between, and the lock would never be free")
        if not isinstance(node, ast.Await):
            continue
        called = last_name(node.value)
        if called in _ENDLESS:
            raise Refusal(
                f"`{name}` waits for the client (`{called}`) in between, and the lock would be held for as long"
            )
        if others := waits_for_others(node.value) or _own_future(node.value, region.statements):
            raise Refusal(
                f"`{name}` waits for something else (`{others}`) in between, which may need the lock to go on"
            )


def waits_for_others(awaited: ast.expr) -> str:
    """What is awaited that only others bring about: an event, what is put into a queue, the rest of a chain."""
    if not isinstance(awaited, ast.Call):
        return ""
    called = last_name(awaited)
    if called in _PASSING:
        return next(filter(None, map(waits_for_others, awaited.args)), "")
    taken = called == "get" and not (awaited.args or awaited.keywords)  # from a queue
    return called if called in _FOREIGN or ast.unparse(awaited.func) == "self.app" or taken else ""


def _own_future(awaited: ast.expr, statements: Sequence[ast.stmt]) -> str:
    """A future that the statements make for others to set, where that is awaited."""
    waited = {n.id for n in ast.walk(awaited) if isinstance(n, ast.Name)}
    made = (
        target.id
        for n in own_nodes(statements)
        if isinstance(n, ast.Assign) and last_name(n.value) in ("create_future", "Future")
        for target in n.targets
        if isinstance(target, ast.Name)
    )
    called = last_name(awaited)
    return next((name for name in made if name in waited and (not called or called in _PASSING)), "")


def last_name(call: ast.expr) -> str:
    """The name of what is called, without what it is called on; empty for what is no call."""
    function = call.func if isinstance(call, ast.Call) else None
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def waits_for_client(statements: Sequence[ast.stmt]) -> bool:
    """Whether any of the statements waits for what a client says on an open connection."""
    calls = (n.value for n in own_nodes(statements) if isinstance(n, ast.Await) and isinstance(n.value, ast.Call))
    return any(isinstance(c.func, ast.Attribute) and c.func.attr in _ENDLESS for c in calls)


def is_endless(node: ast.AST) -> bool:
    """Whether a node is a loop that awaits and has neither a condition nor a way out of its own."""
    forever = isinstance(node, ast.While) and isinstance(node.test, ast.Constant) and bool(node.test.value)
    return forever and isinstance(node, ast.While) and awaits([node]) and not _ends(node)


def _ends(loop: ast.While) -> bool:
    """Whether a loop without a condition has a way out of its own."""
    return any(isinstance(n, ast.Break | ast.Return | ast.Raise) for n in own_nodes(loop.body))


class Sources:
    """Blocks of the files of a program, made when they are asked for."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._blocks: dict[str, Blocks] = {}

    def blocks(self, path: str) -> Blocks:
        if path not in self._blocks:
            unit = self.program.unit(path)
            if unit is None:
                raise Refusal(f"{path} cannot be parsed")
            self._blocks[path] = Blocks(path, unit)
        return self._blocks[path]

    def node_of(self, function: Ref) -> ast.FunctionDef | ast.AsyncFunctionDef:
        """The definition of a function; raises Refusal where its file cannot be parsed."""
        return self.blocks(function.path).unit.functions[function.name]
