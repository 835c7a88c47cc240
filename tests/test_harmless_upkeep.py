"""What is kept up, trimmed, renewed or only passed on: each beside one of the same looks that does harm."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import asyncio, logging, time
import httpx, requests
from datetime import datetime, timedelta
from fastapi import FastAPI, HTTPException

app = FastAPI()
log = logging.getLogger(__name__)
"""

LINES = """
LIMIT = 100
lines = []

@app.post("/lines")
def write(text: str):
    lines.append(text)
    if len(lines) > LIMIT:
        requests.post("/full", json=text)
        {}
"""

PROVIDER = """
provider = None

@app.get("/")
def read():
    global provider
    if provider is not None:
        return provider
    requests.post("/missed")
    provider = {}
    return "none"

@app.put("/")
def connect():
    global provider
    provider = requests.Session()
"""

TOLD = """
told = 0.0

@app.get("/")
def read():
    global told
    if time.time() - told > 60:
        told = time.time()
        {}("a minute has gone by")
"""

HEADERS = """
class Client:
    def __init__(self):
        self.known = {{}}

    def ask(self, name):
        answer = requests.post("/ask", {})
        self.known["last"] = answer.json()

client = Client()

@app.post("/{{name}}")
def ask(name: str):
    client.ask(name)
    return client.known
"""

INBOX = """
class Inbox:
    def __init__(self):
        self.lock = asyncio.Lock()
        self.letters = []

    async def has_any(self):
        async with self.lock:
            return {test}

    async def take(self):
        async with self.lock:
            {take}
        return found

inbox = Inbox()

@app.post("/")
async def post(text: str):
    async with inbox.lock:
        await asyncio.sleep(0.1)
        inbox.letters.append(text)

@app.get("/")
async def read():
    if await inbox.has_any():
        return await inbox.take()
"""

FAILURES = """
class Keys:
    def __init__(self):
        self.lock = asyncio.Lock()
        self.failures = {{}}

    async def fail(self, key):
        async with self.lock:
            self.failures[key] = self.failures.get(key, 0) + 1

    async def reset(self, key, number):
        async with self.lock:
            if key in self.failures:
                self.failures[key] = {value}

keys = Keys()

@app.post("/{{key}}")
async def fail(key: str):
    await keys.fail(key)

@app.post("/")
async def check():
    async with keys.lock:
        failing = [(key, number) for key, number in keys.failures.items() if number]
    for key, number in failing:
        async with httpx.AsyncClient() as client:
            await client.get(key)
        await keys.reset(key, number - 1)
"""

LEASES = """
class Lease:
    def __init__(self, name):
        self.name = name
        self.users = 0
        self.closing = False

leases = {{}}

async def close(lease):
    {claim}
    async with httpx.AsyncClient() as client:
        await client.delete(lease.name)
    leases.pop(lease.name)

@app.post("/{{name}}")
async def use(name: str):
    lease = leases.get(name)
    if lease is None:
        lease = leases[name] = Lease(name)
    lease.users += 1
    await asyncio.sleep(0.1)
    lease.users -= 1
    await close(lease)
"""
CLAIM = """if lease.users or lease.closing:
        return
    lease.closing = True"""

SERVICES = """
class Service:
    def __init__(self):
        self.store = None

    async def save(self, text):
        if self.store is None:
            self.store = await {}()
        await self.store.put(text)

    async def load(self):
        if self.store is None:
            self.store = await {}()
        return await self.store.get()

class Store:
    def __init__(self):
        self.texts = []

    async def put(self, text):
        await asyncio.sleep(0.1)
        self.texts.append(text)

    async def get(self):
        await asyncio.sleep(0.1)
        return list(self.texts)

store = Store()
service = Service()

async def the_store():
    await asyncio.sleep(0.1)
    return store

async def a_store():
    await asyncio.sleep(0.1)
    return Store()

@app.post("/")
async def save(text: str):
    await service.save(text)

@app.get("/")
async def load():
    return await service.load()
"""

