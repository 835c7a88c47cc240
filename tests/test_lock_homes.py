"""Where a new lock lives when the state is reached through the methods of an object."""

from __future__ import annotations

import ast
import textwrap
from typing import TYPE_CHECKING

import autolock

if TYPE_CHECKING:
    from pathlib import Path

MAIN = """
    from fastapi import FastAPI
    from desk import Desk

    app = FastAPI()
    desk = Desk()

    @app.post("/take/{name}")
    async def take(name: str):
        return await desk.take(name)

    @app.post("/drop/{name}")
    async def drop(name: str):
        desk.drop(name)
"""


def fixed(folder: Path, **files: str) -> dict[str, str]:
    """The files after all fixes; a second run leaves them as they are."""
    for name, text in files.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(text), encoding="utf-8")
    autolock.fix([folder], apply=True, allow_dirty=True, cache=False)
    once = {name: (folder / f"{name}.py").read_text(encoding="utf-8") for name in files}
    autolock.fix([folder], apply=True, allow_dirty=True, cache=False)
    assert once == {name: (folder / f"{name}.py").read_text(encoding="utf-8") for name in files}
    for text in once.values():
        ast.parse(text)
    return once


def test_a_caller_takes_the_lock_of_the_object_whose_method_it_calls(tmp_path: Path) -> None:
    after = fixed(
        tmp_path,
        main=MAIN,
        desk="""
        import asyncio

        class Desk:
            def __init__(self):
                self._keys = {}

            async def take(self, name):
                if name in self._keys:
                    return None
                await asyncio.sleep(0.01)
                self._keys[name] = len(self._keys)
                return self._keys[name]

            def drop(self, name):
                self._keys.pop(name, None)
        """,
    )
    assert "self.keys_lock = asyncio.Lock()" in after["desk"]
    assert "async with self.keys_lock:" in after["desk"]
    assert "    async with desk.keys_lock:\n        desk.drop(name)" in after["main"]


def test_the_lock_of_a_dataclass_is_no_field_of_it(tmp_path: Path) -> None:
    after = fixed(
        tmp_path,
        main=MAIN,
        desk="""
        import asyncio
        from dataclasses import dataclass, field

        @dataclass
        class Desk:
            keys: dict = field(default_factory=dict)

            async def take(self, name):
                if name in self.keys:
                    return None
                await asyncio.sleep(0.01)
                self.keys[name] = 1

            async def drop(self, name):
                self.keys.pop(name, None)
        """,
    )
    scope: dict[str, object] = {}
    exec(after["desk"], scope)
    desk = scope["Desk"]
    assert callable(desk)
    assert "async with self._keys_lock:" in after["desk"]
    assert repr(desk()) == "Desk(keys={})"
    assert desk() == desk()


def test_an_attribute_of_the_class_body_has_its_lock_beside_it(tmp_path: Path) -> None:
    after = fixed(
        tmp_path,
        main=MAIN.replace("desk.drop", "await desk.drop"),
        desk="""
        import asyncio

        class Desk:
            text = ""

            async def take(self, name):
                text = self.text
                await asyncio.sleep(0.01)
                self.text = text + name

            async def drop(self, name):
                self.text = ""
        """,
    )
    assert '    text = ""\n    _text_lock = asyncio.Lock()\n' in after["desk"]
    assert after["desk"].count("async with self._text_lock:") == 2


def test_a_model_whose_body_makes_fields_gets_no_lock_in_it(tmp_path: Path) -> None:
    files = {
        "main": MAIN,
        "desk": """
        import asyncio
        from pydantic import BaseModel

        class Desk(BaseModel):
            total: int = 0

            async def take(self, name):
                total = self.total
                await asyncio.sleep(0.01)
                self.total = total + 1

            def drop(self, name):
                self.total = 0
        """,
    }
    assert "_lock" not in fixed(tmp_path, **files)["desk"]


