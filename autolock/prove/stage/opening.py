"""Brings an application on the stage: hooks first, then its import, its start-up, and a checkpoint of all it keeps."""

from __future__ import annotations

import asyncio
import copy
import importlib
import inspect
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from .asgi import RAW_BODY, Lifespan, Request
from .chance import tame_chance
from .director import Probe
from .files import FileData
from .frames import Project
from .heap import Checkpoint
from .instances import Instances, own_modules
from .locks import watch_locks
from .loop import GatedLoop
from .outside import close_the_door, stub_clients
from .play import Data, Instance, Outcome, Stage
from .sqlite import SqliteData
from .statements import Statements
from .tables import make_missing_tables
from .threads import Stepper
from .workers import follow_threads

#: Seconds after which a statement of SQLite is taken to wait for its file: far longer than one takes.
_SQLITE_PATIENCE = 0.03


class CannotOpen(Exception):
    """The application could not be started; the message says why."""


class Kept(Data, Protocol):
    """Data whose starts are stacked."""

    def remember(self) -> None:
        """Take what is there now as the start of every run."""

    def forget(self) -> None:
        """Go back to the start before the last one."""


class Remote(Kept, Protocol):
    """A database behind a connection."""

    def all_wait(self, requests: int) -> bool:
        """Whether as many connections wait for locks as requests are inside their driver."""