QUESTION = """
class Page:
    def __init__(self):
        self.last = None

    def render(self, path):
        if self.last and self.last[0] == path:
            return {}
        text = path.upper()
        log.info(text)
        self.last = (path, text)
        return text

page = Page()

@app.get("/{{path}}")
def read(path: str):
    return page.render(path)
"""


def races(folder: Path, text: str) -> set[str]:
    (folder / "main.py").write_text(HEAD + textwrap.dedent(text), encoding="utf-8")
    found = autolock.check([folder], cache=False, certainty="race").findings
    return {f.rule for f in found if f.rule.startswith(("AL1", "AL5"))}


@pytest.mark.parametrize(
    ("trim", "racy"), [("del lines[:-LIMIT]", False), ("del lines[:-100]", False), ("del lines[0]", True)]
)
def test_a_list_that_is_cut_to_a_size_is_cut_right_by_whoever_comes(trim: str, racy: bool, tmp_path: Path) -> None:
    assert bool(races(tmp_path, LINES.format(trim))) is racy


@pytest.mark.parametrize(("left", "racy"), [("None", False), ("'missed'", True)])
def test_none_where_there_is_none_decides_nothing(left: str, racy: bool, tmp_path: Path) -> None:
    assert bool(races(tmp_path, PROVIDER.format(left))) is racy


@pytest.mark.parametrize(("tell", "racy"), [("log.info", False), ("requests.post", True)])
def test_what_is_only_logged_again_after_a_while_is_no_work_done_twice(tell: str, racy: bool, tmp_path: Path) -> None:
    assert bool(races(tmp_path, TOLD.format(tell))) is racy


@pytest.mark.parametrize(
    ("given", "racy"), [("headers=self.known, timeout=3", False), ("json=self.known, timeout=3", True)]
)
def test_an_answer_is_not_computed_from_the_headers_of_the_question(given: str, racy: bool, tmp_path: Path) -> None:
    assert bool(races(tmp_path, HEADERS.format(given))) is racy


@pytest.mark.parametrize(
    ("take", "racy"),
    [
        ("found = list(self.letters)\n            self.letters.clear()", False),
        ("found = self.letters.pop(0)", True),
    ],
)
@pytest.mark.parametrize("test", ["len(self.letters) > 0", "not len(self.letters) == 0"])
def test_that_there_are_some_stays_true_when_others_add_more(test: str, take: str, racy: bool, tmp_path: Path) -> None:
    assert ("AL502" in races(tmp_path, INBOX.format(test=test, take=take))) is racy


@pytest.mark.parametrize(("value", "racy"), [("0", False), ("number", True)])
def test_a_constant_for_a_key_that_is_asked_for_again_under_the_lock(value: str, racy: bool, tmp_path: Path) -> None:
    assert ("AL502" in races(tmp_path, FAILURES.format(value=value))) is racy


@pytest.mark.parametrize(("claim", "racy"), [(CLAIM, False), ("log.info('closing')", True)])
def test_who_has_claimed_an_element_takes_it_out_whatever_was_seen_before(
    claim: str, racy: bool, tmp_path: Path
) -> None:
    assert ("AL102" in races(tmp_path, LEASES.format(claim=claim))) is racy


@pytest.mark.parametrize(("getter", "racy"), [("the_store", False), ("a_store", True)])
def test_whoever_asks_for_the_one_object_is_given_it(getter: str, racy: bool, tmp_path: Path) -> None:
    found = races(tmp_path, SERVICES.format(getter, getter))
    assert bool(found & {"AL102", "AL103"}) is racy


@pytest.mark.parametrize(("found", "racy"), [("self.last[1]", False), ("'again'", True)])
def test_an_answer_that_is_kept_with_its_question_is_the_same_for_all(found: str, racy: bool, tmp_path: Path) -> None:
    assert bool(races(tmp_path, QUESTION.format(found))) is racy