STORE = """
    import json
    import time

    class Store:
        def __init__(self, path):
            self.path = path

        def load(self):
            with open(self.path) as file:
                return json.load(file)

        def save(self, table):
            time.sleep(0.01)
            with open(self.path, "w") as file:
                json.dump(table, file)
"""
SHOP = """
    import os
    from fastapi import Depends, FastAPI
    from store import Store

    app = FastAPI()
    shared = Store(os.path.join(os.environ["HOME"], "table"))

    def get_store():
        return {made}

    @app.put("/{{name}}")
    def put(name: str, store: Store = Depends(get_store)):
        table = store.load()
        table[name] = 1
        store.save(table)
"""


def test_a_file_whose_path_an_object_keeps_is_guarded_by_a_lock_of_the_object(tmp_path: Path) -> None:
    after = fixed(tmp_path, store=STORE, main=SHOP.format(made="shared"))
    assert "self.path_lock = threading.Lock()" in after["store"]
    assert "    with store.path_lock:\n        table = store.load()" in after["main"]


def test_an_object_made_for_each_request_has_no_lock_for_its_file(tmp_path: Path) -> None:
    after = fixed(tmp_path, store=STORE, main=SHOP.format(made='Store(os.path.join(os.environ["HOME"], "table"))'))
    assert "Lock" not in after["store"] + after["main"]


TOKENS = """
    import time
    from fastapi import FastAPI

    class Door(FastAPI):
        def __init__(self):
            super().__init__()
            self.tokens = {}

    def create(door=None):
        if door is None:
            door = Door()
            CREATED
        else:
            door.title = "mounted"

        @door.post("/{name}")
        def enter(name: str):
            if name in door.tokens:
                return "there"
            time.sleep(0.1)
            door.tokens[name] = time.time()
            return "new"

        return door

    app = create()
"""


def test_a_lock_of_a_factory_is_there_whichever_branch_was_taken(tmp_path: Path) -> None:
    text = fixed(tmp_path, main=TOKENS.replace("CREATED", "door.debug = True"))["main"]
    locks = [line for line in text.splitlines() if "threading.Lock()" in line]
    assert [line for line in locks if not line.startswith("        ")] == locks


def test_no_lock_where_a_branch_leaves_the_factory(tmp_path: Path) -> None:
    leaving = TOKENS.replace("CREATED", "if not __debug__:\n                return door")
    (tmp_path / "main.py").write_text(textwrap.dedent(leaving), encoding="utf-8")
    assert all(
        f.fix.safety == "none" for f in autolock.check([tmp_path], cache=False).findings if f.certainty == "race"
    )


BRANCHED = """
    import asyncio
    import os
    from contextlib import asynccontextmanager
    from fastapi import FastAPI

    @asynccontextmanager
    async def lifespan(app: FastAPI):
        if os.environ.get("FULL"):
            app.state.seats = {"a": 3}
        else:
            app.state.seats = {"a": 1}
        yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/")
    async def book():
        left = app.state.seats["a"]
        await asyncio.sleep(0.1)
        app.state.seats["a"] = left - 1
"""


