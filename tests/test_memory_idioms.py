"""Ways in which services write down shared state and locks: what is seen in them, and what a fix makes of them."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import asyncio, json, threading, time
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from fastapi import FastAPI, HTTPException
from fastapi.concurrency import run_in_threadpool

app = FastAPI()

async def ask(*about):
    await asyncio.sleep(0)
"""


def written(folder: Path, text: str) -> Path:
    main = folder / "main.py"
    main.write_text(textwrap.dedent(HEAD) + textwrap.dedent(text), encoding="utf-8")
    return main


def found(folder: Path, text: str) -> list[tuple[str, str]]:
    """Rule and function of every finding."""
    written(folder, text)
    return sorted({(f.rule, f.place.function) for f in autolock.check([folder], cache=False).findings})


def fixed(folder: Path, text: str) -> str:
    """The program after all its fixes, in which nothing is found any more."""
    main = written(folder, text)
    autolock.fix([folder], apply=True, allow_dirty=True, cache=False)
    assert not autolock.check([folder], cache=False).findings
    return main.read_text(encoding="utf-8")


def test_a_look_up_that_returns_decides_on_what_follows_its_except_clause(tmp_path: Path) -> None:
    program = """
    shelves = {}

    @app.get("/{name}")
    async def shelf(name: str):
        try:
            return shelves[name]
        except KeyError:
            pass
        shelves[name] = await ask(name)
        return shelves[name]
    """
    assert found(tmp_path, program) == [("AL104", "shelf")]
    other_error = program.replace("except KeyError", "except TimeoutError")
    assert found(tmp_path, other_error) == []


CLAIM = """
class Ticket:
    def __init__(self):
        self.state = "open"

class Desk:
    def __init__(self):
        self.tickets: dict[int, Ticket] = {}

    def add(self, number: int):
        self.tickets[number] = Ticket()

    async def take(self):
        ticket = next((t for t in self.tickets.values() if t.state == "open"), None)
        if ticket is None:
            return None
        await ask(ticket)
        ticket.state = "taken"
        return ticket

app.state.desk = Desk()

@app.post("/")
async def add(number: int):
    app.state.desk.add(number)

@app.post("/take")
async def take():
    return await app.state.desk.take()
"""


def test_what_is_chosen_by_its_state_and_marked_after_an_await_is_given_to_two(tmp_path: Path) -> None:
    assert found(tmp_path, CLAIM) == [("AL102", "Desk.take")]
    marked_first = CLAIM.replace('        ticket.state = "taken"\n', "").replace(
        "        await ask(ticket)\n", '        ticket.state = "taken"\n        await ask(ticket)\n'
    )
    assert all(f.certainty == "latent" for f in _findings(tmp_path, marked_first))


def _findings(folder: Path, text: str) -> tuple[autolock.Finding, ...]:
    written(folder, text)
    return autolock.check([folder], cache=False).findings


def test_the_lock_of_an_object_on_app_state_is_made_by_the_object(tmp_path: Path) -> None:
    after = fixed(tmp_path, CLAIM.replace("self.tickets[number] = Ticket()", 'self.tickets[number].state = "void"'))
    assert "self.tickets_lock = asyncio.Lock()" in after
    assert "async with self.tickets_lock:\n            ticket = next(" in after
    assert "async with app.state.desk.tickets_lock:\n        app.state.desk.add(number)" in after


def test_what_upsets_no_check_takes_no_lock(tmp_path: Path) -> None:
    after = fixed(tmp_path, CLAIM)
    assert "async with self._tickets_lock:\n            ticket = next(" in after
    assert "    def add(self, number: int):\n        self.tickets[number] = Ticket()\n" in after
    assert "async def add(number: int):\n    app.state.desk.add(number)\n" in after


REVISION = """
class Page:
    def __init__(self):
        self.text = ""
        self.revision = 0

page = Page()

@app.post("/")
async def edit(more: str):
    seen, text = page.revision, page.text
    await ask(text)
    if page.revision != seen:
        raise HTTPException(409)
    page.text = text + more
    page.revision = seen + 1
"""


def test_a_version_compared_after_the_last_await_says_that_nothing_has_changed(tmp_path: Path) -> None:
    assert found(tmp_path, REVISION) == []
    awaited_again = REVISION.replace("    page.text =", "    await ask()\n    page.text =")
    assert ("AL101", "edit") in found(tmp_path, awaited_again)


