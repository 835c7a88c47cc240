"""A lock that is to be held round what a context manager of the project locks, wherever that one is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import autolock

if TYPE_CHECKING:
    from pathlib import Path

TILLS = """
import threading
from contextlib import contextmanager

class Till:
    def __init__(self):
        self.own = threading.Lock()

    @contextmanager
    def opened(self):
        with self.own:
            yield

till = Till()
"""

MAIN = """
from fastapi import FastAPI
from tills import till

app = FastAPI()
paid = {}

def pay(bill: int):
    if bill not in paid:
        print(bill)
        paid[bill] = True

@app.post("/pay")
def pay_in(bill: int):
    with till.opened():
        pay(bill)

@app.post("/settle")
def settle(bill: int):
    if bill not in paid:
        with till.opened():
            print(bill)
        paid[bill] = False
"""

PAY_IN = """def pay_in(bill: int):
    with paid_lock:
        with till.opened():
            pay(bill)
"""


def test_the_new_lock_is_taken_before_that_of_the_manager_everywhere(tmp_path: Path) -> None:
    tmp_path.joinpath("tills.py").write_text(TILLS, encoding="utf-8")
    tmp_path.joinpath("main.py").write_text(MAIN, encoding="utf-8")
    autolock.fix([tmp_path], apply=True, allow_dirty=True, cache=False)
    code = tmp_path.joinpath("main.py").read_text(encoding="utf-8")
    assert PAY_IN in code
    settle = code[code.index("def settle") :]
    assert settle.index("with paid_lock:") < settle.index("with till.opened():")
    assert "with paid_lock:" not in code[code.index("def pay(") : code.index("@app")]
