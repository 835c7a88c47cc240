"""A grammar of small FastAPI programs with shared state, locks and suspension points, for property tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

HEADER = '''\
"""A generated application."""

import asyncio
import threading

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request

app = FastAPI()
router = APIRouter(prefix="/generated")
'''

STATE = (
    'counter = {"n": 0}',
    "stock: dict[str, int] = {}",
    "total = 0",
    "items: list[int] = []",
    "seen = set()",
    "cached = None",
    "app.state.hits = 0",
)

STORE = '''\
class Store:
    """Shared by every request."""

    names: dict[str, int] = {}

    def __init__(self) -> None:
        self.left = 3
        self.lock = asyncio.Lock()

    async def take(self, key: str) -> int:
        left = self.left
        if left > 0:
            await asyncio.sleep(0)
            self.left = left - 1
        return left


store = Store()


def provide_store() -> Store:
    return store
'''

LOCKS = "lock = asyncio.Lock()\nthread_lock = threading.Lock()\n"

READS = (
    'v = counter["n"]',
    "v = stock.get(key, 0)",
    "v = stock[key]",
    "v = total",
    "v = store.left",
    "v = len(items)",
    "v = app.state.hits",
    "v = Store.names.get(key)",
    "v, w = total, len(seen)",
    "v = [item for item in items if item]",
    "v = cached",
)

WRITES = (
    'counter["n"] = v + 1',
    'counter["n"] += 1',
    "stock[key] = v",
    "stock[key] -= 1",
    "total = v + 1",
    "total += 1",
    "total += 1; v = total",
    "store.left = v",
    "store.left -= 1",
    "items.append(v)",
    "items[0] = v",
    "seen.add(key)",
    "del stock[key]",
    "stock.pop(key, None)",
    "app.state.hits += 1",
    "Store.names[key] = v",
    "cached = object()",
    "seen |= {key}",
)

TESTS = (
    "key in stock",
    "key not in seen",
    'counter["n"] > 3',
    "total < 3 and store.left",
    "not items",
    "cached is None",
    "(v := stock.get(key)) is None",
    "v",
)

ANYWHERE = (
    "pass",
    "v = key.upper()",
    "v = (lambda x: stock.get(x))(key)",
    "print(v)  # café",
    'raise HTTPException(409, "taken")',
    "return v",
    '"""A string\nover two lines."""',
)

AWAITS = (
    "await asyncio.sleep(0)",
    "v = await fetch(key)",
    "v = await store.take(key)",
    'counter["n"] += await fetch(key)',
    "await asyncio.gather(fetch(key), fetch(key))",
    "asyncio.create_task(fetch(key))",
    "v = await asyncio.to_thread(compute, key)",
)

HELPERS = """\
async def fetch(key: str) -> int:
    await asyncio.sleep(0)
    return len(key)


def compute(key: str) -> int:
    return len(key)
"""

_REBOUND = ("total", "cached", "seen")


@st.composite
def programs(draw: DrawFn) -> bytes:
    """The bytes of one program; they always parse."""
    parts = [HEADER, LOCKS, "\n".join(STATE) + "\n", STORE, HELPERS]
    parts += [draw(_functions(number)) for number in range(draw(st.integers(1, 3)))]
    parts.append("app.include_router(router)\n")
    text = "\n\n".join(parts)
    if draw(st.booleans()):
        text = text.replace("    ", "\t")
    if draw(st.booleans()):
        text = text.replace("\n", "\r\n")
    if draw(st.booleans()):
        text = text.rstrip()
    return text.encode()


@st.composite
def _functions(draw: DrawFn, number: int) -> str:
    is_async = draw(st.booleans())
    owner = draw(st.sampled_from(("app", "router")))
    verb = draw(st.sampled_from(("get", "post", "delete")))
    extra = draw(st.sampled_from(("", ", store: Store = Depends(provide_store)", ", request: Request = None")))
    body = draw(_blocks(is_async, 3))
    text = "\n".join(body)
    rebound = [name for name in _REBOUND if _is_bound(name, text)]
    first = [f"global {', '.join(rebound)}"] if rebound else []
    lines = [*first, "v = None", *body, "return v"]
    keyword = "async def" if is_async else "def"
    head = f'@{owner}.{verb}("/f{number}/{{key}}")\n{keyword} f{number}(key: str{extra}):'
    return f"{head}\n{_indented(lines)}\n"


@st.composite
def _blocks(draw: DrawFn, is_async: bool, depth: int) -> list[str]:
    """A few statements, one a string; compound ones hold the lines of their blocks."""
    return [draw(_statements(is_async, depth)) for _ in range(draw(st.integers(1, 4)))]


@st.composite
def _statements(draw: DrawFn, is_async: bool, depth: int) -> str:
    simple = [st.sampled_from(READS), st.sampled_from(WRITES), st.sampled_from(ANYWHERE)]
    if is_async:
        simple.append(st.sampled_from(AWAITS))
    if depth == 0 or draw(st.integers(0, 2)):
        return draw(st.one_of(simple))
    body = _indented(draw(_blocks(is_async, depth - 1)))
    other = _indented(draw(_blocks(is_async, depth - 1)))
    test = draw(st.sampled_from(TESTS))
    compound = [
        f"if {test}:\n{body}",
        f"if {test}:\n{body}\nelse:\n{other}",
        f"if {test}:\n{body}\nelif v:\n{other}",
        f"while {test}:\n{body}\n    break",
        f"for item in items:\n{body}",
        f"for name, left in stock.items():\n{body}\nelse:\n{other}",
        f"try:\n{body}\nexcept KeyError as error:\n{other}",
        f"try:\n{body}\nfinally:\n    v = 0",
        f"with thread_lock:\n{body}",
        f"thread_lock.acquire()\nif v:\n{body}\nthread_lock.release()",
        f"match v:\n    case 0:\n{_indented(body.splitlines())}\n    case _:\n        pass",
    ]
    if is_async:
        compound += [
            f"async with lock:\n{body}",
            f"async with store.lock:\n{body}",
            f"async with asyncio.Lock():\n{body}",
            f"await lock.acquire()\ntry:\n{body}\nfinally:\n    lock.release()",
            f"own = asyncio.Lock()\nasync with own:\n{body}",
        ]
    return draw(st.sampled_from(compound))


def _is_bound(name: str, text: str) -> bool:
    return any(f"{name}{operator}" in text for operator in (" = ", " += ", " |= "))


def _indented(lines: list[str]) -> str:
    return "\n".join("    " + inner for line in lines for inner in line.split("\n"))
