"""Many ways to write one race in memory: a supply is looked at, something is awaited, and the supply is used up.

An application is put together of a state, a test, a wait, an act and a shape. `SUPPLY` stands for the state.
"""

from __future__ import annotations

import ast
import random
import textwrap
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = """
import asyncio
from collections import Counter, defaultdict
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial, wraps
from typing import Annotated
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, Request, WebSocket
from pydantic import BaseModel

app = FastAPI()
guard = asyncio.Lock()

async def weigh(n=1):
    await asyncio.sleep(0.01)
    return n

async def parts(n):
    for part in range(n):
        yield await weigh(part)

def enough(supply, name, n):
    return supply[name] >= n

def ensure(fine):
    if not fine:
        raise HTTPException(409)

def take(supply, name, n):
    supply[name] -= n

async def take_later(supply, name, n):
    supply[name] = supply[name] - n
"""


@dataclass(frozen=True)
class State:
    """Where the supply is kept: the code of the module, the handler's parameter, its first line, and the expression."""

    module: str
    parameter: str = ""
    first: str = ""
    supply: str = "grain"


STATES = {
    "a module's name": State("grain = {'rye': 5}"),
    "an annotated name": State("grain: dict[str, int] = {'rye': 5}"),
    "a defaultdict": State("grain = defaultdict(int, rye=5)"),
    "a counter": State("grain = Counter(rye=5)"),
    "a part of a dict": State("mill = {'grain': {'rye': 5}}", supply="mill['grain']"),
    "a local name for it": State("mill = {'grain': {'rye': 5}}", first="grain = mill['grain']"),
    "an object": State(
        """
class Mill:
    def __init__(self):
        self.grain = {'rye': 5}

mill = Mill()
""",
        supply="mill.grain",
    ),
    "an object of a class": State(
        """
class Mill:
    def __init__(self):
        self.grain = {'rye': 5}

class Town:
    mill = Mill()
""",
        supply="Town.mill.grain",
    ),
    "a class": State(
        """
class Mill:
    grain = {'rye': 5}
""",
        supply="Mill.grain",
    ),
    "a dataclass": State(
        """
@dataclass
class Mill:
    grain: dict = field(default_factory=lambda: {'rye': 5})

mill = Mill()
""",
        supply="mill.grain",
    ),
    "a model": State(
        """
class Mill(BaseModel):
    grain: dict[str, int] = {'rye': 5}

mill = Mill()
""",
        supply="mill.grain",
    ),
    "a property": State(
        """
class Mill:
    def __init__(self):
        self.grain = {'rye': 5}

    @property
    def held(self):
        return self.grain

mill = Mill()
""",
        supply="mill.held",
    ),
    "one object of its class": State(
        """
class Mill:
    _only = None

    def __new__(cls):
        if cls._only is None:
            cls._only = super().__new__(cls)
            cls._only.grain = {'rye': 5}
        return cls._only
""",
        first="mill = Mill()",
        supply="mill.grain",
    ),
    "the application": State("app.state.grain = {'rye': 5}", supply="app.state.grain"),
    "the request's application": State(
        "app.state.grain = {'rye': 5}", parameter="request: Request", supply="request.app.state.grain"
    ),
    "the lifespan's application": State(
        """
@asynccontextmanager
async def lifespan(app):
    app.state.grain = {'rye': 5}
    yield

app = FastAPI(lifespan=lifespan)
""",
        parameter="request: Request",
        supply="request.app.state.grain",
    ),
    "what the lifespan yields": State(
        """
@asynccontextmanager
async def lifespan(app):
    yield {'grain': {'rye': 5}}

app = FastAPI(lifespan=lifespan)
""",
        parameter="request: Request",
        supply="request.state.grain",
    ),
    "a provider": State(
        """
_grain = {'rye': 5}

def held():
    return _grain
""",
        parameter="grain=Depends(held)",
    ),
    "a cached provider": State(
        """
@lru_cache
def held():
    return {'rye': 5}
""",
        parameter="grain: dict = Depends(held)",
    ),
    "a lazy provider": State(
        """
class Mill:
    def __init__(self):
        self.grain = {'rye': 5}

_mill = None

def held():
    global _mill
    if _mill is None:
        _mill = Mill()
    return _mill
""",
        parameter="mill=Depends(held)",
        supply="mill.grain",
    ),
    "a provider that is an object": State(
        """
class Mill:
    def __init__(self):
        self.grain = {'rye': 5}

    def __call__(self):
        return self.grain

held = Mill()
""",
        parameter="grain=Depends(held)",
    ),
}

