"""Where requests have many steps, only those at which they meet are choices; what is found stays the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from proved_random_applications import compared
from test_prove import played

from autolock.prove.proof import Bounds, Verdict

EVERY = Bounds(preemptions=20, schedules=100_000, reduce_beyond=0)

LINES = """
stock = {"left": 9}
lock = threading.Lock()

@app.post("/purchase")
def purchase():
    name = "mug"
    first = name.upper()
    second = first + first
    GUARD
        left = stock["left"]
        stock["left"] = left - 1
    third = second + first
    fourth = third + second
    return {"name": fourth}
"""


def test_steps_that_meet_nobody_are_no_choices(tmp_path: Path) -> None:
    side = played(tmp_path, LINES.replace("GUARD", "with lock:"), "POST /purchase", bounds=EVERY)
    assert side.verdict is Verdict.HELD
    assert side.decisive is not None
    result = side.decisive.result
    assert result["played"] < 200  # of 705,432 orders of eleven lines and eleven
    source = (tmp_path / "main.py").read_text(encoding="utf-8").splitlines()
    where = [source[int(place.partition(":")[2]) - 1].strip() for place in result["meeting"]]
    assert where == ["with lock:", 'left = stock["left"]', 'stock["left"] = left - 1']


def test_a_race_is_witnessed_among_steps_that_meet_nobody(tmp_path: Path) -> None:
    side = played(tmp_path, LINES.replace("GUARD", "if True:"), "POST /purchase", bounds=EVERY)
    assert side.verdict is Verdict.WITNESSED


HIDDEN = {
    "an attribute of a cached service": """
import functools
from fastapi import Depends

class Purse:
    def __init__(self):
        self.cents = 0

@functools.lru_cache
def purse():
    return Purse()

@app.post("/cents")
def deposit(one: Purse = Depends(purse)):
    seen = one.cents
    wanted = seen + 1
    one.cents = wanted
    return {}
""",
    "what a caller keeps of a result": """
total = {"cents": 0}

def following(cents: int) -> int:
    wanted = cents + 1
    return wanted

@app.post("/cents")
def deposit():
    total["cents"] = following(total["cents"])
    return {}
""",
    "an attribute of the application": """
from fastapi import Request
app.state.cents = 0

@app.post("/cents")
def deposit(request: Request):
    seen = request.app.state.cents
    wanted = seen + 1
    request.app.state.cents = wanted
    return {}
""",
    "a cell of a factory": """
def make():
    cents = 0

    @app.post("/cents")
    def deposit():
        nonlocal cents
        seen = cents
        wanted = seen + 1
        cents = wanted
        return {"cents": cents}

make()
""",
    "an attribute of a class": """
class Purse:
    cents = 0

    @classmethod
    def deposit(cls):
        seen = cls.cents
        wanted = seen + 1
        cls.cents = wanted
        return wanted

@app.post("/cents")
def deposit():
    return {"cents": Purse.deposit()}
""",
    "a file": """
import pathlib
FILE = pathlib.Path("cents.txt")

@app.post("/cents")
def deposit():
    seen = int(FILE.read_text()) if FILE.exists() else 0
    wanted = seen + 1
    FILE.write_text(str(wanted))
    return {}
""",
    "an attribute that is set through a class": """
class Purse:
    cents = 0

@app.post("/cents")
def deposit():
    purse = Purse()
    seen = type(purse).cents
    wanted = seen + 1
    type(purse).cents = wanted
    return {}
""",
    "an item of a container that a helper gives": """
total = {"cents": 0}

def kept():
    return total

@app.post("/cents")
def deposit():
    seen = kept()["cents"]
    wanted = seen + 1
    kept()["cents"] = wanted
    return {}
""",
    "an attribute of an object that a parameter hands on": """
class Purse:
    def __init__(self):
        self.cents = 0

purse = Purse()

def put(one, cents):
    one.cents = cents

@app.post("/cents")
def deposit():
    seen = purse.cents
    wanted = seen + 1
    put(purse, wanted)
    return {}
""",
    "a default that comes to be when it is asked for": """
import collections
seats = collections.defaultdict(lambda: len(seats))

@app.post("/cents")
def deposit():
    before = len(seats)
    mine = seats[before]
    return {"mine": mine, "before": before, "now": len(seats)}
""",
    "a step after a suspension": """
total = {"cents": 0}

async def following(cents: int) -> int:
    await asyncio.sleep(0)
    return cents + 1

@app.post("/cents")
async def deposit():
    total["cents"] = await following(total["cents"])
    return {}
""",
}


@pytest.mark.parametrize("source", HIDDEN.values(), ids=HIDDEN.keys())
def test_requests_meet_wherever_they_share_something(tmp_path: Path, source: str) -> None:
    assert played(tmp_path, source, "POST /cents", bounds=EVERY).verdict is Verdict.WITNESSED


@pytest.mark.parametrize("threads", [False, True], ids=["loop", "threads"])
@pytest.mark.parametrize("seed", [2, 11])
def test_brute_force_says_the_same_of_random_applications(tmp_path: Path, seed: int, threads: bool) -> None:
    for one in compared(seed, tmp_path, threads=threads, reduced=True):
        assert one.agree, one


MADE = """
class Till:
    currency = "EUR"

    def __init__(self, rate):
        self.rate = rate
        self.seen = 0
        self.added = 0

rates = {"EUR": 3}
stock = {"left": 9}

def rate_of(name):
    return rates.get(name, 1)

@app.post("/purchase")
def purchase():
    till = Till(rate_of(Till.currency))
    till.seen = till.rate + len(rates)
    till.added = int(till.seen) + 1
    left = stock["left"]
    stock["left"] = left - till.added
    return {}
"""


def test_objects_of_ones_own_and_values_that_nobody_changes_are_no_meeting(tmp_path: Path) -> None:
    side = played(tmp_path, MADE, "POST /purchase", bounds=EVERY)
    assert side.verdict is Verdict.WITNESSED
    assert side.decisive is not None
    source = (tmp_path / "main.py").read_text(encoding="utf-8").splitlines()
    where = {source[int(place.partition(":")[2]) - 1].strip() for place in side.decisive.result["meeting"]}
    assert where <= {'left = stock["left"]', 'stock["left"] = left - till.added'}
