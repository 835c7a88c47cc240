"""Where a lock lives for what an object keeps: an attribute, unless the object takes none, or shows all that it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

KILN = """
import asyncio
import copy
from fastapi import FastAPI

app = FastAPI()

async def heat(*about):
    await asyncio.sleep(0)


class Kiln:
    SLOTS
    def __init__(self):
        self.fired = 0

    async def fire(self):
        before = self.fired
        await heat(before)
        self.fired = before + 1


kiln = Kiln()

@app.post("/fire")
async def fire():
    await kiln.fire()
    RETURN
"""


def fixed(folder: Path, text: str) -> str:
    """A program with its races fixed; nothing is left to fix."""
    main = folder / "main.py"
    main.write_text(text, encoding="utf-8")
    autolock.fix([folder], apply=True, allow_dirty=True, cache=False)
    assert autolock.check([folder], cache=False, certainty="race").findings == ()
    return main.read_text(encoding="utf-8")


def with_slots(slots: str = "pass", answer: str = "return kiln.fired") -> str:
    return KILN.replace("SLOTS", slots).replace("RETURN", answer)


def test_an_object_keeps_its_lock(tmp_path: Path) -> None:
    assert "async with self._fired_lock:" in fixed(tmp_path, with_slots())


def test_a_class_with_slots_is_given_no_attribute(tmp_path: Path) -> None:
    after = fixed(tmp_path, with_slots('__slots__ = ("fired",)'))
    assert "async with kiln_lock:" in after
    assert "self._fired_lock" not in after


def test_slots_of_one_class_of_several_forbid_nothing(tmp_path: Path) -> None:
    assert "self._fired_lock" in fixed(tmp_path, with_slots('__slots__ = ("fired", "__dict__")'))
    based = with_slots("__slots__ = ()").replace("class Kiln:", "class Oven:\n    pass\n\n\nclass Kiln(Oven):")
    assert "self._fired_lock" in fixed(tmp_path, based)


@pytest.mark.parametrize(
    "answer",
    [
        "return kiln",
        "return {'kilns': [kiln]}",
        "return vars(kiln)",
        "return dict(kiln.__dict__)",
        "return copy.deepcopy(kiln).fired",
    ],
)
def test_what_is_shown_or_copied_as_a_whole_gets_no_lock_in_it(tmp_path: Path, answer: str) -> None:
    after = fixed(tmp_path, with_slots(answer=answer))
    assert "async with kiln_lock:" in after
    assert "self._fired_lock" not in after


JARS = """
import asyncio
from fastapi import FastAPI

app = FastAPI()

async def weigh(*about):
    await asyncio.sleep(0)


class FlourJar:
    def __init__(self):
        self._spoons = 9

    async def take(self):
        left = self._spoons
        await weigh(left)
        self._spoons = left - 1


class SugarJar:
    def __init__(self):
        self._spoons = 9

    async def take(self):
        left = self._spoons
        await weigh(left)
        self._spoons = left - 1


flour, sugar = FlourJar(), SugarJar()

@app.post("/flour")
async def take_flour():
    await flour.take()

@app.post("/sugar")
async def take_sugar():
    await sugar.take()
"""


def test_two_classes_that_name_their_state_alike_get_a_lock_each(tmp_path: Path) -> None:
    after = fixed(tmp_path, JARS)
    assert after.count("async with self._spoons_lock:") == 1
    assert after.count("async with self._sugar_jar_spoons_lock:") == 1


@pytest.mark.parametrize(
    ("begin", "is_run"), [("super().__init__()", True), ("Kiln.__init__(self)", True), ("pass", False)]
)
def test_a_subclass_that_does_not_run_the_constructor_has_no_lock_of_it(
    tmp_path: Path, begin: str, is_run: bool
) -> None:
    small = f"class Small(Kiln):\n    def __init__(self):\n        {begin}\n        self.fired = 3\n\n\nkiln = Small()"
    after = fixed(tmp_path, with_slots().replace("kiln = Kiln()", small))
    assert ("async with self._fired_lock:" in after) is is_run
    assert ("async with kiln_lock:" in after) is not is_run


def test_a_constructor_that_may_return_before_it_makes_no_lock_there(tmp_path: Path) -> None:
    early = "def __init__(self, used=0):\n        if used:\n            self.fired = used\n            return\n"
    after = fixed(tmp_path, with_slots().replace("def __init__(self):\n", early))
    assert "async with kiln_lock:" in after
