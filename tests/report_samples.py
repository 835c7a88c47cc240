"""Findings and reports for the tests of the report formats, made by small factories."""

from __future__ import annotations

from functools import partial

from autolock.findings import (
    Action,
    Certainty,
    FileChange,
    Finding,
    Fix,
    Place,
    Problem,
    Report,
    Rewrite,
    Safety,
    Severity,
    Statistics,
    Step,
    Window,
)
from autolock.report.base import RuleInfo

SHOP = """\
from fastapi import FastAPI, HTTPException

import payments
from models import Confirmation, Purchase

app = FastAPI()
PRICES = {"mug": 1200, "poster": 2500}
stock = {"mug": 5, "poster": 2}


@app.post("/purchases", response_model=Confirmation)
async def purchase(request: Purchase):
    if request.sku not in PRICES:
        raise HTTPException(404, "unknown product")
    if stock[request.sku] < request.quantity:
        raise HTTPException(409, "out of stock")
    cents = PRICES[request.sku] * request.quantity
    receipt = await payments.charge(request.card, cents)
    stock[request.sku] -= request.quantity
    return Confirmation(receipt=receipt.id, left=stock[request.sku])
"""

STORE = """\
class Store:
    def __init__(self):
        self._seats = {}

    def reserve(self, seat, name):
        if seat in self._seats:
            raise Taken(seat)
        audit(seat, name)
        self._seats[seat] = name


def render(count):
    visits = load()
    visits["count"] = visits.get("count", 0) + 1
    save(visits)
"""

STATS = """\
counter = {"count": 0}


@app.get("/count")
async def increment():
    counter["count"] += 1
    return counter
"""

RULES = {
    "AL101": RuleInfo(
        "AL101", "lost-update", "A shared value is read, changed and written back.", "# lost-update\n", "memory"
    ),
    "AL102": RuleInfo(
        "AL102", "check-then-act", "A shared value is checked, then acted on.", "# check-then-act\n", "memory"
    ),
}


def place(line: int, column: int = 5, length: int = 20, path: str = "app/shop.py", function: str = "purchase") -> Place:
    return Place(path, line, column, line, column + length, function)


def step(
    request: str,
    action: Action,
    line: int,
    code: str,
    value: str = "",
    note: str = "",
    lost: bool = False,
    path: str = "app/shop.py",
    function: str = "purchase",
) -> Step:
    return Step(request, action, place(line, path=path, function=function), code, value, note, lost)


def purchase_steps() -> tuple[Step, ...]:
    check, charge, sell = (
        "stock[request.sku] < request.quantity",
        "await payments.charge(request.card, cents)",
        "stock[request.sku] -= request.quantity",
    )
    return (
        step("A", Action.CHECK, 15, check, "1 < 1 is False"),
        step("A", Action.SUSPEND, 18, charge),
        step("B", Action.CHECK, 15, check, "1 < 1 is False"),
        step("B", Action.SUSPEND, 18, charge),
        step("B", Action.WRITE, 19, sell, "0"),
        step("A", Action.WRITE, 19, sell, "-1", "sold what B had sold already", lost=True),
    )


def race(steps: tuple[Step, ...] | None = None, **changes: object) -> Finding:
    """A check-then-act race in app/shop.py; `changes` are fields of the finding to have otherwise."""
    fields: dict[str, object] = {
        "rule": "AL102",
        "name": "check-then-act",
        "category": "memory",
        "certainty": Certainty.RACE,
        "severity": Severity.HIGH,
        "place": place(15, 8, 18),
        "message": "two requests at once both see `stock[request.sku]` as available, and both sell the last item",
        "location": "stock",
        "window": Window("stock", "event loop", purchase_steps() if steps is None else steps),
        "routes": ("POST /purchases",),
        "fix": Fix(
            Safety.SAFE,
            "hold one asyncio.Lock round the check and the sale",
            "every writer of `stock` takes `stock_lock`, made beside it in app/shop.py",
            ("app/shop.py",),
        ),
        "fingerprint": "3f2a9c0d11e84b67",
    }
    return Finding(**{**fields, **changes})  # type: ignore[arg-type]


def thread_race() -> Finding:
    """A race between two threads that goes through a helper in another file."""
    reserve = partial(step, path="app/store.py", function="Store.reserve")
    steps = (
        reserve("A", Action.READ, 6, "seat in self._seats", "False"),
        reserve("A", Action.SWITCH, 8, "", note="thread switch"),
        reserve("B", Action.READ, 6, "seat in self._seats", "False"),
        reserve("B", Action.WRITE, 9, "self._seats[seat] = name", "'Bo'", "overwritten by A", lost=True),
        reserve("A", Action.WRITE, 9, "self._seats[seat] = name", "'Ann'"),
    )
    return race(
        severity=Severity.MEDIUM,
        place=Place("app/store.py", 6, 9, 9, 37, "Store.reserve"),
        message="two requests at once both find `seat` free, and the second takes it from the first",
        location="Store._seats",
        window=Window("Store._seats", "thread pool", steps),
        routes=("POST /seats/{seat}", "PUT /seats/{seat}"),
        fix=Fix(
            Safety.NONE,
            "move `audit` out of the section first",
            "it takes the same lock, which cannot be taken twice",
            (),
        ),
        fingerprint="77aa00c2d5f1e390",
    )


def latent() -> Finding:
    return race(
        (),
        rule="AL101",
        name="lost-update",
        certainty=Certainty.LATENT,
        severity=Severity.LOW,
        place=Place("app/stats.py", 6, 5, 6, 26, "increment"),
        message='`counter["count"] += 1` is atomic today: nothing can run between its read and its write '
        "as long as no await comes between them",
        location="counter",
        routes=("GET /count",),
        fix=Fix(Safety.SAFE, "hold counter_lock round the increment", "one lock for `counter`", ("app/stats.py",)),
        fingerprint="0b1c2d3e4f506172",
    )


def rewrite() -> Rewrite:
    before = SHOP.encode()
    guarded = SHOP.replace("import payments\n", "import asyncio\n\nimport payments\n").replace(
        '"poster": 2}\n', '"poster": 2}\nstock_lock = asyncio.Lock()\n'
    )
    return Rewrite(
        title="hold one asyncio.Lock round the check and the sale",
        reason="every writer of stock takes it",
        safety=Safety.SAFE,
        fingerprints=("3f2a9c0d11e84b67",),
        changes=(FileChange("app/shop.py", before, guarded.encode()),),
    )


def report(*findings: Finding, root: str = "/srv/shop", rewrites: tuple[Rewrite, ...] = ()) -> Report:
    """A report of the given findings, or of one of each kind."""
    return Report(
        root=root,
        findings=findings or (race(), thread_race(), latent()),
        errors=(Problem("app/bad.py", "line 3 is not valid Python", "mend it or exclude it"),),
        notes=(Problem("app/dyn.py", "getattr with a computed name was not followed"),),
        rewrites=rewrites,
        statistics=Statistics(files=42, lines=18_234, parsed=40, cached=2, functions=811, routes=96, seconds=0.41),
        texts={"app/shop.py": SHOP, "app/store.py": STORE, "app/stats.py": STATS},
    )
