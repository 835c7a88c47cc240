"""`autolock review` against the tests' forge: what is said about a pull request, where, and how often."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cli_runner import COUNTER
from pulls_checkout import Checkout

if TYPE_CHECKING:
    from pathlib import Path

    from forge import Forge

BRANCH = "visits"
QUIET = '"""Nothing yet."""\n\nfrom fastapi import FastAPI\n\napp = FastAPI()\n'
#: A race in a few lines at the end of a file, so that all of its fix is on lines that the diff shows.
SHORT = """\
import asyncio

from fastapi import FastAPI

app = FastAPI()
visits = {"n": 0}


@app.post("/visit")
async def visit():
    number = visits["n"]
    await asyncio.sleep(0.01)
    visits["n"] = number + 1
"""

STORE = 'visits = {"n": 0}\n'
SPLIT = SHORT.replace(STORE, "").replace("import FastAPI\n", "import FastAPI\n\nfrom store import visits\n")


@pytest.fixture
def checkout(
    forge: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Checkout:
    repository = forge.repository("acme/shop", {"app.py": QUIET, "old.py": COUNTER})
    return Checkout(forge, repository, tmp_path / "shop", monkeypatch, capfdbinary)


def reviewed(checkout: Checkout, number: int) -> int:
    checkout.forge.reset()
    done = checkout("review", "--pull", str(number))
    assert done.code in (0, 1), done
    return done.code


def applied(text: str, first: int, last: int, body: str) -> str:
    """The text after the suggestion in a comment on these lines was applied, as the forge does it."""
    found = re.search(r"```suggestion\n(.*?)```", body, re.DOTALL)
    assert found
    lines = text.splitlines(keepends=True)
    return "".join([*lines[: first - 1], found[1], *lines[last:]])


def test_a_suggestion_on_the_line_is_the_fix(checkout: Checkout) -> None:
    repository = checkout.repository
    repository.commit(BRANCH, {"app.py": SHORT})
    pull = repository.open_pull(BRANCH)
    assert reviewed(checkout, pull.number) == 1
    (comment,) = pull.review_comments
    mended = applied(SHORT, comment.start_line or comment.line, comment.line, comment.body)
    assert "async with visits_lock:" in mended
    assert "visits_lock = asyncio.Lock()" in mended
    repository.commit(BRANCH, {"app.py": mended})
    assert reviewed(checkout, pull.number) == 0
    assert pull.review_comments == []
    assert ["no race" in said.body for said in pull.comments] == [True]


def test_a_second_review_of_the_same_commit_writes_nothing(checkout: Checkout) -> None:
    checkout.repository.commit(BRANCH, {"app.py": SHORT})
    pull = checkout.repository.open_pull(BRANCH)
    reviewed(checkout, pull.number)
    reviewed(checkout, pull.number)
    assert checkout.forge.writes == []
    assert len(pull.comments) == 1
    assert len(pull.review_comments) == 1


def test_races_on_lines_that_were_there_before_are_not_spoken_of(checkout: Checkout) -> None:
    checkout.repository.commit(BRANCH, {"app.py": f"{QUIET}\nLIMIT = 3\n", "old.py": f"# Old.\n{COUNTER}"})
    pull = checkout.repository.open_pull(BRANCH)
    assert reviewed(checkout, pull.number) == 0
    assert pull.comments == []
    assert pull.review_comments == []


def test_a_fix_that_reaches_beyond_the_diff_is_told_in_the_summary_only(checkout: Checkout) -> None:
    checkout.repository.commit("main", {"store.py": STORE})
    split = SHORT.replace('visits = {"n": 0}\n', "").replace(
        "import FastAPI\n", "import FastAPI\n\nfrom store import visits\n"
    )
    checkout.repository.commit(BRANCH, {"app.py": split})
    pull = checkout.repository.open_pull(BRANCH)
    assert reviewed(checkout, pull.number) == 1
    assert pull.review_comments == []
    (summary,) = pull.comments
    assert "`AL101`" in summary.body
    assert "app.py:" in summary.body


def test_an_app_annotates_what_it_cannot_suggest(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    token = checkout.forge.actions_token(checkout.repository, checks="write", pull_requests="write", contents="read")
    monkeypatch.setenv("AUTOLOCK_TOKEN", token)
    checkout.repository.commit("main", {"store.py": STORE})
    split = SHORT.replace('visits = {"n": 0}\n', "").replace(
        "import FastAPI\n", "import FastAPI\n\nfrom store import visits\n"
    )
    checkout.repository.commit(BRANCH, {"app.py": split})
    pull = checkout.repository.open_pull(BRANCH)
    assert reviewed(checkout, pull.number) == 1
    (run,) = checkout.repository.check_runs.values()
    assert run.head_sha == pull.head_sha
    assert [(note["path"], "AL101" in note["title"]) for note in run.annotations] == [("app.py", True)]
    assert reviewed(checkout, pull.number) == 1
    assert checkout.forge.writes == []


def test_a_token_that_may_only_read_fails_no_job(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    token = checkout.forge.actions_token(checkout.repository, pull_requests="read", contents="read")
    monkeypatch.setenv("AUTOLOCK_TOKEN", token)
    checkout.repository.commit(BRANCH, {"app.py": SHORT})
    pull = checkout.repository.open_pull(BRANCH)
    assert reviewed(checkout, pull.number) == 1
    assert pull.review_comments == []


def test_a_comment_of_a_person_that_quotes_autolocks_stays(checkout: Checkout) -> None:
    checkout.repository.commit(BRANCH, {"app.py": SHORT})
    pull = checkout.repository.open_pull(BRANCH)
    reviewed(checkout, pull.number)
    (comment,) = pull.review_comments
    quoted = f"> {comment.body}\n\nI do not agree."
    theirs = replace(comment, id=comment.id + 1000, body=quoted, author=checkout.forge.user("ann", "write"))
    copied = replace(theirs, id=comment.id + 1001, body=comment.body)
    pull.review_comments += [theirs, copied]
    checkout.repository.commit(BRANCH, {"app.py": QUIET})
    reviewed(checkout, pull.number)
    assert pull.review_comments == [theirs, copied]
