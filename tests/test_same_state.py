"""One piece of state, kept in several ways: what is found does not hang on where it is kept."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any
from fastapi import FastAPI

app = FastAPI()
"""

KEPT = {
    "a factory that is a lambda": """
        @dataclass
        class Shop:
            sold: Any = field(default_factory=lambda: {"tea": 0})
    """,
    "a factory that nothing is said of": """
        @dataclass
        class Shop:
            sold: object = field(default_factory=dict)
    """,
    "a factory of a factory": """
        @dataclass
        class Shop:
            sold: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """,
}

SELL = """
shop = Shop()

@app.post("/sell/{name}")
def sell(name: str):
    sold = shop.sold[name]
    time.sleep(0.01)
    shop.sold[name] = sold + 1
"""


def found(folder: Path, *parts: str) -> list[tuple[str, str, str]]:
    """Rule, certainty and Location of what is found."""
    (folder / "main.py").write_text(HEAD + "".join(textwrap.dedent(part) for part in parts))
    report = autolock.check([folder], cache=False)
    return [(f.rule, f.certainty.value, f.location) for f in report.findings]


@pytest.mark.parametrize("kept", KEPT)
def test_what_a_dataclass_makes_for_its_object_is_shared_with_it(kept: str, tmp_path: Path) -> None:
    assert found(tmp_path, KEPT[kept], SELL) == [("AL101", "race", "shop.sold")]


@pytest.mark.parametrize("annotation", ["int", "Any", "object"])
def test_what_is_said_of_a_number_does_not_hide_where_it_was_read(annotation: str, tmp_path: Path) -> None:
    handler = f"""
        sold = {{}}

        @app.post("/sell/{{name}}")
        def sell(name: str, pieces: list[int]):
            total: {annotation} = sold.get(name, 0)
            for piece in pieces:
                time.sleep(0.01)
                total += piece
            sold[name] = total
    """
    assert found(tmp_path, handler) == [("AL101", "race", "sold")]


@pytest.mark.parametrize("target", ["sold[name]", "counts()[name]", "counts()[key(name)]", "sold[key(name)]"])
def test_a_call_that_gives_the_place_comes_before_the_place_is_read(target: str, tmp_path: Path) -> None:
    handler = f"""
        sold = {{"tea": 0}}

        def counts():
            return sold

        def key(name):
            return name.strip()

        @app.post("/sell/{{name}}")
        def sell(name: str):
            {target} += 1
    """
    assert found(tmp_path, handler) == [("AL101", "latent", "sold")]


@pytest.mark.parametrize(
    "test",
    ["if client is None:", "match client:\n        case None:", "match client:\n        case False | None | 0:"],
)
def test_a_match_asks_what_an_if_asks(test: str, tmp_path: Path) -> None:
    """The fix, too, is the one of the `if`: it looks again under a lock."""
    inner = " " * (12 if "match" in test else 8)
    handler = f"""
client = None

@app.get("/")
def get():
    global client
    {test}
{inner}client = connect()
    return client.name

def connect():
    time.sleep(0.01)
    return Client()

class Client:
    def __init__(self):
        self.name = "one"
        self.sent = []

    def send(self, text):
        self.sent.append(text)
"""
    assert found(tmp_path, handler) == [("AL103", "race", "client")]
    autolock.fix([tmp_path], apply=True, cache=False)
    assert "with client_lock:" in (tmp_path / "main.py").read_text()
