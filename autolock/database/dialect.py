"""Which database the application talks to, from what its code and its configuration name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autolock.folders import files_below

Imports = Mapping[str, Sequence[str]]
"""The modules that each file imports."""

_DATABASES = {
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
    "sqlite": "sqlite",
    "mssql": "mssql",
    "oracle": "oracle",
    "cockroachdb": "postgresql",
}
_DRIVERS = {
    **dict.fromkeys(("asyncpg", "psycopg", "psycopg2", "psycopg_pool", "psycopg2-binary", "pg8000"), "postgresql"),
    **dict.fromkeys(("pymysql", "aiomysql", "asyncmy", "mysqlclient", "mysqldb", "mysql-connector-python"), "mysql"),
    **dict.fromkeys(("aiosqlite", "sqlite3"), "sqlite"),
    **dict.fromkeys(("pyodbc", "aioodbc", "pymssql"), "mssql"),
}
_NAMES = "|".join(_DATABASES).encode()
#: A URL, or a driver's full name.
_URL = re.compile(rb"\b(@)(?:\+\w+)?://(?![\"'])|[\"'](@)\+\w+[\"']".replace(b"@", _NAMES))
#: A question about a URL: the code can talk to that database, too.
_QUESTION = re.compile(rb"\b(@)://[\"']|startswith\(\s*[\"'](@)[\"':+]".replace(b"@", _NAMES))
_IMAGE = re.compile(rb"^\s*image:\s*[\"']?(?:\S*/)?(%s)(?:[:@\"'\s]|$)" % _NAMES, re.MULTILINE)
_DEPENDENCY = re.compile(rb"(?<![\w.-])(%s)(?![\w-])" % "|".join(map(re.escape, _DRIVERS)).encode(), re.IGNORECASE)
_WORDS = tuple(name.encode() for name in _DATABASES)
#: Where code that opens connections is kept; the other files are not searched.
_PLACES = re.compile("config|setting|database|db|session|engine|env|main")
_LARGEST = 300_000
_FOLDERS_DEEP = 2
_NO_FOLDERS = frozenset({"node_modules", "site-packages", "venv", "tests", "test", "docs", "examples"})


@dataclass(frozen=True, slots=True)
class Dialect:
    """`name` is `postgresql`, `mysql`, `sqlite`, `mssql`, `oracle`, or empty where several or none are named.

    `evidence` is where it is named: `path:line text`.
    """

    name: str = ""
    evidence: str = ""


def dialect_of(imports: Imports, root: Path) -> Dialect:
    """The database of a program, from what its files import, whose paths are relative to `root`, and from their text.

    URLs and SQLAlchemy's dialects in code, settings and compose files are believed before drivers that are
    imported or installed and URLs that are only asked about, as those may be there for the tests or
    for a user's choice. SQLite is believed only where nothing else is named at all, since it is
    what applications fall back to.
    """
    files = tuple(files_below(root, _FOLDERS_DEEP, _is_searched))
    named = _first_of_each((*_in_code(imports, root, _URL), *_dialects(imports), *_in_settings(root, files)))
    if len(named) > 1:
        return Dialect()
    found = next(iter(named.values()), None)
    if found is not None and found.name != "sqlite":
        return found
    others = _first_of_each((*_imported(imports), *_installed(root, files), *_in_code(imports, root, _QUESTION)))
    if found is not None:
        return found if others.keys() <= {"sqlite"} else Dialect()
    return next(iter(others.values())) if len(others) == 1 else Dialect()


def _first_of_each(found: Iterable[Dialect]) -> dict[str, Dialect]:
    first: dict[str, Dialect] = {}
    for dialect in found:
        first.setdefault(dialect.name, dialect)
    return first


def _in_code(paths: Iterable[str], root: Path, pattern: re.Pattern[bytes]) -> Iterator[Dialect]:
    for path in sorted(paths):
        if _PLACES.search(path.lower()):
            yield from _matches(root / path, path, pattern)


def _dialects(imports: Imports) -> Iterator[Dialect]:
    def named(module: str) -> str | None:
        package, _, rest = module.partition("sqlalchemy.dialects.")
        return _DATABASES.get(rest.partition(".")[0]) if not package else None

    return _by_imports(imports, named)


def _in_settings(root: Path, files: Sequence[str]) -> Iterator[Dialect]:
    for path in files:
        name = path.rpartition("/")[2]
        if name.startswith((".env", "env.")) or name in ("alembic.ini", "example.env"):
            yield from _matches(root / path, path, _URL)
        elif "compose" in name and name.endswith((".yml", ".yaml")):
            yield from _matches(root / path, path, _URL)
            yield from _matches(root / path, path, _IMAGE)


def _imported(imports: Imports) -> Iterator[Dialect]:
    return _by_imports(imports, lambda module: _DRIVERS.get(module.partition(".")[0].lower()))


def _by_imports(imports: Imports, named: Callable[[str], str | None]) -> Iterator[Dialect]:
    """The databases that imported modules stand for, file by file; most modules are imported by many files."""
    names = {module: name for module in set().union(*imports.values()) if (name := named(module))}
    for path in sorted(imports) if names else ():
        for module in imports[path]:
            if module in names:
                yield Dialect(names[module], f"{path}: imports {module}")


def _installed(root: Path, files: Sequence[str]) -> Iterator[Dialect]:
    for path in files:
        name = path.rpartition("/")[2]
        if name in ("pyproject.toml", "Pipfile", "setup.cfg", "setup.py") or (
            name.startswith("requirements") and name.endswith((".txt", ".in"))
        ):
            yield from _matches(root / path, path, _DEPENDENCY)


def _is_searched(folder: str) -> bool:
    return folder not in _NO_FOLDERS and not folder.startswith(".")


def _matches(file: Path, name: str, pattern: re.Pattern[bytes]) -> Iterator[Dialect]:
    """The databases that a file names; comments do not count."""
    try:
        with open(file, "rb") as opened:
            data = opened.read(_LARGEST)
    except OSError:
        return
    if pattern is not _DEPENDENCY and not any(word in data for word in _WORDS):
        return
    for found in pattern.finditer(data):
        group = found.lastindex or 0
        start = data.rfind(b"\n", 0, found.start(group)) + 1
        line = data[start:].partition(b"\n")[0].strip()
        if not line.startswith((b"#", b";", b"//")):
            word = found[group].decode().lower()
            number = data.count(b"\n", 0, start) + 1
            place = f"{name}:{number}"
            yield Dialect(_DATABASES.get(word) or _DRIVERS[word], f"{place} {line.decode('utf-8', 'replace')[:120]}")