@dataclass
class Opened:
    """An application on the stage, and how to take what it holds as the start of every run.

    `only_one` says why there is no other instance, where one was asked for and could not be made.
    """

    stage: Stage
    lifespans: tuple[Lifespan, ...]
    instances: Instances
    sqlite: SqliteData
    files: FileData
    remote: Remote | None
    only_one: str = ""
    _checkpoints: list[tuple[Checkpoint, ...]] = field(default_factory=list)
    _sent: list[int] = field(default_factory=list)

    @property
    def _kept(self) -> tuple[Kept, ...]:
        return (self.sqlite, self.files, *(() if self.remote is None else (self.remote,)))

    @classmethod
    def of(cls, app: str, root: str, options: dict[str, Any], remote: Remote | None) -> Opened:
        """Import `app` (`module:name`, an application or a function that makes one) and start it.

        `options`: `lines` to stop threads at, `overrides` of dependencies, hosts to `allow`, the number of `instances`.
        Raises CannotOpen.
        """
        folder = os.path.join(root, options.get("folder", "."))
        os.chdir(folder)
        sys.path.insert(0, folder)
        project, loop = Project(root), GatedLoop()
        asyncio.set_event_loop(loop)
        stepper = Stepper(project, loop, options.get("lines"))
        watch_locks(stepper)
        follow_threads(stepper)
        sqlite = SqliteData()
        sqlite.follow()
        files = FileData(root)
        files.follow()
        allowed = frozenset(options.get("allow", ()))
        close_the_door(allowed)
        instances = Instances(project)
        lifespans = []
        only_one = ""
        for number in range(options.get("instances", 1)):
            with instances.another():
                try:
                    application = _imported(app)
                except CannotOpen as error:
                    if number == 0:
                        raise
                    only_one = str(error)
                    break
                for dependency, replacement in options.get("overrides", {}).items():
                    application.dependency_overrides[_named(dependency)] = _replacement(replacement)
            if number == 0:
                Statements(stepper).follow()
                stub_clients(allowed)
                tame_chance()
            lifespans.append(Lifespan(application))
        _start(loop, lifespans)
        make_missing_tables(loop, own_modules(project).values())
        served = tuple(Instance(lifespan.app, lifespan.state) for lifespan in lifespans)
        stage = Stage(served, project, loop, stepper, rows_are_one=remote is None)
        stage.probe = (
            Probe(remote.all_wait)
            if remote is not None
            else Probe(lambda _: sqlite.is_locked(), _SQLITE_PATIENCE, sees_locks=True)
        )
        return cls(stage, tuple(lifespans), instances, sqlite, files, remote, only_one)

    def remember(self, sent: int = 0) -> None:
        """Take what the application holds now as the start of every run, until it is forgotten.

        `sent` is how many requests have led there from the start before.
        """
        self._sent.append(sent)
        self.stage.kept += sent
        for one in self._kept:
            one.remember()
        checkpoints = [Checkpoint(own_modules(self.stage.project).values())]
        for number, modules in enumerate(self.instances.modules[1:], start=2):
            checkpoints.append(Checkpoint(modules.values(), f"instance {number} "))
        self._checkpoints.append(tuple(checkpoints))
        self.stage.data = (*checkpoints, *self._kept)

    def forget(self) -> None:
        """Go back to the start before the last one."""
        self.stage.kept -= self._sent.pop()
        self._checkpoints.pop()
        for checkpoint in self._checkpoints[-1]:
            checkpoint.restore()
        for one in self._kept:
            one.forget()
        self.stage.data = (*self._checkpoints[-1], *self._kept)

    def warm(self, requests: tuple[Request, ...]) -> None:
        """Play the requests once and undo it, so that connections are open and lazy parts of libraries are made."""
        self.stage.play_in_turn(requests, tuple(range(len(requests))))
        for data in self.stage.data:
            data.restore()
        self.remember()

    def keep(self, requests: tuple[Request, ...]) -> Outcome:
        """Send requests in turn and keep what they did, until it is forgotten."""
        for data in self.stage.data:
            data.restore()
        self.stage.data = ()
        self.stage.keeps_open = True
        self.stage.play_in_turn(requests, tuple(range(len(requests))))
        self.stage.keeps_open = False
        self.remember(len(requests))
        return self.stage.play((), lambda enabled, previous: enabled[0]).outcome

    def document(self) -> dict[str, Any]:
        """The application's OpenAPI document, and its WebSockets beside it; empty where it makes none.

        What routes take that read a body by themselves is added.
        """
        make = getattr(self._app, "openapi", None)
        told = copy.deepcopy(make()) if make is not None else {}
        for route, endpoint, calls in self._calls():
            method, _, path = route.partition(" ")
            operation = told.get("paths", {}).get(path, {}).get(method.lower())
            if operation is not None and any(map(_reads_body, (endpoint, *calls))):
                operation.setdefault("requestBody", {"content": {RAW_BODY: {}}})
        for route in _routes_of(getattr(self._app, "routes", ())):
            socket = getattr(route, "starlette_route", None) or route
            if type(socket).__name__.endswith("WebSocketRoute"):
                told.setdefault("paths", {}).setdefault(_plain_path(socket.path), {})["websocket"] = _heard_by(socket)
        return told

    def dependencies(self) -> dict[str, list[str]]:
        """For each route, the functions it depends on, as overrides name them."""
        return {route: list(dict.fromkeys(map(_name_of, calls))) for route, _, calls in self._calls()}

    def hints(self) -> dict[str, list[str]]:
        """For each route, the texts that stand in its code and in that of the functions it depends on, or that this
        code names.
        """
        return {
            route: list(dict.fromkeys(text for call in (*calls, endpoint) for text in _texts_in(call)))
            for route, endpoint, calls in self._calls()
        }

    def _calls(self) -> Iterator[tuple[str, Any, list[Any]]]:
        for route in _routes_of(getattr(self._app, "routes", ())):
            needed = getattr(route, "dependant", None)
            calls = [call for call in _calls_of(needed) if _name_of(call)] if needed is not None else []
            for method in getattr(route, "methods", None) or ():
                yield f"{method} {_plain_path(route.path)}", getattr(route, "endpoint", None), calls

    def close(self) -> None:
        """End the application."""
        for lifespan in self.lifespans:
            self.stage.loop.run_until_complete(lifespan.stop())

    @property
    def _app(self) -> Any:
        return self.stage.instances[0].app


