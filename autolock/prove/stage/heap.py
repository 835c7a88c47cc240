"""A checkpoint of the application's memory: every object that its modules reach, put back after each run.

What is found is what another request could find: values of the project's modules, attributes of its classes and of
their instances, closure cells, default values, `app.state`, and the containers and locks among them.
Contents are remembered object by object, so identities survive: who holds a reference sees the old contents again.
"""

from __future__ import annotations

import asyncio
import collections
import functools
import gc
import itertools
import queue
import re
import threading
from collections.abc import Callable, Collection, Iterator
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any

from .locks import WatchedLock

_CONTAINERS = (dict, list, set, collections.deque, bytearray)
_STATEFUL = (
    *(asyncio.Lock, asyncio.Semaphore, asyncio.Event, asyncio.Condition, asyncio.Queue),
    *(threading.Condition, threading.Semaphore, threading.Event, queue.Queue),
)
#: Where what belongs to asyncio keeps those who wait. They are tasks that no request has started: the others are over
#: when the memory is put back.
_WAITING = frozenset(["_getters", "_putters", "_waiters"])
_APPLICATIONS = {"fastapi.applications", "starlette.applications"}
_LRU = type(functools.lru_cache(lambda: None))
_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_DEEPEST = 12

#: How a picture shows a lock that is taken.
LOCKED = "<locked>"

Holder = tuple[str, Callable[[], "dict[str, Any]"]]


