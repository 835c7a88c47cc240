"""A synthetic repository that looks like real services, of about as many lines as are asked for.

A service is a package with an application, utilities and domains; a domain has a router, a service,
a repository, models, schemas, a client and jobs, and tests in the tree beside it, about a quarter of
all lines. A few domains keep state in memory, with a lock and without. The same number of lines
always gives the same repository.
"""

from __future__ import annotations

import re
from random import Random
from typing import TYPE_CHECKING

from benchmarks.bodies import FIELDS, STATES, VERBS, async_body, docstring, sync_body

if TYPE_CHECKING:
    from pathlib import Path

NOUNS = (
    "order",
    "invoice",
    "customer",
    "shipment",
    "product",
    "payment",
    "coupon",
    "review",
    "warehouse",
    "supplier",
    "ticket",
    "message",
    "session",
    "document",
    "report",
    "contract",
    "booking",
    "device",
    "campaign",
    "account",
)
DOMAINS_IN_A_SERVICE = 9
TYPES = ("str", "int", "float", "bool", "datetime | None", "dict[str, Any]", "list[str]", "str | None")


def write_repository(root: Path, lines: int) -> int:
    """Make the repository in an empty folder; gives the number of lines written."""
    writer = _Writer(root)
    number = 0
    while writer.lines < lines:
        _service(writer, f"service_{number:03d}", Random(number), lines)
        number += 1
    return writer.lines


class _Writer:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.lines = 0

    def file(self, path: str, lines: list[str]) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("\n".join(lines) + "\n" if lines else "", encoding="utf-8")
        self.lines += len(lines)


