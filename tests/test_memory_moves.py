"""What is moved about in shared containers: swapped, taken from a heap, added to a list whose elements were asked."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import asyncio, bisect, heapq, time
from fastapi import FastAPI, HTTPException

app = FastAPI()

async def ask(*about):
    await asyncio.sleep(0)
"""


def found(folder: Path, text: str) -> list[tuple[str, str]]:
    """Rule and function of every race."""
    (folder / "main.py").write_text(textwrap.dedent(HEAD) + textwrap.dedent(text), encoding="utf-8")
    races = [f for f in autolock.check([folder], cache=False).findings if f.certainty.value == "race"]
    return sorted({(f.rule, f.place.function) for f in races})


SHIFTS = """
on_duty = {"early": "kim", "late": "lee"}

@app.post("/{one}/{other}")
async def change(one: str, other: str):
    first, second = on_duty[one], on_duty[other]
    await ask(first, second)
    CHANGE
"""


@pytest.mark.parametrize(
    "change",
    ["on_duty[one], on_duty[other] = second, first", "on_duty[one] = second\n    on_duty[other] = first"],
    ids=["at once", "one after the other"],
)
def test_two_that_change_places_after_an_await_may_have_been_moved_meanwhile(tmp_path: Path, change: str) -> None:
    assert found(tmp_path, SHIFTS.replace("CHANGE", change)) == [("AL101", "change")]


def test_a_copy_under_another_key_overwrites_nothing_that_was_read(tmp_path: Path) -> None:
    assert found(tmp_path, SHIFTS.replace("CHANGE", "on_duty[other] = first")) == []


def test_an_object_put_back_under_its_own_key_changes_nothing(tmp_path: Path) -> None:
    assert found(tmp_path, SHIFTS.replace("CHANGE", "on_duty[one] = first")) == []


HEAP = """
calls = []

@app.post("/{name}")
def call(name: str, weight: int):
    heapq.heappush(calls, (weight, name))

@app.post("/next")
def answer():
    if not calls:
        raise HTTPException(404)
    weight, name = calls[0]
    time.sleep(0.01)
    TAKE
    return name
"""


def test_the_first_of_a_heap_that_is_worked_on_and_popped_later_is_another_by_then(tmp_path: Path) -> None:
    assert found(tmp_path, HEAP.replace("TAKE", "heapq.heappop(calls)")) == [("AL102", "answer")]
    assert found(tmp_path, HEAP.replace("TAKE", "heapq.nsmallest(1, calls)")) == []


def test_what_is_sorted_into_a_list_is_added_to_it(tmp_path: Path) -> None:
    program = """
    takers = []

    @app.post("/{name}")
    async def enter(name: str):
        if len(takers) >= 20:
            raise HTTPException(409)
        await ask(name)
        bisect.insort(takers, name)
    """
    assert found(tmp_path, program) == [("AL102", "enter")]


SLOTS = """
class Slot:
    def __init__(self, start, end):
        self.start, self.end = start, end

rooms: dict[str, list[Slot]] = {"blue": []}

def collides(slots, start, end):
    return any(s.start < end and start < s.end for s in slots)

@app.post("/{room}")
async def reserve(room: str, start: int, end: int):
    if collides(rooms[room], start, end):
        raise HTTPException(409)
    await ask(room)
    rooms[room].append(Slot(start, end))
"""


def test_a_question_to_each_element_is_answered_anew_by_one_that_is_added(tmp_path: Path) -> None:
    assert found(tmp_path, SLOTS) == [("AL102", "reserve")]
    at_once = SLOTS.replace("    await ask(room)\n", "")
    assert found(tmp_path, at_once) == []


PRINTER = """
class Printer:
    _instance = None

    def __new__(cls):
        if cls._instance is None:
            made = super().__new__(cls)
            made.paper = look_up()
            cls._instance = made
        return cls._instance

@app.get("/")
def show():
    return Printer().paper
"""


def test_one_object_for_all_whose_maker_waits_is_made_by_several_threads(tmp_path: Path) -> None:
    waiting = "def look_up():\n    time.sleep(1)\n    return 'a4'\n"
    assert found(tmp_path, waiting + PRINTER) == [("AL103", "Printer.__new__")]
    ready = "def look_up():\n    return 'a4'\n"
    assert found(tmp_path, ready + PRINTER) == []