class Checkpoint:
    """The contents of everything that the project's modules reach, at the moment when it is made.

    `prefix` begins the names of what is found, where there are other instances of the same modules.
    """

    def __init__(self, modules: Collection[ModuleType], prefix: str = "") -> None:
        self._modules = list(modules)
        self._prefix = prefix
        self._names = {module.__name__ for module in self._modules}
        self._seen: dict[int, Any] = {}
        self._restores: list[Callable[[], None]] = []
        self._holders: list[Holder] = []
        self._unnamed: dict[str, list[Any]] = {}
        self._counts: dict[int, str] = {}
        self._fresh: dict[int, Any] = {}
        pending: list[Any] = list(self._modules)
        while pending:
            thing = pending.pop()
            if id(thing) not in self._seen and not isinstance(thing, _PLAIN):
                inside = list(self._remember(thing))
                pending.extend(inside)

    def restore(self) -> None:
        """Put all contents back."""
        self._fresh = {key: _count_from(text) for key, text in self._counts.items()}
        for restore in self._restores:
            restore()

    def picture(self) -> dict[str, Any]:
        """What the memory holds now, as plain values by the name under which they are found."""
        return {
            f"{self._prefix}{title}.{name}": _plain(value, self._names, ())
            for title, contents in self._holders
            for name, value in contents().items()
            if _tells_something(value, self._names)
        }

    def _remember(self, thing: Any) -> Iterator[Any]:
        """Remember the contents of one object, and yield what it refers to."""
        kind = type(thing)
        if isinstance(thing, ModuleType):
            yield from self._namespace(thing, thing.__name__) if thing in self._modules else ()
        elif isinstance(thing, type):
            yield from self._class(thing) if thing.__module__ in self._names else ()
        elif isinstance(thing, FunctionType):
            yield from self._function(thing)
        elif isinstance(thing, (MethodType, classmethod, staticmethod, functools.partial, property)):
            yield from _parts_of_callable(thing)
        elif isinstance(thing, _LRU):
            yield from self._cached(thing)
        elif isinstance(thing, (tuple, frozenset)):
            self._seen[id(thing)] = thing
            yield from thing
        elif isinstance(thing, itertools.count):
            self._seen[id(thing)] = thing
            self._counts[id(thing)] = repr(thing)
        elif kind.__module__ in _APPLICATIONS:
            yield from self._application(thing)
        elif kind.__name__ in {"Depends", "Security"} and kind.__module__ == "fastapi.params":
            self._seen[id(thing)] = thing
            self._hold_unnamed(thing.dependency)
            yield thing.dependency
        elif isinstance(thing, WatchedLock):
            self._seen[id(thing)] = thing
            self._restores.append(thing.keeper())
        elif self._has_own_state(thing):
            yield from self._namespace(thing, "")
        elif isinstance(thing, _CONTAINERS):
            yield from self._container(thing)

    def _has_own_state(self, thing: Any) -> bool:
        kind = type(thing)
        if isinstance(thing, _STATEFUL) or (kind.__module__, kind.__name__) == ("starlette.datastructures", "State"):
            return True
        return any(base.__module__ in self._names for base in kind.__mro__)

    def _namespace(self, thing: Any, title: str) -> Iterator[Any]:
        self._seen[id(thing)] = thing
        contents = getattr(thing, "__dict__", None)
        if isinstance(contents, dict):
            waiting = _WAITING if type(thing).__module__.startswith("asyncio.") else frozenset()
            before = dict(contents)
            self._restores.append(
                lambda: self._refill_dict(
                    contents, {**before, **{name: contents[name] for name in waiting & contents.keys()}}
                )
            )
            yield from (value for name, value in before.items() if name not in waiting)
            if title:
                self._holders.append((title, lambda: {k: v for k, v in contents.items() if not k.startswith("__")}))
        for name in _slots(type(thing)):
            yield from self._slot(thing, name)
        if isinstance(thing, _CONTAINERS):
            yield from self._container(thing)

    def _slot(self, thing: Any, name: str) -> Iterator[Any]:
        try:
            value = object.__getattribute__(thing, name)
        except AttributeError:
            return
        self._restores.append(lambda: object.__setattr__(thing, name, value))
        yield value

    def _class(self, kind: type) -> Iterator[Any]:
        self._seen[id(kind)] = kind
        before = {name: value for name, value in vars(kind).items() if not name.startswith("__")}
        self._restores.append(lambda: _reset_class(kind, before))
        self._holders.append(
            (
                f"{kind.__module__}.{kind.__qualname__}",
                lambda: {k: v for k, v in vars(kind).items() if not k.startswith("__") and not hasattr(v, "__get__")},
            )
        )
        yield from before.values()

    def _function(self, function: FunctionType) -> Iterator[Any]:
        self._seen[id(function)] = function
        if function.__module__ in self._names:
            names = function.__code__.co_freevars
            for name, cell in zip(names, function.__closure__ or (), strict=True):
                yield from self._cell(cell, f"{function.__module__}.{function.__qualname__}", name)
            self._holders.append(
                (f"{function.__module__}.{function.__qualname__}", lambda: _mutable_defaults(function))
            )
        else:
            yield from (cell.cell_contents for cell in function.__closure__ or () if cell != CellType())
        yield from function.__defaults__ or ()
        yield from (function.__kwdefaults__ or {}).values()
        yield from vars(function).values()
        for annotation in function.__annotations__.values():
            yield from getattr(annotation, "__metadata__", ())

    def _cell(self, cell: CellType, title: str, name: str) -> Iterator[Any]:
        if id(cell) in self._seen or cell == CellType():
            return
        self._seen[id(cell)] = cell
        value = cell.cell_contents

        def restore() -> None:
            cell.cell_contents = value

        self._restores.append(restore)
        self._holders.append((title, lambda: {name: cell.cell_contents}))
        yield value

    def _cached(self, cached: Any) -> Iterator[Any]:
        """A function with `functools.cache`: emptied again where it was empty, else what it keeps is followed."""
        self._seen[id(cached)] = cached
        title = f"{cached.__module__}.{getattr(cached, '__qualname__', 'cached')}"
        self._holders.append((title, lambda: {"cache": [one for one in _kept(cached) if self._is_shown(one)]}))
        yield cached.__wrapped__
        if cached.cache_info().currsize == 0:
            self._restores.append(cached.cache_clear)
        else:
            yield from _kept(cached)

    def _is_shown(self, thing: Any) -> bool:
        return isinstance(thing, _CONTAINERS) or type(thing).__module__ in self._names

    def _application(self, app: Any) -> Iterator[Any]:
        self._seen[id(app)] = app
        self._holders.append(("app.state", lambda: dict(app.state._state)))
        yield app.state
        yield from _endpoints(app.routes)
        for layer in _middleware(app):
            self._hold_unnamed(layer)
            yield layer
        overrides = getattr(app, "dependency_overrides", {})
        yield from overrides.values()

    def _hold_unnamed(self, thing: Any) -> None:
        """Show what an object of the project's keeps that only the application knows: a middleware, a dependency."""
        owner = getattr(thing, "__self__", thing)
        contents = getattr(owner, "__dict__", None)
        if isinstance(owner, type) or type(owner).__module__ not in self._names or contents is None:
            return
        title = f"{type(owner).__module__}.{type(owner).__qualname__}"
        same = self._unnamed.setdefault(title, [])
        if not any(owner is other for other in same):
            same.append(owner)
            shown = f"{title} {len(same)}" if len(same) > 1 else title
            self._holders.append((shown, lambda: _without_layers(contents)))

    def _container(self, thing: Any) -> Iterator[Any]:
        self._seen[id(thing)] = thing
        if isinstance(thing, dict):
            pairs = dict(thing)
            self._restores.append(lambda: self._refill_dict(thing, pairs))
            yield from pairs.keys()
            yield from pairs.values()
        else:
            items = list(thing)
            self._restores.append(lambda: _refill(thing, items))
            yield from items

    def _refill_dict(self, contents: dict[Any, Any], before: dict[Any, Any]) -> None:
        if self._fresh:
            before = {name: self._fresh.get(id(value), value) for name, value in before.items()}
        if len(contents) == len(before) and all(
            a is b and contents[a] is before[b] for a, b in zip(contents, before, strict=True)
        ):
            return
        contents.clear()
        contents.update(before)