TESTS = {
    "compared": """
if SUPPLY[name] < n:
    raise HTTPException(409)
>>
""",
    "asked by get": """
if SUPPLY.get(name, 0) < n:
    raise HTTPException(409)
>>
""",
    "with a name": """
left = SUPPLY[name]
if left < n:
    raise HTTPException(409)
>>
""",
    "work inside": """
if SUPPLY[name] >= n:
    >>
else:
    raise HTTPException(409)
""",
    "an answer": """
if not SUPPLY[name] >= n:
    return {'fine': False}
>>
""",
    "a walrus": """
if (left := SUPPLY.get(name, 0)) < n:
    raise HTTPException(409)
>>
""",
    "there and enough": """
if name in SUPPLY and SUPPLY[name] >= n:
    >>
""",
    "a helper": """
if not enough(SUPPLY, name, n):
    raise HTTPException(409)
>>
""",
    "a helper that raises": """
ensure(SUPPLY[name] >= n)
>>
""",
    "tried": """
try:
    left = SUPPLY[name]
except KeyError:
    raise HTTPException(404)
if left < n:
    return None
>>
""",
    "a match": """
match SUPPLY[name] >= n:
    case False:
        raise HTTPException(409)
>>
""",
    "any of all": """
if any(v >= n for v in SUPPLY.values()):
    >>
""",
    "clamped": """
n = min(n, SUPPLY[name])
if not n:
    raise HTTPException(409)
>>
""",
    "true or false": """
fine = True if SUPPLY[name] >= n else False
if not fine:
    raise HTTPException(409)
>>
""",
    "a choice of names": """
fit = [k for k in SUPPLY if SUPPLY[k] >= n]
if name not in fit:
    raise HTTPException(409)
>>
""",
    "a choice of items": """
name = next((k for k, v in SUPPLY.items() if v >= n), None)
if name is None:
    return None
>>
""",
}

WAITS = {
    "a call": "await weigh(n)",
    "a sleep": "await asyncio.sleep(0.01)",
    "a loop": "async for part in parts(n):\n    pass",
    "a block": "async with asyncio.timeout(1):\n    await weigh(n)",
    "a try": "try:\n    await weigh(n)\nexcept ValueError:\n    raise HTTPException(402)",
    "several": "await asyncio.gather(weigh(n), weigh(n))",
    "a thread": "await asyncio.to_thread(print, n)",
    "with a limit": "await asyncio.wait_for(weigh(n), 3)",
    "a task": "task = asyncio.create_task(weigh(n))\nawait task",
    "a few tries": "for attempt in range(3):\n    if await weigh(n):\n        break",
    "at times": "if n > 1:\n    await weigh(n)",
}

ACTS = {
    "less": "SUPPLY[name] -= n",
    "assigned": "SUPPLY[name] = SUPPLY[name] - n",
    "updated": "SUPPLY.update({name: SUPPLY[name] - n})",
    "merged": "SUPPLY |= {name: SUPPLY[name] - n}",
    "by a helper": "take(SUPPLY, name, n)",
    "by a partial helper": "partial(take, SUPPLY)(name, n)",
    "by a coroutine": "await take_later(SUPPLY, name, n)",
    "one by one": "for _ in range(n):\n    SUPPLY[name] -= 1",
    "with another": "SUPPLY[name], taken = SUPPLY[name] - n, n",
    "taken out": "SUPPLY.pop(name)",
    "deleted": "del SUPPLY[name]",
}

