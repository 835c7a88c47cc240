"""Settings that name a database in braces, so that each run can have one of its own."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

DRIVERS_OF_POSTGRES = ("asyncpg", "psycopg", "psycopg2")
_PLACE = re.compile(r"\{(postgres(?:\+[a-z0-9]+)?|host|port|user|password|name)\}")


def wants_database(environment: dict[str, str]) -> bool:
    """Whether an environment has a place of a database to be put in."""
    return any(_PLACE.search(value) for value in environment.values())


def filled(environment: dict[str, str], url: str) -> dict[str, str]:
    """An environment with the places of a database put in: {postgres}, {postgres+DRIVER}, {host}, {port},
    {user}, {password}, {name}.
    """
    split = urlsplit(url)
    values = {
        "postgres": url,
        "host": split.hostname or parse_qs(split.query).get("host", [""])[0],
        "port": str(split.port or 5432),
        "user": split.username or "",
        "password": split.password or "",
        "name": split.path[1:],
        **{f"postgres+{name}": url.replace("postgresql", f"postgresql+{name}", 1) for name in DRIVERS_OF_POSTGRES},
    }
    return {name: _PLACE.sub(lambda found: values.get(found[1], found[0]), text) for name, text in environment.items()}