IMPORTS = """
sums = {}

async def lines(text):
    for line in text.split():
        await ask(line)
        yield int(line)

async def feed(text):
    while True:
        await ask(text)
        yield 1

@app.post("/{name}")
async def add_up(name: str, text: str):
    total = sums.get(name, 0)
    async for number in SOURCE(text):
        total += number
        if total > 99:
            break
    sums[name] = total
"""


@pytest.mark.parametrize(("source", "safety"), [("lines", "safe"), ("feed", "unsafe")])
def test_a_generator_that_ends_may_be_gone_through_under_a_lock(tmp_path: Path, source: str, safety: str) -> None:
    found(tmp_path, IMPORTS.replace("SOURCE", source))
    (finding,) = autolock.check([tmp_path], cache=False).findings
    assert finding.fix.safety.value == safety


METER = """
class Meter:
    def __init__(self):
        self.calls = 0

    async def report(self):
        REPORT

meter = Meter()

@app.get("/")
async def call():
    meter.calls += 1

@app.post("/report")
async def report():
    await meter.report()
"""

REPORTED = {
    "by a name": "calls = self.calls; await ask(calls); self.calls = 0",
    "in the call": "await ask({'calls': self.calls}); self.calls = 0",
}
KEPT = {
    "set back before": "calls = self.calls; self.calls = 0; await ask(calls)",
    "not told": "calls = self.calls; await ask(); self.calls = 0",
}


@pytest.mark.parametrize("report", REPORTED.values(), ids=REPORTED)
def test_what_is_counted_while_a_number_is_handed_on_goes_when_it_is_set_back(tmp_path: Path, report: str) -> None:
    text = METER.replace("REPORT", report.replace("; ", "\n        "))
    assert found(tmp_path, text) == [("AL101", "Meter.report")]
    autolock.fix([tmp_path], apply=True, allow_dirty=True, cache=False)
    assert not autolock.check([tmp_path], cache=False).findings


@pytest.mark.parametrize("report", KEPT.values(), ids=KEPT)
def test_a_number_that_is_not_handed_on_loses_nothing(tmp_path: Path, report: str) -> None:
    assert found(tmp_path, METER.replace("REPORT", report.replace("; ", "\n        "))) == []


def test_a_number_that_nobody_counts_may_be_set_back(tmp_path: Path) -> None:
    text = METER.replace("REPORT", REPORTED["by a name"].replace("; ", "\n        "))
    assert found(tmp_path, text.replace("meter.calls += 1", "return meter.calls")) == []


SEATS = """
tables = {"window": 2}
seated = {}

@app.put("/tables/{table}")
async def add_table(table: str):
    tables[table] = 4

@app.post("/{guest}/{table}")
async def seat(guest: str, table: str):
    if REFUSED:
        raise HTTPException(409)
    await ask(guest)
    seated[guest] = table
"""


@pytest.mark.parametrize(
    ("refused", "wanted"),
    [
        ("table not in tables or guest in seated", [("AL102", "seat")]),
        ("guest in seated or table not in tables", [("AL102", "seat")]),
        ("table not in tables or guest not in seated", []),
    ],
)
def test_each_of_several_questions_has_its_own_answer(
    tmp_path: Path, refused: str, wanted: list[tuple[str, str]]
) -> None:
    assert found(tmp_path, SEATS.replace("REFUSED", refused)) == wanted


FREE = """
lockers = {}

def first_free():
    for number in range(20):
        if number not in lockers:
            return number
    return None

@app.post("/{guest}")
async def give(guest: str):
    number = CHOICE
    if number is None:
        raise HTTPException(409)
    await ask(number)
    lockers[number] = guest
"""

CHOICES = {
    "a helper that goes through them": "first_free()",
    "the smallest of those that are free": "min([n for n in range(20) if n not in lockers], default=None)",
    "the first that is free": "next((n for n in range(20) if n not in lockers), None)",
}


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES)
def test_a_key_chosen_because_it_was_free_is_given_to_two(tmp_path: Path, choice: str) -> None:
    assert found(tmp_path, FREE.replace("CHOICE", choice)) == [("AL101", "give")]