RENEWED = """
class Shelf:
    def __init__(self):
        self.checked = datetime.min
        self.books = []

    def is_old(self):
        now = datetime.now()
        return now > self.checked + timedelta(hours=1)

    async def renew(self):
        async with httpx.AsyncClient() as client:
            found = (await client.get("/books")).json()
        self.checked = datetime.now()
        self.books = [entry["title"] for entry in found]

shelves = {}

@app.get("/{name}")
async def read(name: str):
    shelf = shelves.setdefault(name, Shelf())
    if shelf.is_old():
        await shelf.renew()
    return shelf.books
"""

LISTED = """
class Shelf:
    def __init__(self):
        self.books = None

    async def titles(self):
        if self.books is None:
            async with httpx.AsyncClient() as client:
                found = (await client.get("/books")).json()
            self.books = {}
        return self.books

shelf = Shelf()

@app.get("/")
async def read():
    return await shelf.titles()

@app.post("/")
async def add(title: str):
    (await shelf.titles()).append(title)
"""


def told(folder: Path, text: str) -> list[tuple[str, str]]:
    (folder / "main.py").write_text(HEAD + textwrap.dedent(text), encoding="utf-8")
    found = autolock.check([folder], cache=False, certainty="race").findings
    return [(f.rule, f.severity.value) for f in found if f.rule.startswith("AL1")]


def test_what_is_fetched_anew_and_when_that_was_are_told_of_once(tmp_path: Path) -> None:
    assert told(tmp_path, RENEWED) == [("AL104", "low")]


@pytest.mark.parametrize(
    ("made", "rule"), [("[book['title'] for book in found]", "AL104"), ("[]", "AL103"), ("list()", "AL103")]
)
def test_a_list_of_answers_is_no_object_that_is_made_twice(made: str, rule: str, tmp_path: Path) -> None:
    assert rule in {found for found, _ in told(tmp_path, LISTED.format(made))}


HANDED_ON = """
prices = {{}}

@app.get("/{{shop}}")
async def read(shop: str):
    answers = {{}}

    async def one(name):
        known = prices.get(shop + name)
        if known is not None:
            {}
            return
        async with httpx.AsyncClient() as client:
            price = (await client.get(name, params={{"shop": shop}})).json()
        prices[shop + name] = (time.time(), price)

    await asyncio.gather(one("tea"), one("milk"))
    return answers
"""


@pytest.mark.parametrize(
    ("found", "expected"), [("answers[name] = known", ("AL104", "low")), ("log.info('taken')", ("AL102", "high"))]
)
def test_what_is_found_and_handed_on_comes_from_a_cache(found: str, expected: tuple[str, str], tmp_path: Path) -> None:
    assert told(tmp_path, HANDED_ON.format(found)) == [expected]


RANGES = """
lowest = {{}}

@app.post("/{{motor}}")
def measure(motor: str, at: int):
    {}

@app.put("/{{motor}}")
def begin(motor: str):
    lowest.setdefault("first", 0)

@app.get("/")
def read():
    for motor in lowest:
        log.info("%s: %d", motor, lowest[motor])
"""


