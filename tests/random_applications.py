"""Random small applications, and what every interleaving of their requests can leave in their state.

An application is a list of handlers; a handler does operations (a change computed from a read, a check before a change,
a bare change), each with pauses and other operations in its gap, under no lock, one lock, or a lock round a part of it.
`loses_updates` plays all interleavings of three requests by searching the states that they can be in, so it
knows the truth by itself: nothing of autolock has a part in it.
"""

from __future__ import annotations

import ast
import itertools
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

LOCATIONS = ("apples", "pears")
LOCKS = ("first_lock", "second_lock")
STARTS = ((0, 0), (1, 1), (2, 2), (0, 1), (1, 0))
REQUESTS = 3


@dataclass(frozen=True)
class Read:
    name: str
    location: str


@dataclass(frozen=True)
class Pause:
    pass


@dataclass(frozen=True)
class Put:
    """Write what was read under `name`, plus one."""

    location: str
    name: str


@dataclass(frozen=True)
class Add:
    location: str
    amount: int


@dataclass(frozen=True)
class IfAny:
    """The body is done where something is left of the location."""

    location: str
    body: Block


@dataclass(frozen=True)
class Held:
    lock: str
    body: Block


@dataclass(frozen=True)
class Release:
    lock: str


Statement = Read | Pause | Put | Add | IfAny | Held | Release
Block = tuple[Statement, ...]


# -- writing one down ----------------------------------------------------------------------


def program(handlers: Iterable[Block], start: tuple[int, ...] = (0,) * len(LOCATIONS)) -> str:
    """The application as Python, with a route for each handler."""
    lines = [
        "import asyncio",
        "",
        "from fastapi import FastAPI",
        "",
        "app = FastAPI()",
        f"state = {dict(zip(LOCATIONS, start, strict=True))}".replace("'", '"'),
        *(f"{lock} = asyncio.Lock()" for lock in LOCKS),
    ]
    for number, handler in enumerate(handlers):
        lines += ["", "", f'@app.post("/{number}")', f"async def handler_{number}() -> None:", *_lines(handler, 1)]
    return "\n".join(lines) + "\n"


def _lines(block: Block, depth: int) -> Iterator[str]:
    margin = "    " * depth
    for statement in block:
        match statement:
            case Read(name, location):
                yield f'{margin}{name} = state["{location}"]'
            case Pause():
                yield f"{margin}await asyncio.sleep(0)"
            case Put(location, name):
                yield f'{margin}state["{location}"] = {name} + 1'
            case Add(location, amount):
                yield f'{margin}state["{location}"] {"+" if amount > 0 else "-"}= {abs(amount)}'
            case IfAny(location, body):
                yield f'{margin}if state["{location}"] > 0:'
                yield from _lines(body, depth + 1)
            case Held(lock, body):
                yield f"{margin}async with {lock}:"
                yield from _lines(body, depth + 1)


def handlers_of(text: str) -> list[Block]:
    """The handlers of an application that `program` has written and somebody has changed. Raises on what is unknown."""
    return [_block(node.body) for node in ast.parse(text).body if isinstance(node, ast.AsyncFunctionDef)]


def _block(body: Iterable[ast.stmt]) -> Block:
    return tuple(_statement(node) for node in body)


def _statement(node: ast.stmt) -> Statement:
    match node:
        case ast.Assign([ast.Name(name)], ast.Subscript(slice=ast.Constant(str(location)))):
            return Read(name, location)
        case ast.Assign([ast.Subscript(slice=ast.Constant(str(location)))], ast.BinOp(ast.Name(name))):
            return Put(location, name)
        case ast.AugAssign(ast.Subscript(slice=ast.Constant(str(location))), op):
            return Add(location, 1 if isinstance(op, ast.Add) else -1)
        case ast.If(ast.Compare(ast.Subscript(slice=ast.Constant(str(location)))), body, []):
            return IfAny(location, _block(body))
        case ast.AsyncWith([ast.withitem(ast.Name(lock))], body):
            return Held(lock, _block(body))
        case ast.Expr(ast.Await()):
            return Pause()
    raise ValueError(ast.unparse(node))


def on_threads(text: str) -> str:
    """An application that `program` has written, with handlers that run on worker threads."""
    for old, new in (
        ("import asyncio\n", "import threading\nimport time\n"),
        ("asyncio.Lock", "threading.Lock"),
        ("async ", ""),
        ("await asyncio.sleep(0)", "time.sleep(0)"),
    ):
        text = text.replace(old, new)
    return text


def stepped(block: Block) -> Block:
    """A handler that can be left before every statement, as one on a worker thread can."""
    found: list[Statement] = []
    for one in block:
        if isinstance(one, Held):
            one = Held(one.lock, (*stepped(one.body), Pause()))
        elif isinstance(one, IfAny):
            one = IfAny(one.location, stepped(one.body))
        found += (Pause(), one)
    return tuple(found)


# -- making one up -------------------------------------------------------------------------