def test_a_version_that_another_writer_forgets_says_nothing(tmp_path: Path) -> None:
    careless = (
        REVISION
        + """
@app.delete("/")
async def blank():
    page.text = ""
"""
    )
    assert ("AL101", "edit") in found(tmp_path, careless)


STACK = """
left = {"a": 5, "b": 5}
locks = {}

@app.post("/")
async def move(source: str, target: str):
    async with AsyncExitStack() as stack:
        for name in sorted((source, target)):
            await stack.enter_async_context(locks.setdefault(name, asyncio.Lock()))
        rest = left[source]
        await ask(rest)
        left[source] = rest - 1
"""


def test_locks_entered_into_an_exit_stack_are_held_until_its_block_ends(tmp_path: Path) -> None:
    assert found(tmp_path, STACK) == []
    after_the_block = STACK.replace("        rest = left", "    if True:\n        rest = left")
    assert found(tmp_path, after_the_block) == [("AL101", "move")]


def test_a_thread_lock_acquired_by_hand_in_a_coroutine_is_awaited(tmp_path: Path) -> None:
    after = fixed(
        tmp_path,
        """
        class Till:
            def __init__(self):
                self.cents = 0
                self._mutex = threading.Lock()

            async def put(self, cents: int):
                self._mutex.acquire()
                try:
                    before = self.cents
                    await ask(before)
                    self.cents = before + cents
                finally:
                    self._mutex.release()

        till = Till()

        @app.post("/")
        async def put(cents: int):
            await till.put(cents)
        """,
    )
    assert "self._mutex = asyncio.Lock()" in after
    assert "        await self._mutex.acquire()\n        try:" in after


def test_an_object_shared_before_it_is_ready_is_not_looked_at_without_the_lock(tmp_path: Path) -> None:
    after = fixed(
        tmp_path,
        """
        class Client:
            def __init__(self):
                self.session = None

            async def connect(self):
                self.session = await ask()

        client = None

        @app.get("/")
        async def read():
            global client
            if client is None:
                client = Client()
                await client.connect()
            return client.session
        """,
    )
    assert after.count("if client is None") == 1


def test_a_lock_that_a_refusal_may_not_get_is_still_to_be_released(tmp_path: Path) -> None:
    program = """
    free = {"n": 5}
    lock = threading.Lock()

    def open_gate(plate):
        if plate == "x":
            raise ValueError(plate)

    @app.post("/")
    def park(plate: str):
        if not lock.acquire(timeout=1):
            raise HTTPException(503)
        open_gate(plate)
        free["n"] = free["n"] - 1
        lock.release()
    """
    assert ("AL506", "park") in found(tmp_path, program)
    nothing_between = program.replace("        open_gate(plate)\n", "").replace('free["n"] = free["n"] - 1', "pass")
    assert found(tmp_path, nothing_between) == []


def test_a_file_changed_on_worker_threads_is_kept_by_the_coroutine_that_waits_for_them(tmp_path: Path) -> None:
    after = fixed(
        tmp_path,
        """
        FILE = Path("flags.json")

        def read():
            return json.loads(FILE.read_text())

        def write(flags):
            FILE.write_text(json.dumps(flags))

        @app.put("/{name}")
        async def put(name: str, on: bool):
            flags = await run_in_threadpool(read)
            flags[name] = on
            await run_in_threadpool(write, flags)
        """,
    )
    assert "FILE_LOCK = asyncio.Lock()" in after
    assert "    async with FILE_LOCK:\n        flags = await run_in_threadpool(read)" in after


FLUSH = """
events = []

async def store(batch):
    await ask(list(batch))

@app.post("/")
async def add(event: str):
    events.append(event)

@app.post("/flush")
async def flush():
    if events:
        await store(events)
        events.clear()
"""


def test_what_is_added_while_a_list_is_handed_on_is_lost_when_it_is_emptied(tmp_path: Path) -> None:
    (finding,) = _findings(tmp_path, FLUSH)
    assert (finding.rule, finding.place.function) == ("AL101", "flush")
    assert "hands on what is in `events`" in finding.message
    after = fixed(tmp_path, FLUSH)
    assert "async with events_lock:\n        events.append(event)" in after