def _endpoints(routes: Any) -> Iterator[Any]:
    """The functions behind routes and what runs before them, those of included routers and of mounted applications
    too.
    """
    for route in routes:
        yield getattr(route, "endpoint", None)
        yield from getattr(route, "dependencies", None) or ()
        for name in ("original_router", "app"):
            inner = getattr(route, name, None)
            if type(inner).__module__ in _APPLICATIONS:
                yield inner
            elif inner is not None:
                yield from _endpoints(getattr(inner, "routes", ()))


def _middleware(app: Any) -> Iterator[Any]:
    """The layers round an application, and the functions that some of them call."""
    layer = getattr(app, "middleware_stack", None)
    while layer is not None and type(layer).__module__ not in _APPLICATIONS:
        yield layer
        yield getattr(layer, "dispatch_func", None)
        layer = getattr(layer, "app", None)


def _without_layers(contents: dict[str, Any]) -> dict[str, Any]:
    """What a middleware keeps of its own: the layers below it are shown by themselves."""
    return {name: value for name, value in contents.items() if name != "app"}


def _parts_of_callable(thing: Any) -> Iterator[Any]:
    for name in ("__self__", "__func__", "func", "args", "keywords", "fget", "fset"):
        yield getattr(thing, name, None)


def _mutable_defaults(function: FunctionType) -> dict[str, Any]:
    """The default values of a function that can be changed, by the name of their parameters."""
    code, defaults = function.__code__, function.__defaults__ or ()
    names = code.co_varnames[: code.co_argcount][code.co_argcount - len(defaults) :]
    every = {**dict(zip(names, defaults, strict=True)), **(function.__kwdefaults__ or {})}
    return {name: value for name, value in every.items() if isinstance(value, _CONTAINERS)}


def _kept(cached: Any) -> Iterator[Any]:
    """What a filled `lru_cache` holds: its table, and the links of its table where it is bounded."""
    pending, seen = [cached], set[int]()
    while pending:
        for thing in gc.get_referents(pending.pop()):
            if id(thing) in seen:
                continue
            seen.add(id(thing))
            if isinstance(thing, dict) or type(thing).__name__ == "_lru_list_elem":
                pending.append(thing)
            elif not isinstance(thing, (type, ModuleType, FunctionType)):
                yield thing


def _count_from(text: str) -> itertools.count[Any]:
    numbers = [int(number) for number in re.findall(r"-?\d+", text)]
    return itertools.count(*numbers)


def _slots(kind: type) -> Iterator[str]:
    for base in kind.__mro__:
        names = base.__dict__.get("__slots__", ())
        for name in (names,) if isinstance(names, str) else names:
            if name not in {"__dict__", "__weakref__"}:
                yield name


def _refill(thing: Any, items: list[Any]) -> None:
    thing.clear()
    thing.update(items) if isinstance(thing, set) else thing.extend(items)


def _reset_class(kind: type, before: dict[str, Any]) -> None:
    now = {name: value for name, value in vars(kind).items() if not name.startswith("__")}
    for name, value in now.items():
        if name not in before and not hasattr(value, "__get__"):
            delattr(kind, name)
    for name, value in before.items():
        if now.get(name) is not value:
            setattr(kind, name, value)


def _tells_something(value: Any, own: set[str]) -> bool:
    if isinstance(value, (ModuleType, FunctionType, type)):
        return False
    return (
        isinstance(value, (*_PLAIN, *_CONTAINERS, tuple, frozenset, WatchedLock, asyncio.Lock))
        or type(value).__module__ in own
    )


def _plain(value: Any, own: set[str], above: tuple[int, ...]) -> Any:
    """A value as plain data: containers and the project's own objects opened, everything else named by its type."""
    if isinstance(value, _PLAIN):
        return value
    if id(value) in above or len(above) > _DEEPEST:
        return "<again>"
    below = (*above, id(value))
    if isinstance(value, (WatchedLock, asyncio.Lock)):
        return LOCKED if value.locked() else "<free>"
    if isinstance(value, dict):
        return {str(_plain(key, own, below)): _plain(inside, own, below) for key, inside in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted((_plain(inside, own, below) for inside in value), key=repr)
    if isinstance(value, (list, tuple, collections.deque)):
        return [_plain(inside, own, below) for inside in value]
    if any(base.__module__ in own for base in type(value).__mro__) and not isinstance(value, type):
        names = [*getattr(value, "__dict__", {}), *_slots(type(value))]
        return {name: _plain(getattr(value, name, None), own, below) for name in names if not name.startswith("_sa_")}
    return f"<{type(value).__name__}>"