def test_no_lock_beside_what_is_set_in_one_branch_or_the_other(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(textwrap.dedent(BRANCHED), encoding="utf-8")
    (finding,) = autolock.check([tmp_path], cache=False).findings
    assert finding.fix.safety == "none"
    assert "in one branch or the other" in finding.fix.reason


METACLASS = """
    import time
    from fastapi import FastAPI

    app = FastAPI()

    class Keeping(type):
        _instances = {}

        def __call__(cls):
            if cls not in cls._instances:
                cls._instances[cls] = super().__call__()
            return cls._instances[cls]

    class Router(metaclass=Keeping):
        def __init__(self):
            time.sleep(0.1)
            self.routes = []

    @app.get("/")
    def routes():
        return Router().routes

    @app.post("/forget")
    def forget():
        time.sleep(0.1)
        Keeping._instances.pop(Router)
        return {}
"""


def test_an_attribute_of_a_metaclass_is_one_state_by_whichever_name(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(textwrap.dedent(METACLASS), encoding="utf-8")
    checked = autolock.check([tmp_path], cache=False)
    assert {f.window.location for f in checked.findings} == {"Keeping._instances"}


ALIAS = """
    import asyncio
    from fastapi import FastAPI
    from plugins import lookup

    app = FastAPI()

    class Shelf:
        def __init__(self):
            self.left = 5

    shelf = Shelf()

    @app.post("/buy")
    async def buy():
        if shelf.left > 0:
            await asyncio.sleep(0.1)
            shelf.left -= 1

    @app.post("/back")
    async def back(name: str):
        thing = FOUND
        thing.left = 9
"""


def test_a_fix_is_unsafe_where_a_writer_may_hide_behind_another_name(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(textwrap.dedent(ALIAS.replace("FOUND", "lookup(name)")), encoding="utf-8")
    (finding,) = autolock.check([tmp_path], cache=False).findings
    assert finding.fix.safety == "unsafe"
    assert "`back` changes something of the same name" in finding.fix.reason


def test_a_fix_is_safe_where_the_other_is_known_to_be_another(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(textwrap.dedent(ALIAS.replace("FOUND", "Shelf()")), encoding="utf-8")
    (finding,) = autolock.check([tmp_path], cache=False).findings
    assert finding.fix.safety == "safe"


LOCKER = """
    import asyncio
    from fastapi import FastAPI

    app = FastAPI()

    class Locker:
        def __init__(self):
            self.lock = asyncio.Lock()
            self.boxes = {}

        async def free(self, box):
            async with self.lock:
                await asyncio.sleep(0.01)
                self.boxes.pop(box, None)

        async def take(self, box, parcel):
            if box in self.boxes:
                return "taken"
            await asyncio.sleep(0.01)
            self.boxes[box] = parcel

    locker = Locker()

    @app.post("/{box}")
    async def take(box: str, parcel: str):
        return await locker.take(box, parcel)

    @app.delete("/{box}")
    async def free(box: str):
        await locker.free(box)
"""


def test_the_lock_of_a_state_is_its_lock_for_those_too_whom_nobody_upsets(tmp_path: Path) -> None:
    text = fixed(tmp_path, main=LOCKER)["main"]
    assert text.count("asyncio.Lock()") == 1
    assert text.count("async with self.lock:") == 2


MANAGER = """
    import asyncio
    from fastapi import FastAPI

    app = FastAPI()

    class Session:
        def __init__(self):
            self.seen = 0

        def touch(self):
            self.seen += 1

    class Manager:
        def __init__(self):
            self._sessions = {}

        def find(self, key):
            return self._sessions.setdefault(key, Session())

        async def use(self, key):
            session = self._sessions[key]
            seen = session.seen
            await asyncio.sleep(0.01)
            session.seen = seen + 1

    manager = Manager()

    @app.post("/{key}")
    async def use(key: str):
        await manager.use(key)

    @app.put("/{key}")
    async def touch(key: str):
        session = manager.find(key)
        session.touch()
"""


def test_an_object_that_another_keeps_is_not_asked_for_the_lock_of_its_keeper(tmp_path: Path) -> None:
    text = fixed(tmp_path, main=MANAGER)["main"]
    assert "async with manager_lock:\n        session = manager.find(key)\n        session.touch()" in text
    assert "session.sessions_lock" not in text


def test_a_lock_that_no_object_of_the_class_has_guards_nothing(tmp_path: Path) -> None:
    named = MANAGER.replace("session.touch()", "async with session.lock:\n            session.touch()").replace(
        "self._sessions = {}", "self._sessions = {}\n            self.lock = asyncio.Lock()"
    )
    text = fixed(tmp_path, main=named.replace("seen = session.seen", "seen = session.seen  # read"))["main"]
    assert "manager_lock = asyncio.Lock()" in text


LIFESPAN = """
    from contextlib import asynccontextmanager
    from fastapi import FastAPI
    from pool import Pool
    import borrowing, returning

    @asynccontextmanager
    async def lifespan(app):
        app.state.pool = Pool()
        yield

    app = FastAPI(lifespan=lifespan)
    app.include_router(borrowing.router)
    app.include_router(returning.router)
"""
POOL = """
    import asyncio

    class Pool:
        free = 3

    async def sign():
        await asyncio.sleep(0.1)
"""
PROVIDER = """
    from typing import Annotated
    from fastapi import Depends, Request
    from pool import Pool

    def get_pool(request: Request) -> Pool:
        return request.app.state.pool

    ThePool = Annotated[Pool, Depends(get_pool)]
"""
BORROWING = """
    from fastapi import APIRouter, HTTPException
    from deps import ThePool
    from pool import sign

    router = APIRouter()

    @router.post("/borrow")
    async def borrow(pool: ThePool):
        if pool.free == 0:
            raise HTTPException(409)
        await sign()
        pool.free -= 1
"""
RETURNING = """
    from fastapi import APIRouter
    from deps import ThePool
    from pool import sign

    router = APIRouter()

    @router.post("/return")
    async def give_back(pool: ThePool):
        free = pool.free
        await sign()
        pool.free = free + 1
"""


def test_who_is_given_an_object_of_app_state_gets_its_lock_from_where_it_is_provided(tmp_path: Path) -> None:
    after = fixed(tmp_path, main=LIFESPAN, pool=POOL, deps=PROVIDER, borrowing=BORROWING, returning=RETURNING)
    assert "\npool_lock = asyncio.Lock()" in after["deps"]
    for name in ("borrowing", "returning"):
        assert "from deps import ThePool, pool_lock" in after[name]
        assert after[name].index("async with pool_lock") < after[name].index("await sign()")


def test_functions_of_one_file_that_are_given_an_object_of_app_state_share_a_lock_there(tmp_path: Path) -> None:
    idle = "from fastapi import APIRouter\n\nrouter = APIRouter()\n"
    after = fixed(tmp_path, main=LIFESPAN, pool=POOL, deps=PROVIDER, borrowing=BORROWING, returning=idle)
    assert "\npool_lock = asyncio.Lock()" in after["borrowing"]
    assert after["borrowing"].index("async with pool_lock") < after["borrowing"].index("if pool.free")


PORTS = """
    class Stock:
        def __init__(self):
            self._left = {"nut": 9}

        async def get(self, name):
            return self._left[name]

        async def put(self, name, left):
            self._left[name] = left
"""
TAKING = """
    import asyncio
    from ports import Stock

    class Clerk:
        def __init__(self, stock: Stock):
            self.stock = stock

        async def take(self, name):
            left = await self.stock.get(name)
            await asyncio.sleep(0.01)
            await self.stock.put(name, left - 1)
            return left - 1
"""
WIRING = """
    from fastapi import FastAPI
    from clerk import Clerk
    from ports import Stock

    app = FastAPI()
    stock = Stock()
    clerk = Clerk(stock)

    @app.post("/take/{name}")
    async def take(name: str):
        return await clerk.take(name)
"""


def test_a_lock_stands_where_it_is_taken_if_the_file_of_the_state_imports_that_one(tmp_path: Path) -> None:
    after = fixed(tmp_path, main=WIRING, clerk=TAKING, ports=PORTS)
    assert "stock_lock = asyncio.Lock()" in after["clerk"]
    assert "async with stock_lock:" in after["clerk"]
    assert "lock" not in after["main"]


def test_two_files_that_the_file_of_the_state_imports_have_no_lock_in_common(tmp_path: Path) -> None:
    wiring = WIRING.replace("from clerk import Clerk", "from clerk import Clerk\n    from other import Other")
    wiring += """
    other = Other(stock)

    @app.post("/other/{name}")
    async def other_take(name: str):
        return await other.take(name)
"""
    after = fixed(tmp_path, main=wiring, clerk=TAKING, other=TAKING.replace("Clerk", "Other"), ports=PORTS)
    assert not any("lock" in text for text in after.values())
