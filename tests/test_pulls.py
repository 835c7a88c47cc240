"""`autolock pr` against a forge with real git repositories: what it opens, keeps true, closes and leaves alone."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from cli_runner import COUNTER
from pulls_checkout import ROUTES, SHOP, STORE, Checkout, git

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from forge import Forge

UPDATE, CHECK = "autolock/lost-update", "autolock/check-then-act"


@pytest.fixture
def checkout(
    forge: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Checkout:
    return Checkout(forge, forge.repository("acme/shop", SHOP), tmp_path / "shop", monkeypatch, capfdbinary)


@pytest.fixture
def small(
    forge: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Checkout:
    """A repository with one race in one file, for tests that run often."""
    repository = forge.repository("acme/counter", {"app.py": COUNTER})
    return Checkout(forge, repository, tmp_path / "counter", monkeypatch, capfdbinary)


def test_one_pull_request_a_rule_each_of_which_applies_alone(checkout: Checkout) -> None:
    checkout.pr_done()
    repository = checkout.repository
    assert set(checkout.open_branches()) == {UPDATE, CHECK}
    update, check = repository.files(UPDATE), repository.files(CHECK)
    assert "orders_lock" in update["app/routes.py"]
    assert "stock_lock" not in update["app/routes.py"]
    assert "stock_lock" in check["app/routes.py"]
    assert "orders_lock" not in check["app/routes.py"]


def test_the_body_shows_the_race_the_fix_and_how_to_check_it(checkout: Checkout) -> None:
    checkout.pr_done()
    body = checkout.repository.pulls[checkout.open_branches()[UPDATE]].body
    for said in (
        "LOST",
        "`orders",
        "app/routes.py:",
        "`POST /orders`",
        "asyncio.Lock",
        "one process",
        "autolock prove",
    ):
        assert said in body


def test_a_second_run_writes_nothing(checkout: Checkout) -> None:
    checkout.pr_done()
    checkout.pr_done()
    assert checkout.forge.writes == []


def test_lines_above_do_not_make_a_pull_request_change(checkout: Checkout) -> None:
    checkout.pr_done()
    checkout.repository.commit("main", {"README.md": "The shop.\n"})
    checkout.configure({"check": "false"})
    checkout.pr_done()
    assert checkout.forge.writes == []


def test_a_branch_follows_its_base_where_the_same_files_have_changed(checkout: Checkout) -> None:
    checkout.pr_done()
    number = checkout.open_branches()[UPDATE]
    base = checkout.repository.commit("main", {"app/routes.py": f"# Routes of the shop.\n{ROUTES}"})
    checkout.pr_done()
    assert checkout.open_branches()[UPDATE] == number
    (commit,) = checkout.repository.commits(UPDATE)
    assert list(commit.parents) == [base]
    assert checkout.repository.files(UPDATE)["app/routes.py"].startswith("# Routes of the shop.\n")
    checkout.pr_done()
    assert checkout.forge.writes == []


def test_a_pull_request_whose_findings_are_gone_is_closed_with_the_reason(checkout: Checkout) -> None:
    checkout.pr_done()
    number = checkout.open_branches()[UPDATE]
    mended = ROUTES.replace("    await asyncio.sleep(0.01)\n    orders", "    orders")
    checkout.repository.commit("main", {"app/routes.py": mended})
    checkout.pr_done()
    pull = checkout.repository.pulls[number]
    assert pull.state == "closed"
    assert UPDATE not in checkout.repository.branches()
    assert [comment for comment in pull.comments if "finds none of these any more" in comment.body]
    checkout.repository.commit("main", {"app/routes.py": ROUTES})
    checkout.pr_done()
    assert UPDATE in checkout.open_branches(), "nobody has turned it down"


def test_a_new_finding_joins_the_pull_request_of_its_rule(checkout: Checkout) -> None:
    checkout.pr_done()
    number = checkout.open_branches()[UPDATE]
    main = SHOP["app/main.py"].replace("import routes", "import returns, routes")
    files = {
        "app/main.py": f"{main}app.include_router(returns.router)\n",
        "app/returns.py": _RETURNS,
        "app/store.py": f"{STORE}returns = {{'n': 0}}\n",
    }
    checkout.repository.commit("main", files)
    checkout.pr_done()
    assert checkout.open_branches()[UPDATE] == number
    assert "returns" in checkout.repository.pulls[number].body
    assert "returns_lock" in checkout.repository.files(UPDATE)["app/returns.py"]


_RETURNS = """\
import asyncio

