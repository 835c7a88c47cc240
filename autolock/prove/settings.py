"""The environment under which an application starts: the names that its source reads, those that it cannot do without,
and values for them.
"""

from __future__ import annotations

import ast
import base64
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from autolock.prove.stage.places import DRIVERS_OF_POSTGRES

_OTHERS = r"(?!.*(?:REDIS|MONGO|CELERY|RABBIT|ELASTIC|KAFKA|MYSQL))"
_URL = re.compile(_OTHERS + r"(?:\w*_)?(?:\w*DATABASE|POSTGRES\w*|PG|DB|SQLALCHEMY)\w*_?(?:URL|URI|DSN)")
_PART = re.compile(
    _OTHERS + r"(?:\w+_)?(?:POSTGRES|PG|DB|DATABASE)_?"
    r"(HOST|SERVER|PORT|USER|USERNAME|PASS|PASSWD|PASSWORD|DB|NAME|DATABASE)"
)
_MEANINGS = {
    "SERVER": "host",
    "USERNAME": "user",
    "PASS": "password",
    "PASSWD": "password",
    "DB": "name",
    "DATABASE": "name",
}
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_READERS = ("getenv", "environ.get")
#: Functions of python-decouple, environs and Starlette, which fail where there is no value.
_STRICT_READERS = re.compile(r"(?:config|env)(?:\.(?:str|int|bool|url))?")
_SECRET = re.compile(r"SECRET|JWT|ALGORITHM")
_EXAMPLE = re.compile(r"\.?env.*\.?(?:example|sample|template|dist)|(?:example|sample)\.env", re.IGNORECASE)
_LOADS_FILES = re.compile(r"load_dotenv|env_file|find_dotenv|read_env|decouple|starlette\.config")
_PLACEHOLDER = re.compile(r"^$|<.*>|\{.*\}|changeme|your[-_ ]|x{3,}|\.\.\.", re.IGNORECASE)
#: What a file has that may read the environment; others are not parsed.
_MENTIONS = re.compile(
    r"environ|getenv|Settings\b|\b(?:config|env)\(|(?:DATABASE|POSTGRES|PG|DB)_|_DSN\b", re.IGNORECASE
)
_SKIPPED = {"node_modules", "site-packages", "venv", "env", "__pycache__"}

#: 32 bytes, written as Fernet wants them, which is long enough for whatever else takes a secret.
_MADE_SECRET = base64.urlsafe_b64encode(b"autolock-made-this-secret-key!!!").decode()
_BY_NAME = (
    (r"ALGORITHM", "HS256"),
    (r"SECRET|PASSWORD|PASS|TOKEN|SALT|KEY", _MADE_SECRET),
    (r"PORT", "8000"),
    (r"EXPIRE|EXPIRES|MINUTES|SECONDS|HOURS|DAYS|TTL|TIMEOUT|LIMIT|SIZE|COUNT|MAX|MIN", "30"),
    (r"DEBUG|ENABLE|ENABLED", "false"),
    (r"HOST|SERVER|DOMAIN|SMTP", "127.0.0.1"),
    (r"REDIS|BROKER", "redis://127.0.0.1:6379/0"),
    (r"URL|URI|ORIGIN|ENDPOINT", "http://127.0.0.1:8000"),
    (r"EMAIL|MAIL", "ada@example.com"),
    (r"DIR|PATH|FOLDER", "."),
    (r"LEVEL", "INFO"),
)
_BY_KIND = (
    (r"\bbool\b", "false"),
    (r"\bint\b", "30"),
    (r"\bfloat\b|Decimal", "1.0"),
    (r"\b(?:list|List|set|Set|tuple|Tuple|Sequence)\b", "[]"),
    (r"\b(?:dict|Dict|Mapping)\b", "{}"),
)


@dataclass(frozen=True)
class Reading:
    """A name that the source reads, with the type that is written there (`kind`), and whether the application does not
    start without (`needed`).
    """

    name: str
    needed: bool = False
    kind: str = ""


@dataclass(frozen=True)
class Settings:
    """`urls` and `parts` (name, which part) say where the database is; `made` are values for what else is needed.

    `waits` where its database is asked over asyncio.
    """

    urls: tuple[str, ...] = ()
    parts: tuple[tuple[str, str], ...] = ()
    made: dict[str, str] = field(default_factory=dict)
    waits: bool = False

    @classmethod
    def of(cls, root: Path) -> Settings:
        """What the Python files of a tree read, and the files beside them that hold examples."""
        texts = [path.read_text("utf-8", "replace") for path in _files(root) if path.suffix == ".py"]
        readings = [reading for text in texts if _MENTIONS.search(text) for reading in _readings(text)]
        names = {reading.name for reading in readings}
        parts = {name: found[1] for name in names if (found := _PART.fullmatch(name))}
        urls = {name for name in names if _URL.fullmatch(name)} - parts.keys()
        loaded = _names_in_env_files(root) if any(map(_LOADS_FILES.search, texts)) else set()
        known = urls | parts.keys() | loaded | os.environ.keys()
        examples = _examples(root)
        made = {one.name: _value(one, examples) for one in readings if one.needed and one.name not in known}
        waits = any("create_async_engine" in text for text in texts)
        return cls(tuple(sorted(urls)), tuple(sorted(parts.items())), dict(sorted(made.items())), waits)

    @property
    def databases(self) -> Iterator[dict[str, str]]:
        """Environments that name a database in braces (see `stage/places.py`), one for each driver, likeliest first."""
        if not self.urls and not self.parts:
            return
        parts = {name: "{" + _MEANINGS.get(part, part.lower()) + "}" for name, part in self.parts}
        drivers = ("", *DRIVERS_OF_POSTGRES)
        for driver in sorted(drivers, key=lambda one: one in {"", "psycopg2"}) if self.waits else drivers:
            urls = dict.fromkeys(self.urls, f"{{postgres+{driver}}}" if driver else "{postgres}")
            yield {**self.made, **parts, **urls}
            if not urls:
                return


