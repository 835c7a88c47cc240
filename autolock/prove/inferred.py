"""A scenario to begin with: what was found out by itself, and comments where a person must fill in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from autolock.prove.proof import Subject
from autolock.prove.requests import Driven, RequestDoc

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_HEAD = """\
# How `autolock prove` drives this application:  autolock prove --scenario {file}
# Written by `autolock prove --init`. Where it says FILL IN, a person knows better; all else was found out and works.
"""
_REFUSED = ("wants authentication", "answers 4")


@dataclass(frozen=True)
class Inferred:
    """What is known of an application: its name, settings under which it starts, requests for routes, and the
    functions on which routes depend. `failure` says why it does not start.
    """

    app: str
    environment: dict[str, str]
    driven: dict[str, Driven] = field(default_factory=dict)
    dependencies: dict[str, list[str]] = field(default_factory=dict)
    failure: str = ""

    def scenario(self, subjects: Sequence[Subject], file: str) -> str:
        """The text of a scenario for the subjects, to be written as `file`."""
        return "".join(f"{line}\n" for line in self._lines(subjects, file))

    def _lines(self, subjects: Sequence[Subject], file: str) -> Iterator[str]:
        yield _HEAD.format(file=file)
        yield f"app = {_value(self.app)}"
        yield ""
        yield from self._settings()
        yield from self._overrides()
        yield "# Sent once, in turn, before the races; FILL IN what they need and nothing else makes."
        yield "# [[setup]]"
        yield '# method = "POST"'
        yield '# path = "/..."'
        yield "# body = {}"
        for route in dict.fromkeys(route for subject in subjects for route in subject.routes):
            if route in self.driven or self.failure:
                yield ""
                yield from self._race(route, [subject for subject in subjects if route in subject.routes])
        yield ""
        yield "# What no run may break, in Python over `responses` and `state`; FILL IN what you know of."
        yield "[invariants]"
        yield "# \"stock is never negative\" = \"all(row['stock'] >= 0 for row in state['table items'])\""

    def _settings(self) -> Iterator[str]:
        if self.failure:
            yield f"# The application does not start: {_one_line(self.failure)}"
            yield "# FILL IN the settings that it needs. {postgres} is the URL of an empty database, as are"
            yield "# {postgres+asyncpg}, {postgres+psycopg} and {postgres+psycopg2}; its parts are {host}, {port},"
            yield "# {user}, {password} and {name}."
        yield "[env]"
        for name, value in self.environment.items():
            yield f"{'# ' if self.failure else ''}{name} = {_value(value)}"
        yield ""

    def _overrides(self) -> Iterator[str]:
        """The dependencies of routes that refuse: one of them is who must be replaced."""
        refusing = {
            route: driven for route, driven in self.driven.items() if any(one in driven.missing for one in _REFUSED)
        }
        yield "[overrides]"
        if not refusing:
            yield '# "module:function" = { value = {} } or { call = "module:function" } in the place of a dependency'
        names: dict[str, list[str]] = {}
        for route in refusing:
            for name in self.dependencies.get(route, ()):
                names.setdefault(name, []).append(route)
        for name, routes in names.items():
            yield f"# FILL IN what {', '.join(routes)} may get in its place, where it is who refuses."
            yield f"# {_value(name)} = {{ value = {{ id = 1 }} }}"
        yield ""

    def _race(self, route: str, subjects: Sequence[Subject]) -> Iterator[str]:
        for subject in subjects:
            name = f" {subject.finding.name}" if subject.finding is not None else ""
            yield f"# {subject.title}{name}"
        driven = self.driven.get(route, Driven(None, missing="the application does not start"))
        method, _, path = route.partition(" ")
        request: RequestDoc = driven.request or {"method": method, "path": path}
        mark = ""
        if driven.request is None:
            mark = "# "
            yield f"# FILL IN a request that succeeds and changes something; {_one_line(driven.missing)}"
        elif not driven.changes:
            yield "# FILL IN a request that changes something; this one succeeds."
        yield f"{mark}[[race]]"
        yield f"{mark}route = {_value(route)}"
        if driven.prelude:
            yield f"{mark}before = ["
            yield from (f"{mark}    {_table(one)}," for one in driven.prelude)
            yield f"{mark}]"
        yield f"{mark}requests = [{_table(request)}]  # one stands for two of its kind"


def _table(request: RequestDoc) -> str:
    return _value({key: value for key, value in request.items() if value not in ({}, None)})


def _value(value: Any) -> str:
    """A value as TOML. What JSON calls null has no name there and is left out."""
    if isinstance(value, dict):
        inside = ", ".join(f"{_key(name)} = {_value(one)}" for name, one in value.items() if one is not None)
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list):
        return f"[{', '.join(_value(one) for one in value if one is not None)}]"
    return json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _value(name)


def _one_line(text: str) -> str:
    return " ".join(text.split())