def test_a_key_taken_before_anything_else_can_run_is_given_once(tmp_path: Path) -> None:
    text = FREE.replace("CHOICE", "first_free()")
    waits, gives = "await ask(number)", "lockers[number] = guest"
    text = text.replace(f"{waits}\n    {gives}", f"{gives}\n    {waits}")
    assert found(tmp_path, text) == []


BOOTH = """
class Booth:
    def __init__(self):
        self.caller = None
        self.line = None
        self.calls = []

booth = Booth()

@app.post("/connect")
async def connect(name: str):
    if booth.caller is None:
        booth.caller = name
        return "wait"
    TAKE

@app.get("/")
async def calls():
    return booth.calls
"""

TAKEN = {
    "put elsewhere after it": """
    other = booth.caller
    await ask(other)
    booth.caller = None
    booth.calls.append((other, name))
    """,
    "put elsewhere before it": """
    other = booth.caller
    booth.line = f"{other} and {name}"
    await ask(other)
    booth.caller = None
    """,
}

THROWN_AWAY = {
    "only closed": """
    other = booth.caller
    await ask(other)
    booth.caller = None
    """,
    "taken at once": """
    other, booth.caller = booth.caller, None
    await ask(other)
    booth.calls.append((other, name))
    """,
}


@pytest.mark.parametrize("take", TAKEN.values(), ids=TAKEN)
def test_who_is_taken_from_a_slot_that_is_emptied_later_is_taken_twice(tmp_path: Path, take: str) -> None:
    assert found(tmp_path, BOOTH.replace("    TAKE", take.strip("\n"))) == [("AL102", "connect")]


@pytest.mark.parametrize("take", THROWN_AWAY.values(), ids=THROWN_AWAY)
def test_what_is_thrown_away_may_be_thrown_away_twice(tmp_path: Path, take: str) -> None:
    assert found(tmp_path, BOOTH.replace("    TAKE", take.strip("\n"))) == []


LOCKERS = """
free = set(range(1, 20))
given = {}

@app.post("/{guest}")
async def give(guest: str):
    number = CHOSEN
    await ask(guest, number)
    free.discard(number)
    given[guest] = NUMBER

@app.delete("/{guest}")
async def back(guest: str):
    free.add(given.pop(guest, 0))
"""


@pytest.mark.parametrize("chosen", ["min(free)", "next(iter(free))", "sorted(free)[0]"])
def test_what_is_chosen_of_a_set_and_given_to_somebody_is_given_twice(tmp_path: Path, chosen: str) -> None:
    assert found(tmp_path, LOCKERS.replace("CHOSEN", chosen).replace("NUMBER", "number")) == [("AL102", "give")]


def test_what_is_chosen_of_a_set_and_given_to_nobody_may_be_discarded_twice(tmp_path: Path) -> None:
    assert found(tmp_path, LOCKERS.replace("CHOSEN", "min(free)").replace("NUMBER", "0")) == []


SHELVES = """
new = {1: {"title": "a"}}
seen = {1: []}

@app.post("/{number}")
async def move(number: int, reader: int):
    if not (book := new.get(number)):
        raise HTTPException(404)
    await ask(reader)
    new.pop(number, None)
    seen[reader].append({**book, "read": True})
"""


def test_what_is_moved_from_one_container_to_another_after_an_await_is_moved_twice(tmp_path: Path) -> None:
    assert found(tmp_path, SHELVES) == [("AL102", "move")]


NAMED = """
class Door:
    def __init__(self):
        self.opened = 0

doors = {"front": Door()}

@app.post("/{door}")
async def enter(door: str):
    opened = doors[door].opened
    await ask(door)
    setattr(doors[door], "opened", opened + 1)
"""


def test_setattr_with_a_constant_name_is_an_assignment(tmp_path: Path) -> None:
    assert found(tmp_path, NAMED) == [("AL101", "enter")]


AWAITED = """
sums = {"n": 0}
guard = asyncio.Lock()

async def add(amount):
    n = sums["n"]
    await ask(amount)
    sums["n"] = n + amount

@app.post("/")
async def post(amount: int):
    async with guard:
        await STARTED

@app.post("/more")
async def more(amount: int):
    async with guard:
        await add(amount)
"""