def _files(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in _SKIPPED and not name.startswith(".")]
        yield from (Path(folder, file) for file in files)


def _readings(text: str) -> Iterator[Reading]:
    """The names that a file may read from the environment: fields of classes, and texts that look like one."""
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError):
        return
    for node in nodes:
        if isinstance(node, ast.ClassDef):
            yield from _fields(node)
        elif isinstance(node, ast.Subscript):
            yield from _subscripted(node)
        elif isinstance(node, ast.Call):
            yield from _called(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _NAME.fullmatch(node.value):
            yield Reading(node.value)


def _fields(node: ast.ClassDef) -> Iterator[Reading]:
    """The fields of a class of settings; those of pydantic-settings are needed where they have no default."""
    strict = any(_dotted(base).endswith("Settings") for base in node.bases)
    if not strict and not node.name.endswith(("Settings", "Config")):
        return
    prefix = _prefix(node) if strict else ""
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            kind = ast.unparse(statement.annotation)
            needed = strict and _has_no_default(statement.value) and "ClassVar" not in kind
            name = _alias(statement.value) or prefix + statement.target.id
            yield Reading(name.upper(), needed, kind)
        elif isinstance(statement, ast.Assign):
            yield from (Reading(one.id.upper()) for one in statement.targets if isinstance(one, ast.Name))


def _alias(value: ast.expr | None) -> str:
    """The name that a field of pydantic-settings is given in the environment."""
    words = value.keywords if isinstance(value, ast.Call) else []
    return next((_text(word.value) for word in words if word.arg in {"validation_alias", "alias", "env"}), "")


def _prefix(node: ast.ClassDef) -> str:
    """What the names of settings begin with in the environment."""
    found = re.search(r"env_prefix['\"]?\s*[=:]\s*['\"](\w*)", ast.unparse(node))
    return found[1] if found else ""


def _has_no_default(value: ast.expr | None) -> bool:
    if isinstance(value, ast.Call) and _dotted(value.func).endswith("Field"):
        named = {word.arg for word in value.keywords}
        return not named & {"default", "default_factory"} and (not value.args or _is_ellipsis(value.args[0]))
    return value is None or _is_ellipsis(value)


def _is_ellipsis(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is ...


def _subscripted(node: ast.Subscript) -> Iterator[Reading]:
    """`os.environ["NAME"]`, which fails where there is none."""
    name = _text(node.slice)
    if name and isinstance(node.ctx, ast.Load) and _dotted(node.value).endswith("environ"):
        yield Reading(name, needed=True)


def _called(node: ast.Call) -> Iterator[Reading]:
    """A call that asks for a name. Where there is none, `int(os.getenv(NAME))` fails, and so do some libraries."""
    called, name = _dotted(node.func), _text(node.args[0]) if node.args else ""
    has_default = len(node.args) > 1 or any(word.arg == "default" for word in node.keywords)
    if called in {"int", "float"} and node.args and isinstance(node.args[0], ast.Call):
        asked = node.args[0]
        strict = len(asked.args) == 1 and _dotted(asked.func).endswith(_READERS)
        yield from (Reading(one.name, strict, called) for one in _called(asked))
    elif name.isupper() and called.endswith(_READERS):
        yield Reading(name, needed=not has_default and _SECRET.search(name) is not None)
    elif name.isupper() and _STRICT_READERS.fullmatch(called):
        casts = (_dotted(word.value) for word in node.keywords if word.arg == "cast")
        yield Reading(name, needed=not has_default, kind=next(casts, called.rpartition(".")[2]))


def _dotted(node: ast.expr) -> str:
    """`a.b.c`, as far as a name is one."""
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _names_in_env_files(root: Path) -> set[str]:
    """Names in files that the application may read by itself; what they hold is nobody else's business."""
    own = [path for path in root.glob(".env*") if path.is_file() and not _EXAMPLE.fullmatch(path.name)]
    return {name for path in own for name, _ in _pairs(path)}


def _examples(root: Path) -> dict[str, str]:
    paths = [path for path in sorted(root.iterdir()) if path.is_file() and _EXAMPLE.fullmatch(path.name)]
    return {name: value for path in paths for name, value in _pairs(path) if not _PLACEHOLDER.search(value)}


def _pairs(path: Path) -> Iterator[tuple[str, str]]:
    for line in path.read_text("utf-8", "replace").splitlines():
        name, sign, value = line.removeprefix("export ").partition("=")
        if sign and _NAME.fullmatch(name.strip()):
            yield name.strip().upper(), value.partition(" #")[0].strip().strip("'\"")


def _value(reading: Reading, examples: dict[str, str]) -> str:
    """A value that the application may start with: the example's, or one that fits the type or the name."""
    if reading.name in examples:
        return examples[reading.name]
    chosen = re.search(r"Literal\[(['\"]?)(\w+)\1", reading.kind)
    if chosen is not None:
        return chosen[2]
    by_kind = (value for pattern, value in _BY_KIND if re.search(pattern, reading.kind))
    by_name = (value for words, value in _BY_NAME if re.search(rf"(?<![A-Z])(?:{words})(?![A-Z])", reading.name))
    return next(by_kind, None) or next(by_name, _MADE_SECRET)
