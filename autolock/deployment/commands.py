"""Commands that start servers: how many processes, and of which application.

uvicorn, gunicorn, hypercorn, granian and FastAPI's own command, however the parts are quoted: a line of a script, a
list in a Dockerfile, an argument list in YAML.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_SERVER = re.compile(r"\b(uvicorn|gunicorn|hypercorn|granian|fastapi[\s\"',]+run)\b(?![./=-])")
_PARTS = re.compile(r"[^\s\"',\[\]]+")
_TARGET = re.compile(r"^([A-Za-z_]\w*(?:\.\w+)*):[A-Za-z_]\w*(?:\(.*)?$")
#: A number, or a variable's value where it is not set: `${WORKERS:-4}`.
_NUMBER = re.compile(r"^(?:\$\{\w+:?-)?(\d+)\}?$")
#: As many as there are processors.
_COUNTED = re.compile(r"nproc|cpu_count|getconf")
_SHORT = {"gunicorn", "hypercorn"}
#: Flags with which one process is run, whatever else is said.
_SINGLE = {"--reload"}


class Started(NamedTuple):
    """`processes` is 0 for as many as there are processors, None where the command does not say."""

    processes: int | None
    target: str


def names_server(text: str) -> bool:
    """Whether any server is named in a text."""
    return _SERVER.search(text) is not None


def started_by(command: str) -> Started | None:
    """What a command starts; None where it starts no server."""
    server = _SERVER.search(command)
    if server is None:
        return None
    parts = _PARTS.findall(command[server.end() :])
    if _SINGLE.intersection(parts):
        return Started(1, _target(server.group(1), parts))
    return Started(_processes(server.group(1), parts, command), _target(server.group(1), parts))


def count_of(text: str) -> int | None:
    """The number that a setting has, 0 for as many as there are processors; None where that cannot be told."""
    if _COUNTED.search(text):
        return 0
    found = _NUMBER.match(text.strip().strip("\"'"))
    return int(found.group(1)) if found else None


def _processes(server: str, parts: list[str], command: str) -> int | None:
    for place, part in enumerate(parts):
        name, is_joined, value = part.partition("=")
        if name == "--workers" or (name == "-w" and server in _SHORT):
            following = value if is_joined else "".join(parts[place + 1 : place + 2])
            if following.startswith("$("):
                return 0 if _COUNTED.search(command) else None
            return count_of(following)
        if server in _SHORT and re.fullmatch(r"-w\d+", part):
            return int(part[2:])
    return None


def _target(server: str, parts: list[str]) -> str:
    for part in parts:
        found = _TARGET.match(part)
        if found is not None:
            return found.group(1)
        if server.startswith("fastapi") and part.endswith(".py"):
            return part.removesuffix(".py").removeprefix("./").removeprefix("/").replace("/", ".")
    return ""