@pytest.mark.parametrize(
    "started", ["asyncio.create_task(add(amount))", "asyncio.wait_for(asyncio.ensure_future(add(amount)), 5)"]
)
def test_a_task_that_is_waited_for_where_it_is_started_runs_under_the_locks_held_there(
    tmp_path: Path, started: str
) -> None:
    assert found(tmp_path, AWAITED.replace("STARTED", started)) == []
    assert found(tmp_path, AWAITED.replace("STARTED", started).replace("async with guard", "if amount")) != []


COUNTED = """
seats = {"left": 3}

async def take(left):
    seats["left"] = left - 1

@app.post("/")
async def post():
    await asyncio.create_task(take(seats["left"]))
"""


def test_something_else_runs_before_a_task_that_is_waited_for(tmp_path: Path) -> None:
    assert found(tmp_path, COUNTED) == [("AL101", "post")]


GIFTS = """
gifts = {"a": 5}
sent = []

async def send(what):
    await ask(what)
    sent.append(what)

@app.post("/{code}")
async def redeem(code: str):
    try:
        euros = gifts[code]
    except KeyError:
        raise HTTPException(410)
    DONE
"""


@pytest.mark.parametrize(
    ("done", "expected"),
    [
        ("await send(euros); gifts.pop(code, None)", [("AL102", "redeem")]),
        ("await send(euros); del gifts[code]", [("AL102", "redeem")]),
        ("gifts.pop(code, None); await send(euros)", []),
        ("await ask(euros); gifts.pop(code, None)", [("AL102", "redeem")]),
    ],
)
def test_what_a_lookup_that_may_fail_has_found_is_taken_twice(
    tmp_path: Path, done: str, expected: list[tuple[str, str]]
) -> None:
    assert found(tmp_path, GIFTS.replace("DONE", done)) == expected


def test_what_is_given_to_two_is_bad(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        textwrap.dedent(HEAD + GIFTS.replace("DONE", "await send(euros); gifts.pop(code, None)")), encoding="utf-8"
    )
    (finding,) = autolock.check([tmp_path], cache=False).findings
    assert finding.severity.value == "high"
    assert "both take the same" in finding.message


ROOMS = """
class Rooms:
    def __init__(self):
        self.taken = {1: "ann"}

    def __getitem__(self, number):
        return self.taken[number]

    def __setitem__(self, number, guest):
        self.taken[number] = guest

    def __delitem__(self, number):
        del self.taken[number]

    def __contains__(self, number):
        return number in self.taken

rooms = Rooms()

@app.post("/{number}")
async def change(number: int, guest: str):
    CHANGE
"""


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("names = rooms[number]; await ask(guest); rooms[number] = names + guest", "AL101"),
        ("rooms[number] += await ask(guest)", "AL101"),
        ("if number in rooms: raise HTTPException(409)\n    await ask(guest); rooms[number] = guest", "AL102"),
        ("if number not in rooms: raise HTTPException(404)\n    await ask(guest); del rooms[number]", "AL102"),
    ],
)
def test_operators_do_what_the_methods_of_the_class_say(tmp_path: Path, change: str, rule: str) -> None:
    assert found(tmp_path, ROOMS.replace("CHANGE", change)) == [(rule, "change")]


LISTENERS = """
listeners = ["a"]

async def is_there(name):
    await asyncio.sleep(0)
    return True

@app.post("/{name}")
async def listen(name: str):
    listeners.append(name)

@app.post("/")
async def sweep():
    global listeners
    kept = []
    for listener in list(listeners):
        TURN
    listeners = kept
"""


@pytest.mark.parametrize(
    ("turn", "expected"),
    [
        ("if await is_there(listener):\n            kept.append(listener)", [("AL101", "sweep")]),
        ("if listener:\n            kept.append(listener)", []),
    ],
)
def test_who_comes_while_a_list_is_built_anew_is_lost(
    tmp_path: Path, turn: str, expected: list[tuple[str, str]]
) -> None:
    assert found(tmp_path, LISTENERS.replace("TURN", turn)) == expected


def test_a_list_that_is_filled_from_elsewhere_does_not_depend_on_the_one_it_replaces(tmp_path: Path) -> None:
    text = LISTENERS.replace("TURN", "if await is_there(listener):\n            kept.append(listener)")
    assert found(tmp_path, text.replace("in list(listeners)", "in ['x', 'y']")) == []