@dataclass
class Author:
    """Makes applications up; the same seed makes the same ones."""

    chance: random.Random
    names: Iterator[int] = field(default_factory=itertools.count)

    def application(self) -> list[Block]:
        return [self.handler() for _ in range(self.chance.randint(1, 2))]

    def handler(self) -> Block:
        """One operation on each of one or two locations, so that none hides what another does."""
        places = self.chance.sample(LOCATIONS, self.chance.randint(1, 2))
        if len(places) == 1 or self.chance.random() < 0.5:
            return tuple(s for place in places for s in (*self.operation(place, (), ()), Pause()))
        return self.operation(places[0], self.operation(places[1], (), LOCKS[:1]), LOCKS[1:])

    def operation(self, place: str, inside: Block, above: tuple[str, ...]) -> Block:
        """A change of a place, with something in its gap and perhaps a lock, which is always held across a pause."""
        lock = self.chance.choice([name for name in LOCKS if name not in above])
        gap = (*self.pauses(0.5), *inside, *self.pauses(0.3))
        name = f"seen_{next(self.names)}"
        match self.chance.choice(("update", "update", "take", "add")):
            case "add":
                return self.chance.choice(((Add(place, 1), *gap), (Held(lock, (Add(place, 1), *gap, Pause())),)))
            case "take":
                # What is done to the other location must not hang on this one: it would be no change by itself.
                take = IfAny(place, (*self.pauses(0.7), Add(place, -1)))
                late = IfAny(place, (*self.pauses(0.7), Held(lock, (Add(place, -1), Pause()))))
                taken = self.chance.choice(((take,), (Held(lock, (take, Pause())),), (late,)))
                return (*inside, Pause(), *taken) if inside else taken
            case _:
                read, put = Read(name, place), Put(place, name)
                return self.chance.choice(
                    (
                        (read, *gap, put),
                        (Held(lock, (read, *gap, put, Pause())),),
                        (read, *gap, Held(lock, (put, Pause()))),
                        (Held(lock, (read, Pause())), *gap, Pause(), put),
                    )
                )

    def pauses(self, likely: float) -> Block:
        return (Pause(),) if self.chance.random() < likely else ()


# -- playing all of its interleavings --------------------------------------------------------

Values = tuple[int, ...]

# What is left in every location where requests wait for each other for ever: no order of them leaves it.
_STUCK: Values = (-1,) * len(LOCATIONS)


@dataclass(frozen=True)
class Request:
    """What a request has still to do, what it has read, and the lock that it waits for."""

    left: Block
    seen: tuple[tuple[str, int], ...] = ()
    waits: str = ""


@dataclass(frozen=True)
class Moment:
    """What all requests have still to do, the state, and the locks that are held."""

    requests: tuple[Request, ...]
    state: Values
    held: frozenset[str] = frozenset()

    def after(self, number: int) -> Moment | None:
        """When a request has gone on to its next pause, or waits for a lock; None where it waits already.

        As with asyncio.Lock, who comes while others wait for a lock has to wait, too, although it is free.
        """
        request, state, held = self.requests[number], list(self.state), set(self.held)
        left, seen, waits = request.left, dict(request.seen), request.waits
        if waits in held:
            return None
        others = {other.waits for other in self.requests if other is not request}
        while left:
            statement, left = left[0], left[1:]
            match statement:
                case Read(name, location):
                    seen[name] = state[LOCATIONS.index(location)]
                case Put(location, name):
                    state[LOCATIONS.index(location)] = seen[name] + 1
                case Add(location, amount):
                    state[LOCATIONS.index(location)] += amount
                case IfAny(location, body):
                    left = (body if state[LOCATIONS.index(location)] > 0 else ()) + left
                case Held(lock, body):
                    if waits != lock and (lock in held or lock in others):
                        left, waits = (statement, *left), lock
                        break
                    held.add(lock)
                    left, waits = (*body, Release(lock), *left), ""
                case Release(lock):
                    held.discard(lock)
                case Pause():
                    break
        requests = list(self.requests)
        requests[number] = Request(left, tuple(sorted(seen.items())), waits)
        return Moment(tuple(requests), tuple(state), frozenset(held))


def loses_updates(handlers: list[Block]) -> bool:
    """Whether some interleaving of three requests leaves a location as no order of them one by one leaves it, or
    never comes to an end.
    """
    return any(
        not set(reached) <= set(ordered)
        for mix in itertools.combinations_with_replacement(handlers, REQUESTS)
        for start in STARTS
        for reached, ordered in zip(
            zip(*_reached(mix, start), strict=True), zip(*_in_order(mix, start), strict=True), strict=True
        )
    )


def is_unserial(handlers: Iterable[Block], start: Values) -> bool:
    """Whether some interleaving leaves all locations together as no order of the requests leaves them."""
    return not _reached(handlers, start) <= _in_order(handlers, start)


def _reached(handlers: Iterable[Block], start: Values) -> set[Values]:
    """The states that are left when all requests are done, over all interleavings."""
    first = Moment(tuple(Request(handler) for handler in handlers), start)
    seen, waiting, ends = {first}, [first], set()
    while waiting:
        moment = waiting.pop()
        alive = [number for number, request in enumerate(moment.requests) if request.left]
        later = [after for after in map(moment.after, alive) if after is not None]
        if not alive:
            ends.add(moment.state)
        elif not later:
            ends.add(_STUCK)
        waiting += set(later) - seen
        seen.update(later)
    return ends


def _in_order(handlers: Iterable[Block], start: Values) -> set[Values]:
    """The states that are left when the requests come one after the other."""
    ends = set()
    for order in itertools.permutations(handlers):
        state = start
        for handler in order:
            moment: Moment | None = Moment((Request(handler),), state)
            while moment is not None and moment.requests[0].left:
                moment = moment.after(0)
            assert moment is not None
            state = moment.state
        ends.add(state)
    return ends
