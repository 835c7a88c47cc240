"""A scenario: what a person adds to what autolock can find out by itself, in a TOML file.

app = "main:app"
ignore = ["main.peak"]                      # parts of the state that no order of the requests has to give
[env]                                       # of the application; {postgres} is a fresh database
DATABASE_URL = "{postgres}"
[overrides]                                 # dependencies by name
"deps:current_user" = { value = { id = 1 } }
[[setup]]                                   # sent once, in turn, before the races
name = "login"                              # later requests may say "{login.body.token}" and "{login.cookies}"
method = "POST"
path = "/login"
body = { user = "ada" }
[[race]]                                    # what is sent at once
route = "POST /purchase"
before = []                                 # sent first, one after the other, for this race alone
requests = [{ method = "POST", path = "/purchase", body = { item = "mug" } }]
[invariants]                                # Python over `responses` and `state`
"stock is never negative" = "state['main.stock']['mug'] >= 0"
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autolock.errors import AutolockError
from autolock.prove.requests import RequestDoc

_KEYS = {"app", "env", "overrides", "setup", "race", "invariants", "allow", "ignore"}


@dataclass(frozen=True)
class Race:
    """Requests that are sent at once, after those of the `prelude`, one after the other.

    Where they are fewer than those that race, they are taken again from the first. `failing`, `crowd`, `at_once` and
    `answers_matter` are as in a Manner and a Search; the requests go to as many `instances` of the application. With
    `apart` there is one request, whose tasks are played against each other.
    """

    requests: tuple[RequestDoc, ...]
    route: str = ""
    prelude: tuple[RequestDoc, ...] = ()
    failing: str = ""
    crowd: str = ""
    at_once: bool = False
    answers_matter: bool = False
    apart: bool = False
    instances: int = 1


@dataclass(frozen=True)
class Scenario:
    """What a person says of how to drive an application."""

    app: str = ""
    env: dict[str, str] = field(default_factory=dict)
    overrides: dict[str, Any] = field(default_factory=dict)
    setup: tuple[RequestDoc, ...] = ()
    races: tuple[Race, ...] = ()
    invariants: dict[str, str] = field(default_factory=dict)
    allow: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Scenario:
        """Read a scenario. Raises AutolockError with the file's name and what is wrong."""
        try:
            text = _parse(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise AutolockError(f"{path}: cannot be read ({error.strerror}); name a scenario file") from error
        except ValueError as error:
            raise AutolockError(
                f"{path}: is not valid TOML ({error}); mend it or start from `autolock prove --init`"
            ) from error
        unknown = sorted(set(text) - _KEYS)
        if unknown:
            raise AutolockError(f"{path}: unknown key {unknown[0]!r}; a scenario has {', '.join(sorted(_KEYS))}")
        try:
            races = tuple(map(_race, text.get("race", ())))
        except (KeyError, TypeError) as error:
            raise AutolockError(f"{path}: a [[race]] needs a list `requests` of tables with method and path") from error
        return cls(
            app=text.get("app", ""),
            env={name: str(value) for name, value in text.get("env", {}).items()},
            overrides=text.get("overrides", {}),
            setup=tuple(_request(request) for request in text.get("setup", ())),
            races=races,
            invariants=text.get("invariants", {}),
            allow=tuple(text.get("allow", ())),
            ignore=tuple(text.get("ignore", ())),
        )


def _race(table: dict[str, Any]) -> Race:
    before = tuple(_request(request) for request in table.get("before", ()))
    return Race(tuple(_request(request) for request in table["requests"]), table.get("route", ""), before)


def _request(table: dict[str, Any]) -> RequestDoc:
    return {key: table[key] for key in ("method", "path", "query", "headers", "body", "name") if key in table}


def _parse(text: str) -> dict[str, Any]:
    loads = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli").loads
    parsed: dict[str, Any] = loads(text)
    return parsed