def _start(loop: GatedLoop, lifespans: list[Lifespan]) -> None:
    """Start all instances. What the first one has put into the database may be in the way of the others', which
    then have to do with how far they came.
    """
    for number, lifespan in enumerate(lifespans):
        try:
            loop.run_until_complete(lifespan.start())
        except RuntimeError as error:
            if number == 0:
                raise CannotOpen(str(error)) from error


def _imported(app: str) -> Any:
    try:
        found = _named(app)
    except ModuleNotFoundError as error:
        told = f"importing {app} fails: {sys.executable} has no module {error.name!r}"
        raise CannotOpen(f"{told}; --python names an interpreter with the application's packages") from error
    except BaseException as error:
        raise CannotOpen(f"importing {app} fails: {type(error).__name__}: {error}") from error
    if inspect.isfunction(found) and not inspect.iscoroutinefunction(found):
        return found()
    return found


def _named(name: str) -> Any:
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found


def _routes_of(routes: Any) -> Iterator[Any]:
    """All routes, those of included routers (which newer FastAPI keeps apart) with their whole path."""
    for route in routes:
        included = getattr(route, "effective_candidates", None)
        yield from _routes_of(included()) if included is not None else (route,)


def _plain_path(path: str) -> str:
    return re.sub(r":\w+\}", "}", path)


def _heard_by(route: Any) -> dict[str, Any]:
    """What a WebSocket takes, as OpenAPI would say it."""
    path = [{"name": name, "in": "path", "required": True} for name in re.findall(r"\{(\w+)", route.path)]
    needed = getattr(route, "dependant", None)
    fields = [*_flat_fields(needed)] if needed is not None else []
    return {"parameters": [*path, *fields]}


def _flat_fields(needed: Any) -> Iterator[dict[str, Any]]:
    for place, fields in (("query", needed.query_params), ("header", needed.header_params)):
        for one in fields:
            yield {"name": one.alias, "in": place, "required": bool(getattr(one, "required", True))}
    for one in needed.dependencies:
        yield from _flat_fields(one)


def _calls_of(needed: Any) -> Iterator[Any]:
    for one in needed.dependencies:
        yield one.call
        yield from _calls_of(one)


def _name_of(call: Any) -> str:
    """The name under which an override finds a function; empty where there is none."""
    module, name = getattr(call, "__module__", None), getattr(call, "__qualname__", "<")
    return f"{module}:{name}" if module and "<" not in name else ""


def _reads_body(call: Any) -> bool:
    """Whether a function takes what a client sends as it comes: `await request.body()`."""
    code = getattr(inspect.unwrap(call), "__code__", None) if callable(call) else None
    return code is not None and not {"body", "stream"}.isdisjoint(code.co_names) and "request" in code.co_varnames


def _texts_in(call: Any) -> Iterator[str]:
    function = inspect.unwrap(call) if callable(call) else None
    code = getattr(function, "__code__", None)
    if code is None:
        return
    space = getattr(function, "__globals__", {})
    named = [space[name] for name in code.co_names if name in space]
    kept = [vars(thing).get(name) for thing in named if hasattr(thing, "__dict__") for name in code.co_names]
    written = (
        text for value in code.co_consts for text in (value if isinstance(value, (tuple, frozenset)) else [value])
    )
    for text in (*map(_disclosed, (*named, *kept)), *written):
        if isinstance(text, str) and 3 <= len(text) <= 80 and not any(map(str.isspace, text)):
            yield text


def _disclosed(value: Any) -> Any:
    """What pydantic's SecretStr hides."""
    return value.get_secret_value() if type(value).__name__ == "SecretStr" else value


def _replacement(how: dict[str, Any]) -> Any:
    """`{"value": ...}` always gives that; `{"call": "module:function"}` is called in its place."""
    return _named(how["call"]) if "call" in how else lambda: how["value"]