@pytest.mark.parametrize(
    ("change", "least"),
    [
        ("lowest[motor] = min(lowest[motor], at)", 1),
        ("if motor in lowest and at:\n        lowest[motor] = at", 1),
        ("lowest[motor] = at", 2),
    ],
)
def test_another_value_for_a_key_that_is_there_upsets_no_loop(change: str, least: int, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(HEAD + RANGES.format(change), encoding="utf-8")
    (loop,) = [f for f in autolock.check([tmp_path], cache=False).findings if f.rule == "AL108"]
    assert ("`measure`" in loop.message) is (least == 2)


SETTINGS = """
class Settings:
    def __init__(self):
        self.colour = "red"
        self.size = 1

    async def save(self):
        await asyncio.to_thread(log.info, "saved")

settings = Settings()

@app.put("/settings")
async def change(colour: str, size: int):
    settings.colour = colour.lower()
    settings.size = size
    await settings.save()
    return {"colour": settings.colour, "size": settings.size}
"""
LOOKED_AT = """
@app.get("/settings")
async def read():
    return settings.colour, settings.size
"""


@pytest.mark.parametrize(("looks", "severity"), [("", "high"), (LOOKED_AT, "low")])
def test_what_one_request_keeps_is_told_of_once_and_last_where_others_only_look(
    looks: str, severity: str, tmp_path: Path
) -> None:
    assert told(tmp_path, SETTINGS + looks) == [("AL107", severity)]


ANSWERS = """
films = None

async def all_films():
    global films
    if films is None:
        async with httpx.AsyncClient() as client:
            films = list((await client.get("/films")).json())
    return films

@app.get("/")
async def read():
    return await all_films()

@app.post("/{{title}}")
async def rename(title: str):
    global films
    for film in await all_films():
        if film["title"] == title:
            async with httpx.AsyncClient() as client:
                await client.post("/films", json=film)
            films = None
            break
{}
"""
OWN_FILMS = """
@app.put("/{title}")
async def add(title: str):
    films.append({"title": title})
"""


@pytest.mark.parametrize(("others", "rules"), [("", {"AL104"}), (OWN_FILMS, {"AL104", "AL102"})])
def test_a_copy_that_is_given_up_is_fetched_again(others: str, rules: set[str], tmp_path: Path) -> None:
    assert {rule for rule, _ in told(tmp_path, ANSWERS.format(others))} == rules


COUNTED = """

counts = {"a": 0.0, "b": 0.0}

def key_of(name):
    return requests.get(name).text

@app.post("/{name}")
def count(name: str, amount: str):
    counts[key_of(name)] += %s
"""


@pytest.mark.parametrize(("amount", "severity"), [("float(amount)", "medium"), ("requests.get(amount).json()", "high")])
def test_what_threads_lose_in_an_instant_is_not_told_of_first(amount: str, severity: str, tmp_path: Path) -> None:
    assert told(tmp_path, COUNTED % amount) == [("AL101", severity)]


JOBS = """
class Job:
    def __init__(self):
        self.state = "new"

    def work(self):
        self.state = "running"
        time.sleep(5)
        self.state = "done"

class Jobs:
    def __init__(self):
        self.jobs = {}

    def add(self, name):
        if len([job for job in self.jobs.values() if job.state == "running"]) >= 2:
            return None
        job = self.jobs[name] = Job()
        return job

jobs = Jobs()

@app.post("/{name}")
async def start(name: str):
    job = jobs.add(name)
    if job is None:
        raise HTTPException(429)
    asyncio.create_task(asyncio.to_thread(job.work))
"""


def test_what_worker_threads_change_beside_the_event_loop_is_not_told_of_first(tmp_path: Path) -> None:
    assert all(severity != "high" for _, severity in told(tmp_path, JOBS))


MODELS = """
import engines

class Speaker:
    def __init__(self):
        self.size = None
        self.model = None
        self.voice = None

    def load(self, size):
        self.size = size
        self.model = engines.Model(size)

    def speak(self, text, size):
        if self.model is None or self.size != size:
            self.load(size)
        {}
        return self.model.speak(text)

speaker = Speaker()

@app.post("/{{size}}")
def speak(size: str, text: str):
    return speaker.speak(text, size)
"""
ASKED_TWICE = "if self.voice is None:\n            self.voice = engines.Voice(size)"


@pytest.mark.parametrize(("again", "count"), [("log.info(text)", 1), (ASKED_TWICE, 2)])
def test_what_one_test_decides_is_told_of_once(again: str, count: int, tmp_path: Path) -> None:
    assert len(told(tmp_path, MODELS.format(again))) == count