def test_a_list_emptied_before_its_copy_is_handed_on_loses_nothing(tmp_path: Path) -> None:
    copied = FLUSH.replace("        await store(events)\n", "        batch = list(events)\n").replace(
        "        events.clear()\n", "        events.clear()\n        await store(batch)\n"
    )
    assert found(tmp_path, copied) == []
    only_asked = FLUSH.replace("store(events)", "ask()")
    assert ("AL101", "flush") not in found(tmp_path, only_asked)


def test_what_a_dependency_keeps_on_a_shared_object_is_reported_where_it_is_kept(tmp_path: Path) -> None:
    program = """
    from fastapi import Depends

    class Store:
        def __init__(self):
            self.user = None
            self.lines = []

        async def add(self, text: str):
            await ask(text)
            self.lines.append((self.user, text))

    store = Store()

    async def store_for(user: str):
        store.user = user
        yield store

    @app.post("/")
    async def add(text: str, mine: Store = Depends(store_for)):
        await mine.add(text)
    """
    assert found(tmp_path, program) == [("AL107", "store_for")]


CURRENT = """
class Round:
    def __init__(self, title: str):
        self.title = title

class Game:
    current = None

game = Game()

@app.post("/")
async def start(title: str):
    game.current = {made}
    await ask(title)
    return game.current
"""

LOOK = """
@app.get("/")
async def current():
    return game.current
"""


def test_what_one_request_makes_for_all_is_nobodys_own(tmp_path: Path) -> None:
    own, for_all = CURRENT.format(made="Round(title)"), CURRENT.format(made="Round(title)") + LOOK
    assert found(tmp_path, own) == [("AL107", "start")]
    assert found(tmp_path, for_all) == []


def test_what_a_client_has_sent_is_its_own_even_where_others_look(tmp_path: Path) -> None:
    assert found(tmp_path, CURRENT.format(made="title") + LOOK) == [("AL107", "start")]


KEYS = """
keys = {{}}

@app.get("/{{key}}")
async def workspace(key: str):
    known = keys.get(key)
    if known is None or {asked}:
        keys[key] = dict(owner=await ask(key), until=time.time() + 60)
    return keys[key]["owner"]
"""


@pytest.mark.parametrize("asked", ["known['until'] < time.time()", "known['made'] != SETTINGS.stat().st_mtime"])
def test_what_is_fetched_anew_because_it_is_old_is_only_work_done_twice(tmp_path: Path, asked: str) -> None:
    head = "SETTINGS = Path('settings')\n"
    (finding,) = _findings(tmp_path, head + KEYS.format(asked=asked))
    assert (finding.rule, finding.severity.value) == ("AL104", "low")


BID = """
bids = {}

@app.post("/{item}")
async def bid(item: str, amount: int):
    if item in bids and bids[item]["amount"] < amount:
        bids[item] = dict(owner=await ask(item), amount=amount)
    return bids
"""


def test_a_comparison_with_what_a_client_offers_is_no_question_of_age(tmp_path: Path) -> None:
    assert ("AL102", "high") in {(f.rule, f.severity.value) for f in _findings(tmp_path, BID)}


def test_what_is_taken_out_one_by_one_before_it_is_handed_on_may_be_emptied(tmp_path: Path) -> None:
    one_by_one = FLUSH.replace(
        "    if events:\n        await store(events)\n        events.clear()\n",
        "    while events:\n        if len(events) > 9:\n            events.clear()\n            return\n"
        "        first = min(events)\n        events.remove(first)\n        await store([first])\n",
    )
    assert ("AL101", "flush") not in found(tmp_path, one_by_one)


def test_a_part_of_what_was_fetched_that_fills_a_gap_is_a_cache(tmp_path: Path) -> None:
    program = """
    homes = {}

    @app.get("/{name}")
    async def home(name: str):
        home = homes.get(name)
        if home is None:
            answer = await ask(name)
            home = answer.json()["home"]
            homes[name] = home
        return home
    """
    assert found(tmp_path, program) == [("AL104", "home")]


STOCK_UNDER_A_LOCK = """
    stock = {"bolt": 9}
    stock_lock = asyncio.Lock()

    @app.post("/purchase")
    async def purchase(n: int):
        async with stock_lock:
            left = stock["bolt"]
            await ask(n)
            stock["bolt"] = left - n
"""