SHAPES = {
    "a handler": """
@app.post('/take/{name}')
async def handler(PARAMETERS):
    WORK
""",
    "a helper": """
async def work(NAMES):
    WORK

@app.post('/take/{name}')
async def handler(PARAMETERS):
    return await work(NAMES)
""",
    "a nested function": """
@app.post('/take/{name}')
async def handler(PARAMETERS):
    async def work(n):
        WORK
    return await work(n)
""",
    "a view": """
class View:
    def __init__(self):
        self.router = APIRouter()
        self.router.add_api_route('/take/{name}', self.work, methods=['POST'])

    async def work(self, PARAMETERS):
        WORK

app.include_router(View().router)
""",
    "a wrapped handler": """
def noted(function):
    @wraps(function)
    async def inner(*args, **kwargs):
        return await function(*args, **kwargs)
    return inner

@app.post('/take/{name}')
@noted
async def handler(PARAMETERS):
    WORK
""",
    "a background task": """
async def work(NAMES):
    WORK

@app.post('/take/{name}')
async def handler(tasks: BackgroundTasks, PARAMETERS):
    tasks.add_task(work, NAMES)
""",
    "a dependency": """
async def work(PARAMETERS):
    WORK

@app.post('/take/{name}')
async def handler(done=Depends(work)):
    return done
""",
    "a service": """
class Service:
    async def work(self, NAMES):
        WORK

service = Service()

@app.post('/take/{name}')
async def handler(PARAMETERS):
    return await service.work(NAMES)
""",
}


@dataclass(frozen=True)
class Forms:
    """One way to write it: the names of its parts."""

    state: str = "a module's name"
    test: str = "compared"
    wait: str = "a call"
    act: str = "less"
    shape: str = "a handler"

    def __str__(self) -> str:
        return ", ".join((self.state, self.test, self.wait, self.act, self.shape))


TABLES = {"state": STATES, "test": TESTS, "wait": WAITS, "act": ACTS, "shape": SHAPES}


def one_at_a_time() -> Iterator[Forms]:
    """The plainest way, and all that differ from it in one part."""
    plain = Forms()
    yield plain
    for part in fields(Forms):
        yield from (
            replace(plain, **{part.name: name}) for name in TABLES[part.name] if name != getattr(plain, part.name)
        )


def at_random(count: int, seed: int) -> Iterator[Forms]:
    """Ways with any parts."""
    draw = random.Random(seed)
    for _ in range(count):
        yield Forms(**{name: draw.choice(list(table)) for name, table in TABLES.items()})  # type: ignore[arg-type]


def application(forms: Forms, *, locked: bool = False) -> str:
    """The module; `locked` holds a lock from the test to the act."""
    state = STATES[forms.state]
    work = _put(TESTS[forms.test], ">>", f"{WAITS[forms.wait]}\n{ACTS[forms.act]}")
    if locked:
        work = "async with guard:\n" + textwrap.indent(work, "    ")
    work = "\n".join(filter(None, (state.first, work, "return {'fine': True}"))).replace("SUPPLY", state.supply)
    asked = state.parameter
    parameters = ["name: str", "n: int = 1"]
    parameters[len(parameters) if "=" in asked else 0 : 0] = [asked] if asked else []
    names = ["name", "n", *([asked.partition(":")[0].partition("=")[0]] if asked else [])]
    shape = SHAPES[forms.shape].replace("PARAMETERS", ", ".join(parameters)).replace("NAMES", ", ".join(names))
    source = f"{HEAD}\n{state.module}\n\n{_put(shape, 'WORK', work)}\n"
    ast.parse(source)
    return source


def _put(text: str, mark: str, code: str) -> str:
    """Put code where a line says so, indented like it."""
    lines: list[str] = []
    for line in text.split("\n"):
        lines.append(textwrap.indent(code, line[: -len(mark)]) if line.strip() == mark else line)
    return "\n".join(lines)