def _service(writer: _Writer, name: str, random: Random, limit: int) -> None:
    domains: list[str] = []
    for noun in random.sample(NOUNS, DOMAINS_IN_A_SERVICE):
        if domains and writer.lines >= limit:
            break
        _domain(writer, name, noun, domains, random)
        domains.append(noun)
    for number in range(max(1, len(domains) // 3)):
        writer.file(f"{name}/utils/tools_{number}.py", _utilities(random))
    writer.file(f"{name}/utils/__init__.py", [])
    writer.file(f"{name}/__init__.py", [f'"""The {name} service."""'])
    writer.file(f"{name}/main.py", _application(name, domains))


def _domain(writer: _Writer, service: str, noun: str, earlier: list[str], random: Random) -> None:
    folder = f"{service}/{noun}s"
    parts = {
        "__init__": [f"from {service}.{noun}s.service import {noun.capitalize()}Service as {noun.capitalize()}Service"],
        "schemas": _schemas(noun, random),
        "models": _models(noun, random),
        "repository": _repository(service, noun, random),
        "service": _service_module(service, noun, earlier, random),
        "router": _router(service, noun, random),
        "client": _client(noun, random),
        "jobs": _jobs(service, noun, random),
        "state": _state(noun, random),
    }
    for part, lines in parts.items():
        writer.file(f"{folder}/{part}.py", lines)
    for number in range(2):
        writer.file(f"tests/{service}/{noun}s/test_{noun}_{number}.py", _tests(service, noun, random))


def _function(head: str, body: list[str], decorator: str = "") -> list[str]:
    return ["", "", *([decorator] if decorator else []), *_wrapped(head), *_indented(body)]


def _method(head: str, body: list[str]) -> list[str]:
    return ["", *_indented([*_wrapped(head), *_indented(body)])]


def _wrapped(head: str) -> list[str]:
    """A parameter a line, where a function has several."""
    name, _, rest = head.partition("(")
    parameters, _, result = rest.rpartition(")")
    if parameters.count(": ") < 2:
        return [head]
    return [f"{name}(", *(f"    {parameter}," for parameter in re.split(r", (?=\w+: |\*)", parameters)), f"){result}"]


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" if line else line for line in lines]


def _header(title: str, *imports: str) -> list[str]:
    return [
        f'"""{title}"""',
        "",
        "from __future__ import annotations",
        "",
        "import logging",
        *imports,
        "",
        "logger = logging.getLogger(__name__)",
    ]


def _application(service: str, domains: list[str]) -> list[str]:
    return [
        f'"""The application of {service}."""',
        "",
        "from contextlib import asynccontextmanager",
        "",
        "from fastapi import FastAPI",
        "",
        *(f"from {service}.{noun}s import router as {noun}_routes" for noun in domains),
        "",
        "",
        "@asynccontextmanager",
        "async def lifespan(app: FastAPI):",
        f'    app.state.name = "{service}"',
        "    yield",
        "",
        "",
        f'app = FastAPI(title="{service}", lifespan=lifespan)',
        *(f'app.include_router({noun}_routes.router, prefix="/{noun}s", tags=["{noun}s"])' for noun in domains),
    ]


def _schemas(noun: str, random: Random) -> list[str]:
    lines = _header(
        f"What clients send and get for a {noun}.",
        "from datetime import datetime",
        "from typing import Any",
        "",
        "from pydantic import BaseModel, Field",
    )
    for suffix in ("Create", "Update", "Read", "Page", "Filter"):
        lines += [
            "",
            "",
            f"class {noun.capitalize()}{suffix}(BaseModel):",
            f'    """A {noun}, as clients see it."""',
            "",
        ]
        for field in random.sample(FIELDS, random.randint(5, 11)):
            kind = random.choice(TYPES)
            lines += [
                f"    {field}: {kind} = Field(",
                "        default=None,",
                f'        description="the {field} of the {noun}",',
                f'        examples=["{random.choice(STATES)}"],',
                "    )",
            ]
    return lines


def _models(noun: str, random: Random) -> list[str]:
    lines = _header(
        f"The tables of a {noun}.",
        "from datetime import datetime",
        "from typing import Any",
        "",
        "from sqlalchemy import ForeignKey, String",
        "from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column",
        "",
        "",
        "class Base(DeclarativeBase):",
        '    """The base of the tables."""',
    )
    for suffix in ("", "Event", "Line"):
        lines += [
            "",
            "",
            f"class {noun.capitalize()}{suffix}(Base):",
            f'    __tablename__ = "{noun}{suffix.lower()}s"',
            "",
        ]
        lines.append("    id: Mapped[int] = mapped_column(primary_key=True)")
        for field in random.sample(FIELDS, random.randint(6, 12)):
            lines += [
                f"    {field}: Mapped[str] = mapped_column(",
                f"        String({random.choice((16, 64, 255))}),",
                "        nullable=True,",
                "    )",
            ]
    return lines


def _repository(service: str, noun: str, random: Random) -> list[str]:
    model = noun.capitalize()
    lines = _header(
        f"Reading and writing {noun}s.",
        "from typing import Any",
        "",
        "from sqlalchemy import select, update",
        "from sqlalchemy.ext.asyncio import AsyncSession",
        "",
        f"from {service}.{noun}s.models import {model}, {model}Event",
    )
    lines += ["", "", f"class {model}Repository:", f'    """All queries of {noun}s."""']
    lines += _method("def __init__(self, session: AsyncSession) -> None:", ["self.session = session"])
    lines += _method(
        f"async def find(self, identifier: int) -> {model} | None:",
        [
            f"query = select({model}).where({model}.id == identifier)",
            "return (await self.session.execute(query)).scalar_one_or_none()",
        ],
    )
    lines += _method(
        "async def change(self, identifier: int, changes: dict[str, Any]) -> None:",
        [
            f"await self.session.execute(update({model}).where({model}.id == identifier).values(**changes))",
            "await self.session.flush()",
        ],
    )
    lines += _method(
        f"async def related(self, identifier: int, limit: int = 50) -> list[{model}]:",
        [
            f"query = select({model}).where({model}.id != identifier).limit(limit)",
            "return list((await self.session.execute(query)).scalars())",
        ],
    )
    for field in random.sample(FIELDS, random.randint(3, 7)):
        lines += _method(
            f"async def by_{field}(self, value: Any, *, limit: int = {random.randint(10, 500)}) -> list[{model}]:",
            [
                *docstring(random, f"those of one {field}, the newest first"),
                f"query = select({model}).where({model}.{field} == value)",
                "if limit:",
                "    query = query.limit(limit)",
                f"rows = (await self.session.execute(query.order_by({model}.id.desc()))).scalars().all()",
                'logger.debug("%d rows for %r", len(rows), value)',
                "return list(rows)",
            ],
        )
    return lines


def _service_module(service: str, noun: str, earlier: list[str], random: Random) -> list[str]:
    model = noun.capitalize()
    others = random.sample(earlier, min(len(earlier), random.randint(0, 2)))
    lines = _header(
        f"What can be done with a {noun}.",
        "from typing import Any",
        "",
        *(f"from {service}.{other}s.client import {other.capitalize()}Client" for other in others),
        f"from {service}.{noun}s.client import {model}Client",
        f"from {service}.{noun}s.repository import {model}Repository",
        f"from {service}.utils import tools_0",
    )
    lines += ["", "", f"class {model}Service:", f'    """The rules of the business for {noun}s."""']
    made = [f"self.{other} = {other.capitalize()}Client()" for other in others]
    lines += _method(
        f"def __init__(self, repository: {model}Repository, notifier: {model}Client) -> None:",
        ["self.repository = repository", "self.notifier = notifier", *made],
    )
    for verb in random.sample(VERBS, random.randint(4, 8)):
        head = (
            f'async def {verb}(self, identifier: int, payload: dict[str, Any] | None = None, actor: str = "") -> Any:'
        )
        lines += _method(head, async_body(random, "self.repository.find", noun))
    for verb in random.sample(VERBS, random.randint(1, 3)):
        lines += _function(
            f"def {verb}_{noun}s(rows: list[dict[str, Any]]) -> dict[str, Any]:", sync_body(random, "rows")
        )
    lines += _function(f"def clean_{noun}(row: dict[str, Any]) -> dict[str, Any]:", ["return tools_0.clean(row)"])
    return lines


def _router(service: str, noun: str, random: Random) -> list[str]:
    model = noun.capitalize()
    lines = _header(
        f"The routes of {noun}s.",
        "from typing import Annotated, Any",
        "",
        "from fastapi import APIRouter, BackgroundTasks, Depends, HTTPException, Query",
        "from sqlalchemy.ext.asyncio import AsyncSession",
        "",
        f"from {service}.{noun}s import jobs, state",
        f"from {service}.{noun}s.client import {model}Client",
        f"from {service}.{noun}s.repository import {model}Repository",
        f"from {service}.{noun}s.schemas import {model}Create, {model}Read, {model}Update",
        f"from {service}.{noun}s.service import {model}Service",
        "",
        "router = APIRouter()",
    )
    lines += _function("async def get_session():", ["async with AsyncSession() as session:", "    yield session"])
    lines += _function(
        f"def get_service(session: AsyncSession = Depends(get_session)) -> {model}Service:",
        [f"return {model}Service({model}Repository(session), {model}Client())"],
    )
    lines += ["", "", f"Service = Annotated[{model}Service, Depends(get_service)]"]
    for verb in random.sample(VERBS, random.randint(4, 9)):
        method = random.choice(("get", "post", "put", "delete"))
        keyword = "async def" if random.random() < 0.85 else "def"
        body = [
            *docstring(random, f"a {noun}"),
            f"if identifier <= 0 or limit > {random.randint(50, 500)}:",
            f'    raise HTTPException(422, "not a {noun}")',
        ]
        if keyword == "async def":
            body += [
                "try:",
                f'    row = await service.{random.choice(VERBS)}(identifier, {{"limit": limit}})',
                "except LookupError as error:",
                "    raise HTTPException(404, str(error)) from error",
                f'background.add_task(jobs.refresh, identifier, "{random.choice(STATES)}")',
            ]
        else:
            body += [f'row = {{"id": identifier, "{random.choice(FIELDS)}": limit}}']
        body += ["return row"]
        lines += _function(
            f"{keyword} {verb}_{noun}(identifier: int, service: Service, background: BackgroundTasks, "
            "limit: int = Query(20)) -> Any:",
            body,
            f'@router.{method}("/{{identifier}}/{verb}")',
        )
    lines += _function(
        "async def touch(identifier: int) -> dict[str, int]:",
        ['return {"seen": await state.remember(str(identifier))}'],
        '@router.post("/{identifier}/touch")',
    )
    return lines


def _client(noun: str, random: Random) -> list[str]:
    model = noun.capitalize()
    lines = _header(
        f"The remote side of {noun}s.",
        "from typing import Any",
        "",
        "import httpx",
        "",
        f'BASE_URL = "https://{noun}s.example.internal"',
        f"TIMEOUT = {random.randint(2, 30)}.0",
    )
    lines += ["", "", f"class {model}Client:", f'    """Speaks with the {noun} provider."""']
    lines += _method("def __init__(self, base_url: str = BASE_URL) -> None:", ["self.base_url = base_url"])
    lines += _method(
        "async def send(self, topic: str, payload: dict[str, Any]) -> dict[str, Any]:",
        [
            "async with httpx.AsyncClient(base_url=self.base_url, timeout=TIMEOUT) as client:",
            '    response = await client.post(f"/{topic}", json=payload)',
            "    response.raise_for_status()",
            "    return dict(response.json())",
        ],
    )
    for verb in random.sample(VERBS, random.randint(2, 4)):
        lines += _method(
            f"async def {verb}(self, identifier: int) -> dict[str, Any]:",
            [
                f'answer = await self.send("{verb}", {{"id": identifier}})',
                f'if answer.get("{random.choice(FIELDS)}") == "{random.choice(STATES)}":',
                '    logger.warning("the provider refused %s", identifier)',
                "    return {}",
                "return answer",
            ],
        )
    return lines


def _jobs(service: str, noun: str, random: Random) -> list[str]:
    lines = _header(
        f"What happens to {noun}s in the background.",
        "import asyncio",
        "from typing import Any",
        "",
        f"from {service}.{noun}s.client import {noun.capitalize()}Client",
    )
    lines += _function(
        "async def refresh(identifier: int, state: str) -> None:",
        [
            f"client = {noun.capitalize()}Client()",
            "for attempt in range(3):",
            "    try:",
            '        await client.send("refresh", {"id": identifier, "state": state})',
            "        return",
            "    except ConnectionError:",
            "        await asyncio.sleep(2**attempt)",
        ],
    )
    for verb in random.sample(VERBS, random.randint(2, 4)):
        lines += _function(
            f"def {verb}_batch(batch: list[dict[str, Any]]) -> dict[str, Any]:", sync_body(random, "batch")
        )
    return lines


def _state(noun: str, random: Random) -> list[str]:
    """State in memory: most domains have none that is shared, some guard it, and one in twelve forgets to."""
    lines = _header(
        f"What the process remembers of {noun}s.",
        "import asyncio",
        "",
        f'LIMITS = {{"{noun}": {random.randint(5, 99)}}}',
    )
    kind = random.randrange(12)
    if kind == 0:
        body = ["count = _seen.get(key, 0)", "await asyncio.sleep(0)", "_seen[key] = count + 1", "return _seen[key]"]
        return [*lines, "_seen: dict[str, int] = {}", *_function("async def remember(key: str) -> int:", body)]
    if kind <= 2:
        body = [
            "async with _lock:",
            "    count = _seen.get(key, 0)",
            "    await asyncio.sleep(0)",
            "    _seen[key] = count + 1",
            "    return _seen[key]",
        ]
        return [
            *lines,
            "_seen: dict[str, int] = {}",
            "_lock = asyncio.Lock()",
            *_function("async def remember(key: str) -> int:", body),
        ]
    return [
        *lines,
        *_function(
            "async def remember(key: str) -> int:",
            ["await asyncio.sleep(0)", f'return min(len(key), LIMITS["{noun}"])'],
        ),
    ]


def _utilities(random: Random) -> list[str]:
    lines = _header(
        "Small things that everybody needs.", "import re", "from typing import Any", "", '_SPACE = re.compile(r"\\s+")'
    )
    lines += _function(
        "def clean(row: dict[str, Any]) -> dict[str, Any]:",
        ['return {key: _SPACE.sub(" ", value) if isinstance(value, str) else value for key, value in row.items()}'],
    )
    for verb in random.sample(VERBS, random.randint(6, 10)):
        lines += _function(f"def {verb}(items: list[dict[str, Any]]) -> dict[str, Any]:", sync_body(random, "items"))
    return lines


def _tests(service: str, noun: str, random: Random) -> list[str]:
    model = noun.capitalize()
    lines = _header(
        f"Tests of {noun}s.",
        "from typing import Any",
        "",
        "import pytest",
        "",
        f"from {service}.{noun}s import jobs, service",
    )
    lines += _function(
        "def rows(count: int) -> list[dict[str, Any]]:",
        [f'return [{{"id": n, "{random.choice(FIELDS)}": n * 2}} for n in range(count)]'],
    )
    for number in range(random.randint(12, 20)):
        verb, field = random.choice(VERBS), random.choice(FIELDS)
        body = [
            *docstring(random, f"what {noun}s do"),
            f"given = rows({random.randint(0, 30)})",
            "expected = {",
            f'    "{field}": {random.randint(0, 9)},',
            f'    "{random.choice(FIELDS)}": None,',
            "}",
            'monkeypatch.setattr(jobs, "logger", service.logger)',
            f"result = {{**expected, **service.clean_{noun}(given[0] if given else {{}})}}",
            f'assert result["{field}"] == expected["{field}"]',
            f'assert len(given) >= 0, f"{model} {{given!r}}"',
        ]
        lines += _function(f"def test_{verb}_{field}_{number}(monkeypatch: pytest.MonkeyPatch) -> None:", body)
    return lines