def test_a_change_that_forgot_the_lock_of_the_others_is_found_and_takes_it(tmp_path: Path) -> None:
    restock = """
    @app.post("/restock")
    async def restock(n: int):
        stock["bolt"] += n
    """
    assert found(tmp_path, STOCK_UNDER_A_LOCK + restock) == [("AL504", "restock")]
    assert "async with stock_lock:\n        stock['bolt'] += n" in fixed(
        tmp_path, STOCK_UNDER_A_LOCK + restock
    ).replace('"', "'")


def test_a_new_value_that_forgot_the_lock_is_overwritten(tmp_path: Path) -> None:
    text = """
    class Limits:
        def __init__(self):
            self.left = 5
            self._lock = threading.Lock()

    limits = Limits()

    @app.post("/use")
    def use(n: int):
        with limits._lock:
            left = limits.left
            time.sleep(0.01)
            limits.left = left - n

    @app.put("/limit")
    def set_limit(n: int):
        limits.left = n
    """
    assert found(tmp_path, text) == [("AL504", "set_limit")]


def test_a_change_that_nothing_can_interrupt_needs_no_lock_where_the_others_are_not_interrupted_either(
    tmp_path: Path,
) -> None:
    text = """
    stock = {"bolt": 9}
    stock_lock = asyncio.Lock()

    @app.post("/purchase")
    async def purchase(n: int):
        async with stock_lock:
            left = stock["bolt"]
            stock["bolt"] = left - n
            await ask(n)

    @app.post("/restock")
    async def restock(n: int):
        stock["bolt"] += n
    """
    assert not [rule for rule, _ in found(tmp_path, text) if rule == "AL504"]


def test_a_reset_to_nothing_may_come_at_any_time(tmp_path: Path) -> None:
    reset = """
    token = None
    token_lock = asyncio.Lock()

    @app.get("/token")
    async def get_token():
        global token
        async with token_lock:
            if token is None:
                token = await ask("token")
            return token

    @app.delete("/token")
    async def forget():
        global token
        token = None
    """
    assert found(tmp_path, reset) == []


DESKS = """
from dataclasses import dataclass, field

queue: list[str] = []

@dataclass
class Desk:
    clerk: str
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def enqueue(self, name: str):
        async with self.lock:
            if name not in queue:
                await ask(name)
                queue.append(name)

DESK = Desk("kim")

@app.post("/{name}")
async def stand_in_line(name: str):
    await WHICH.enqueue(name)
"""


def test_a_dataclass_that_is_made_for_each_request_has_a_lock_for_nobody(tmp_path: Path) -> None:
    assert found(tmp_path, DESKS.replace("WHICH", "Desk('lee')")) == [("AL501", "Desk.enqueue")]
    assert found(tmp_path, DESKS.replace("WHICH", "Desk('lee', DESK.lock)")) == []
    assert found(tmp_path, DESKS.replace("WHICH", "DESK")) == []


LATE_STATE = """
class Store:
    def __init__(self):
        self.items = []

    def add(self, item):
        self.items.append(item)

@app.post("/{item}")
async def add(item: str):
    if LOOK:
        await ask("where")
        app.state.store = Store()
    app.state.store.add(item)
"""


@pytest.mark.parametrize("look", ['not hasattr(app.state, "store")', 'getattr(app.state, "store", None) is None'])
def test_what_a_request_puts_on_app_state_has_a_lock_that_no_request_makes(tmp_path: Path, look: str) -> None:
    program = LATE_STATE.replace("LOOK", look)
    assert found(tmp_path, program) == [("AL103", "add")]
    after = fixed(tmp_path, program)
    assert "\napp = FastAPI()\nstore_lock = asyncio.Lock()\n" in after
    assert f"        async with store_lock:\n            if {look}:\n" in after


def test_a_class_that_is_asked_for_its_attribute_is_looked_at(tmp_path: Path) -> None:
    program = """
    class Pool:
        async def open(self):
            if not hasattr(Pool, "connections"):
                await ask("where")
                Pool.connections = Pool()

    @app.get("/")
    async def use():
        await Pool().open()
    """
    assert found(tmp_path, program) == [("AL103", "Pool.open")]


