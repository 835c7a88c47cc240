"""What a lock spans, and what it leaves outside."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import autolock

if TYPE_CHECKING:
    from pathlib import Path


def fixed(folder: Path, text: str) -> str:
    """The program after all its fixes; a second run leaves it as it is."""
    main = folder / "main.py"
    main.write_text(textwrap.dedent(text), encoding="utf-8")
    autolock.fix([folder], apply=True, allow_dirty=True, cache=False)
    once = main.read_text(encoding="utf-8")
    autolock.fix([folder], apply=True, allow_dirty=True, cache=False)
    assert main.read_text(encoding="utf-8") == once
    return once


def test_a_hit_of_a_cache_that_returns_early_does_not_wait(tmp_path: Path) -> None:
    after = fixed(
        tmp_path,
        """
        import time
        import httpx
        from fastapi import FastAPI

        app = FastAPI()
        rates = {}

        def is_fresh(known):
            return known is not None and time.monotonic() < known[0]

        @app.get("/{base}")
        async def rate(base: str):
            known = rates.get(base)
            if is_fresh(known):
                return known[1]
            async with httpx.AsyncClient() as client:
                answer = await client.get(base)
            rates[base] = (time.monotonic() + 60, answer)
            return answer
        """,
    )
    body = after[after.index("async def rate") :].splitlines()
    looks = [number for number, line in enumerate(body) if "is_fresh" in line]
    lock = next(number for number, line in enumerate(body) if "async with rates_lock" in line)
    assert len(looks) == 2
    assert looks[0] < lock < looks[1]


def test_a_check_that_writes_is_not_made_before_the_lock(tmp_path: Path) -> None:
    after = fixed(
        tmp_path,
        """
        import asyncio
        from fastapi import FastAPI

        app = FastAPI()
        rates = {}
        asked = []

        def known(base):
            asked.append(base)
            return base in rates

        @app.get("/{base}")
        async def rate(base: str):
            if known(base):
                return rates[base]
            await asyncio.sleep(0.1)
            rates[base] = base
            return base
        """,
    )
    assert after.count("known(base)") == 2
    assert "async with rates_lock" in after


def test_what_a_lazily_made_object_holds_is_left_alone(tmp_path: Path) -> None:
    after = fixed(
        tmp_path,
        """
        import httpx
        from fastapi import FastAPI

        app = FastAPI()

        class Mailer:
            def __init__(self):
                self.client = httpx.Client()
                self.sender = ""

        mailer = None

        def get_mailer():
            global mailer
            if mailer is None:
                mailer = Mailer()
            return mailer

        @app.post("/")
        def change(sender: str):
            get_mailer().sender = sender
        """,
    )
    assert "    with mailer_lock:\n            if mailer is None:" in after
    assert "\n    get_mailer().sender = sender" in after


def test_the_question_whether_it_is_there_is_asked_under_the_lock(tmp_path: Path) -> None:
    after = fixed(
        tmp_path,
        """
        import time
        from fastapi import FastAPI, HTTPException

        app = FastAPI()
        tokens = {}

        @app.put("/{token}")
        def issue(token: str):
            tokens[token] = {"until": time.time() + 60}

        @app.get("/{token}")
        def read(token: str):
            if token in tokens:
                data = tokens[token]
                if time.time() > data["until"]:
                    del tokens[token]
                    raise HTTPException(401)
                return data
            raise HTTPException(404)
        """,
    )
    body = after[after.index("def read") :].splitlines()
    lock = next(number for number, line in enumerate(body) if "with tokens_lock" in line)
    question = next(number for number, line in enumerate(body) if "if token in tokens" in line)
    assert lock < question


def test_no_lock_is_made_by_the_request_that_needs_it(tmp_path: Path) -> None:
    after = fixed(
        tmp_path,
        """
        import asyncio
        from fastapi import FastAPI, Request

        app = FastAPI()

        class Store:
            def __init__(self):
                self.known = []

            def add(self, name):
                self.known.append(name)

        @app.post("/{name}")
        async def add(name: str, request: Request):
            store = getattr(request.app.state, "store", None)
            if store is None:
                store = await asyncio.to_thread(Store)
                request.app.state.store = store
            store.add(name)
        """,
    )
    assert "app = FastAPI()\nstore_lock = asyncio.Lock()\n" in after
    assert after.count("Lock()") == 1
    assert "    async with store_lock:\n" in after[after.index("async def add") :]


def test_in_threads_an_answer_is_read_under_the_lock_that_the_write_had(tmp_path: Path) -> None:
    after = fixed(
        tmp_path,
        """
        import time
        from fastapi import FastAPI

        app = FastAPI()
        stock = {}

        @app.post("/{name}")
        def take(name: str):
            left = stock.get(name, 10)
            time.sleep(0.01)
            stock[name] = left - 1
            return {"left": stock[name]}

        @app.put("/{name}")
        def put(name: str):
            left = stock.get(name, 10)
            time.sleep(0.01)
            stock[name] = left + 1
            return {"name": name}
        """,
    )
    assert '        return {"left": stock[name]}' in after
    assert '\n    return {"name": name}' in after


def test_both_comparisons_of_a_decision_are_made_under_the_lock(tmp_path: Path) -> None:
    after = fixed(
        tmp_path,
        """
        import asyncio
        from fastapi import FastAPI, HTTPException

        app = FastAPI()
        steps = ["pay", "pack", "ship"]
        state = {"step": 0}

        @app.post("/{number}/{name}")
        async def done(number: int, name: str):
            if number != state["step"]:
                raise HTTPException(409)
            if name != steps[state["step"]]:
                return "wrong"
            await asyncio.sleep(0.1)
            state["step"] = number + 1
            return "right"
        """,
    )
    body = after[after.index("async def done") :]
    assert body.index("async with state_lock") < body.index("raise HTTPException") < body.index("wrong")
    assert body.count("state['step']") + body.count('state["step"]') == 3


def test_the_lock_is_not_let_go_of_for_a_statement_that_only_stores(tmp_path: Path) -> None:
    after = fixed(
        tmp_path,
        """
        import asyncio
        from fastapi import FastAPI, HTTPException

        app = FastAPI()

        class Best:
            score, player, games = 0, "", 0

        best = Best()

        @app.post("/{player}")
        async def play(player: str, score: int):
            if score <= best.score:
                raise HTTPException(409)
            await asyncio.sleep(0.1)
            best.score = score
            best.player = player
            best.games += 1
            return {"best": best.score}
        """,
    )
    body = after[after.index("async def play") :]
    assert body.count("async with") == 1
    assert body.index("async with") < body.index("if score") < body.index("        best.player = player")


def test_a_new_lock_is_taken_before_one_that_is_taken_under_it_elsewhere(tmp_path: Path) -> None:
    after = fixed(
        tmp_path,
        """
        import asyncio
        from fastapi import FastAPI, HTTPException

        app = FastAPI()

        class Club:
            def __init__(self):
                self.members = []
                self._lock = asyncio.Lock()

            def is_full(self):
                return len(self.members) >= 5

            async def admit(self, name):
                async with self._lock:
                    await asyncio.sleep(0.1)
                    self.members.append(name)

            async def expel(self, name):
                async with self._lock:
                    if name in self.members:
                        self.members.remove(name)

        clubs = {"chess": Club(), "golf": Club()}

        @app.post("/{club}/{name}")
        async def join(club: str, name: str):
            if clubs[club].is_full():
                raise HTTPException(409)
            await clubs[club].admit(name)

        @app.delete("/{club}/{name}")
        async def leave(club: str, name: str):
            await clubs[club].expel(name)
        """,
    )
    joins, leaves = after[after.index("async def join") :], after[after.index("async def expel") :]
    assert joins.index("async with clubs_lock") < joins.index("is_full()") < joins.index("admit(name)")
    assert "clubs_lock" in leaves[: leaves.index("self._lock")]