from fastapi import APIRouter

from app.store import returns

router = APIRouter()


@router.post("/returns")
async def give_back():
    number = returns["n"]
    await asyncio.sleep(0.01)
    returns["n"] = number + 1
"""


def test_commits_of_a_person_are_never_lost(checkout: Checkout) -> None:
    checkout.pr_done()
    number, repository = checkout.open_branches()[UPDATE], checkout.repository
    theirs = repository.commit(UPDATE, {"notes.txt": "mine\n"}, message="Explain the lock")
    repository.commit("main", {"app/routes.py": f"# Routes of the shop.\n{ROUTES}"})
    for _ in range(2):
        checkout.pr_done()
        assert repository.head(UPDATE) == theirs
    said = [comment for comment in repository.pulls[number].comments if "leaves it alone" in comment.body]
    assert len(said) == 1


def test_a_commit_of_a_person_that_comes_in_between_is_not_overwritten(checkout: Checkout) -> None:
    checkout.pr_done()
    repository = checkout.repository
    repository.commit("main", {"app/routes.py": f"# Routes of the shop.\n{ROUTES}"})

    def human() -> None:
        repository.commit(UPDATE, {"notes.txt": "mine\n"}, message="Explain the lock")

    checkout.forge.meanwhile("POST", "/git-receive-pack", human)
    done = checkout.pr()
    assert done.code == 1
    assert "moved by somebody else" in done.err
    assert "notes.txt" in repository.files(UPDATE)
    checkout.pr_done()
    assert "notes.txt" in repository.files(UPDATE)


def test_what_was_closed_unmerged_is_not_proposed_again_until_asked_for(checkout: Checkout) -> None:
    checkout.pr_done()
    number, repository = checkout.open_branches()[UPDATE], checkout.repository
    repository.close(number)
    checkout.pr_done()
    assert set(checkout.open_branches()) == {CHECK}
    reader = checkout.forge.user("reader", "read")
    repository.comment(number, "@autolock recreate", reader)
    checkout.pr_done()
    assert set(checkout.open_branches()) == {CHECK}, "only who may write is listened to"
    writer = checkout.forge.user("writer", "write")
    repository.comment(number, "@autolock recreate", writer)
    checkout.pr_done()
    assert set(checkout.open_branches()) == {CHECK, UPDATE}


def test_a_merged_fix_is_not_proposed_again(checkout: Checkout) -> None:
    checkout.pr_done()
    checkout.repository.merge(checkout.open_branches()[UPDATE])
    checkout.pr_done()
    assert set(checkout.open_branches()) == {CHECK}
    checkout.repository.merge(checkout.open_branches()[CHECK])
    checkout.pr_done()
    assert checkout.open_branches() == {}


def test_no_more_are_open_than_the_limit_says(checkout: Checkout) -> None:
    checkout.configure({"max-open": "1"})
    first = checkout.pr_done()
    assert len(checkout.open_branches()) == 1
    assert "no more than 1 at once" in first.out
    (number,) = checkout.open_branches().values()
    checkout.repository.merge(number)
    checkout.pr_done()
    assert len(checkout.open_branches()) == 1
    assert number not in checkout.open_branches().values()


def test_nothing_is_opened_outside_the_schedule_and_what_is_open_is_kept_true(checkout: Checkout) -> None:
    checkout.configure({"schedule": '["00:00-00:00"]'})  # never
    done = checkout.pr_done()
    assert checkout.open_branches() == {}
    assert "schedule" in done.out


def test_a_title_that_somebody_has_chosen_stays(checkout: Checkout) -> None:
    checkout.pr_done()
    number, repository = checkout.open_branches()[UPDATE], checkout.repository
    repository.pulls[number].title = "Lock the orders"
    repository.commit("main", {"app/routes.py": f"# Routes of the shop.\n{ROUTES}"})
    checkout.pr_done()
    assert repository.pulls[number].title == "Lock the orders"


def test_labels_reviewers_and_owners_are_asked_for_once(checkout: Checkout) -> None:
    for name in ("ann", "bob", "cleo"):
        checkout.forge.user(name, "write")
    repository = checkout.repository
    repository.commit("main", {"CODEOWNERS": "* @bob\n/app/routes.py @cleo @nobody\n/app/store.py @cleo\n"})
    asked = {"labels": '["race-condition"]', "reviewers": '["ann", "codeowners"]', "assignees": '["ann"]'}
    checkout.configure(asked)
    checkout.pr_done()
    pull = repository.pulls[checkout.open_branches()[UPDATE]]
    assert set(pull.labels) == {"race-condition"}
    assert set(pull.requested_reviewers) == {"ann", "cleo"}, "who is no account does not keep the others away"
    pull.labels.clear()
    checkout.pr_done()
    assert not pull.labels, "who takes a label away does not want it"


def test_groups(checkout: Checkout) -> None:
    checkout.pr_done("--group", "all")
    assert set(checkout.open_branches()) == {"autolock/all"}
    files = checkout.repository.files("autolock/all")
    assert "orders_lock" in files["app/routes.py"]
    assert "stock_lock" in files["app/routes.py"]
    checkout.pr_done("--group", "rule")
    assert set(checkout.open_branches()) == {UPDATE, CHECK}
    checkout.pr_done("--group", "location")
    branches = set(checkout.open_branches())
    assert "autolock/all" not in branches
    assert len(branches) == 2
    assert all(branch.rpartition("/")[0] in (UPDATE, CHECK) for branch in branches)


def test_a_dry_run_changes_nothing_and_needs_no_token(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = f"url.{checkout.repository.path}.insteadOf"
    git(checkout.folder, "config", credentials, checkout.repository.clone_url)
    monkeypatch.delenv("AUTOLOCK_TOKEN")
    done = checkout.pr("--dry-run", "--base", "main")
    assert done.code == 0
    assert checkout.forge.requests == []
    for said in (UPDATE, CHECK, "### What can go wrong", "Autolock-Group: lost-update", "+    async with orders_lock:"):
        assert said in done.out
    assert set(checkout.repository.branches()) == {"main"}


def test_commits_are_written_as_the_repository_writes_its_own(checkout: Checkout) -> None:
    for number in range(3):
        checkout.repository.commit("main", {"n.txt": str(number)}, message=f"feat(shop): step {number}")
    settings = {"sign-off": "true", "author": '"Bot <bot@example.org>"', "co-authors": '["Ann <ann@example.org>"]'}
    checkout.configure(settings)
    checkout.pr_done()
    (commit,) = checkout.repository.commits(UPDATE)
    assert commit.message.startswith("fix: guard orders against lost-update\n")
    assert "Signed-off-by: Bot <bot@example.org>" in commit.message
    assert "Co-authored-by: Ann <ann@example.org>" in commit.message
    assert checkout.repository.pulls[checkout.open_branches()[UPDATE]].title == commit.message.splitlines()[0]


def state_of(folder: Path) -> tuple[str, str, str]:
    return git(folder, "status", "--porcelain"), git(folder, "branch", "-v"), git(folder, "worktree", "list")


def test_the_checkout_is_left_as_it_is_and_nothing_of_it_is_run(checkout: Checkout, tmp_path: Path) -> None:
    proof = tmp_path / "ran"
    hook = f"#!/bin/sh\ntouch {proof}\n"
    for name in ("post-checkout", "pre-push", "pre-commit", "reference-transaction", "post-index-change"):
        file = checkout.write(f".git/hooks/{name}", hook)
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
    code = f"import pathlib\n\npathlib.Path({str(proof)!r}).touch()\n"
    checkout.repository.commit("main", {"app/main.py": code + SHOP["app/main.py"], "setup.py": code})
    checkout.write("app/routes.py", "changed, not committed\n")
    before = (
        git(checkout.folder, "status", "--porcelain"),
        git(checkout.folder, "for-each-ref", "refs/heads", "refs/tags"),
    )
    proof.unlink(missing_ok=True)
    checkout.pr_done()
    assert not proof.exists()
    assert (
        git(checkout.folder, "status", "--porcelain"),
        git(checkout.folder, "for-each-ref", "refs/heads", "refs/tags"),
    ) == before
    assert git(checkout.folder, "worktree", "list").count("\n") == 1


def test_the_token_is_nowhere_to_be_seen(checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "argv"
    wrapper = tmp_path / "bin" / "git"
    wrapper.parent.mkdir()
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    wrapper.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {log}\nexec {real} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}{os.pathsep}{os.environ['PATH']}")
    token = checkout.forge.token
    outcomes = [checkout.pr()]
    checkout.forge.fail("*", "/git-receive-pack", 500, times=None)
    checkout.repository.commit("main", {"app/routes.py": f"# Routes of the shop.\n{ROUTES}"})
    outcomes.append(checkout.pr())
    assert outcomes[-1].code == 1
    printed = "".join(outcome.out + outcome.err for outcome in outcomes)
    kept = b"".join(file.read_bytes() for file in (checkout.folder / ".git").rglob("*") if file.is_file())
    assert log.read_text().count("push") > 1
    assert token not in printed
    assert token not in log.read_text()
    assert token.encode() not in kept
    assert all(token not in pull.body for pull in checkout.repository.pulls.values())
    for seen in checkout.forge.requests:
        assert token not in f"{seen.path} {seen.query}"
        assert token.encode() not in seen.body


def test_a_wrong_token_is_one_line(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOLOCK_TOKEN", "wrong-token-of-somebody")
    done = checkout.pr()
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert "401" in done.err
    assert "wrong-token" not in done.err


def test_a_push_whose_answer_is_lost_is_not_taken_for_somebody_elses(checkout: Checkout) -> None:
    checkout.forge.drop("POST", "/git-receive-pack", after=True)
    checkout.pr_done()
    assert len(checkout.open_branches()) == 2


FAULTS: dict[str, Callable[[Forge, str, str], object]] = {
    "drop": lambda forge, method, path: forge.drop(method, path),
    "drop-after": lambda forge, method, path: forge.drop(method, path, after=True),
    "cut": lambda forge, method, path: forge.cut(method, path),
    "502": lambda forge, method, path: forge.fail(method, path, 502),
    "502-after": lambda forge, method, path: forge.fail(method, path, 502, after=True),
    "500-four-times": lambda forge, method, path: forge.fail(method, path, 500, times=4),
    "secondary": lambda forge, method, path: forge.secondary_limit(method, path),
    "429": lambda forge, method, path: forge.secondary_limit(method, path, status=429),
    "primary": lambda forge, method, path: forge.primary_limit(reset_in=60),
}
#: Every fault where a pull request is opened; elsewhere those that differ by what has been done already.
PLACES = [
    *(("POST", "/pulls", fault) for fault in FAULTS),
    *(
        (*place, f)
        for place in (("POST", "/git-receive-pack"), ("GET", "/pulls"))
        for f in ("drop-after", "cut", "502")
    ),
]


@pytest.mark.parametrize(("method", "path", "fault"), PLACES, ids=["-".join(place) for place in PLACES])
def test_a_fault_loses_nothing_and_doubles_nothing(small: Checkout, method: str, path: str, fault: str) -> None:
    FAULTS[fault](small.forge, method, path)
    first = small.pr()
    assert first.code in (0, 1, 2)
    assert "Traceback" not in first.err
    small.pr_done()
    assert len(small.repository.pulls) == 1
    assert set(small.open_branches()) == {UPDATE}
    assert len(small.repository.commits(UPDATE)) == 1
    small.pr_done()
    assert small.forge.writes == []


@pytest.mark.parametrize("request_number", range(2, 23, 7))
@pytest.mark.parametrize("flow", ["update", "close"])
def test_a_run_can_break_off_after_any_request(small: Checkout, flow: str, request_number: int) -> None:
    """The answer to one request is lost: the next run ends what was begun, and says nothing twice."""
    small.configure({"labels": '["race"]', "dashboard": "true"})
    repository = small.repository
    small.pr_done()
    repository.commit("main", {"app.py": f"# Counts.\n{COUNTER}" if flow == "update" else "x = 1\n"})
    small.forge.drop("*", "", after=True, skip=request_number)
    assert "Traceback" not in small.pr().err
    small.forge.faults.clear()
    small.pr_done()
    (pull,) = repository.pulls.values()
    if flow == "close":
        assert pull.state == "closed"
        assert UPDATE not in repository.branches()
        assert len([comment for comment in pull.comments if "finds none" in comment.body]) == 1
    else:
        assert pull.state == "open"
        assert [list(commit.parents) for commit in repository.commits(UPDATE)] == [[repository.head("main")]]
        assert pull.comments == []
    assert len(repository.issues) == 1
    small.pr_done()
    assert small.forge.writes == []


def test_two_bots_at_once_open_one(checkout: Checkout) -> None:
    other = checkout.folder.parent / "other"

    def other_bot() -> None:
        environment = {**os.environ, "AUTOLOCK_TOKEN": checkout.forge.token}
        subprocess.run([sys.executable, "-m", "autolock", "pr", str(other)], env=environment, check=True)

    git(checkout.folder.parent, "clone", "-q", str(checkout.folder), str(other))
    git(other, "remote", "set-url", "origin", checkout.repository.clone_url)
    (other / "autolock.toml").write_text(checkout.read("autolock.toml"))
    checkout.forge.meanwhile("POST", "/pulls", other_bot)
    checkout.pr_done()
    assert len(checkout.repository.pulls) == 2
    assert set(checkout.open_branches()) == {UPDATE, CHECK}


@pytest.mark.parametrize("face", ["gitlab", "gitea"])
def test_other_forges(checkout: Checkout, face: str) -> None:
    checkout.configure({"labels": '["race-condition"]'}, face=face)
    checkout.pr_done()
    assert set(checkout.open_branches()) == {UPDATE, CHECK}
    checkout.pr_done()
    assert checkout.forge.writes == []
    number = checkout.open_branches()[UPDATE]
    mended = ROUTES.replace("    await asyncio.sleep(0.01)\n    orders", "    orders")
    checkout.repository.commit("main", {"app/routes.py": mended})
    checkout.pr_done()
    pull = checkout.repository.pulls[number]
    assert pull.state == "closed"
    assert pull.comments
    assert set(pull.labels) == {"race-condition"}


def test_the_dashboard_is_kept_true(checkout: Checkout) -> None:
    checkout.configure({"dashboard": "true"})
    checkout.pr_done()
    (issue,) = checkout.repository.issues.values()
    assert UPDATE in issue.body
    assert CHECK in issue.body
    checkout.pr_done()
    assert checkout.forge.writes == []
    checkout.repository.close(checkout.open_branches()[UPDATE])
    checkout.pr_done()
    (issue,) = checkout.repository.issues.values()
    assert "not proposed again" in issue.body


def test_a_check_reports_also_when_there_is_nothing(checkout: Checkout) -> None:
    checkout.repository.commit("main", {"app/routes.py": "x = 1\n", "app/main.py": "y = 2\n"})
    checkout.pr_done()
    assert [status.description for status in checkout.repository.statuses] == ["no races found"]