def test_the_lock_that_another_writer_holds_is_taken_though_that_one_upsets_nothing(tmp_path: Path) -> None:
    program = """
    class Rack:
        def __init__(self):
            self.coats = {}
            self.lock = asyncio.Lock()

        async def hang(self, hook, coat):
            async with self.lock:
                if hook in self.coats:
                    raise HTTPException(409)
                await ask(coat)
                self.coats[hook] = coat

        async def fetch(self, hook):
            if hook not in self.coats:
                raise HTTPException(404)
            await ask(hook)
            return self.coats.pop(hook)

    rack = Rack()

    @app.put("/{hook}")
    async def hang(hook: int, coat: str):
        await rack.hang(hook, coat)

    @app.delete("/{hook}")
    async def fetch(hook: int):
        return await rack.fetch(hook)
    """
    assert found(tmp_path, program) == [("AL102", "Rack.fetch")]
    assert fixed(tmp_path, program).count("Lock()") == 1


DOOR = """
    class Door:
        is_open = False

    door = Door()

    async def open_it():
        if door.is_open:
            return REFUSED
        await ask("motor")
        door.is_open = True
        return ANSWER

    @app.post("/open")
    async def open_door():
        return {"opened": await open_it()}
"""


def test_who_is_told_to_have_been_first_was_the_only_one(tmp_path: Path) -> None:
    assert found(tmp_path, DOOR.replace("REFUSED", "False").replace("ANSWER", "True")) == [("AL102", "open_it")]


def test_a_flag_of_which_nobody_is_told_who_set_it_may_be_set_twice(tmp_path: Path) -> None:
    assert found(tmp_path, DOOR.replace("REFUSED", "True").replace("ANSWER", "True")) == []


THREADS = """
hits = {{"all": 0}}

@app.post("/")
def hit():
    seen = hits["all"]
    {between}
    hits["all"] = seen + 1
"""


@pytest.mark.parametrize(
    ("between", "severity"),
    [("name = str(seen).strip()", "medium"), ("time.sleep(0.01)", "high")],
    ids=["quick", "slow"],
)
def test_what_threads_lose_in_an_instant_comes_after_what_they_lose_while_they_wait(
    tmp_path: Path, between: str, severity: str
) -> None:
    (finding,) = _findings(tmp_path, THREADS.format(between=between))
    assert (finding.rule, finding.severity.value) == ("AL101", severity)


CHANNELS = """
channels = set()

@app.put("/{channel}")
async def subscribe(channel: str):
    if channel in channels:
        return
    await ask("subscribe", channel)
    channels.add(channel)

@app.delete("/{channel}")
async def unsubscribe(channel: str):
    if channel in channels:
        await ask("unsubscribe", channel)
        channels.discard(channel)
"""


def test_whoever_finds_what_is_being_taken_down_waits_for_that(tmp_path: Path) -> None:
    after = fixed(tmp_path, CHANNELS)
    assert "async with channels_lock:\n        if channel in channels:\n            return\n" in after


MEMBERS = """
rooms = {}

@app.put("/{room}/{user}")
async def enter(room: str, user: str):
    if room not in rooms:
        rooms[room] = set()
        await ask("open", room)
    rooms[room].add(user)

@app.delete("/{room}/{user}")
async def leave(room: str, user: str):
    if room in rooms:
        rooms[room].discard(user)
        if not rooms[room]:
            await ask("close", room)
            del rooms[room]
"""


def test_whoever_adds_to_what_another_removes_takes_the_lock_and_looks_again_under_it(tmp_path: Path) -> None:
    assert {(f.rule, f.severity.value) for f in _findings(tmp_path, MEMBERS)} == {("AL102", "medium")}
    after = fixed(tmp_path, MEMBERS)
    assert "    async with rooms_lock:\n        if room not in rooms:\n            rooms[room] = set()\n" in after
    assert after.count("async with rooms_lock:") == 2


def test_what_a_helper_gives_that_has_caught_an_error_may_be_kept(tmp_path: Path) -> None:
    """A call that raises inside of a `try` is nothing that the handler has looked at."""
    (tmp_path / "main.py").write_text(
        "from fastapi import FastAPI\n\napp = FastAPI()\nlatest = {}\n\n"
        "def parsed(text):\n    if not text:\n        raise ValueError(text)\n    return int(text)\n\n"
        "def weight(text):\n    try:\n        return parsed(text)\n    except ValueError:\n        return 0\n\n"
        "@app.post('/parcels/{name}')\nasync def weigh(name: str, text: str):\n    latest[name] = weight(text)\n"
    )
    assert not autolock.check([tmp_path], cache=False).findings
