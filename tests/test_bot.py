"""The bot as a GitHub App: signed webhooks of GitHub's own examples in, pull requests on the tests' forge out."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from cli_runner import COUNTER
from fastapi.testclient import TestClient
from pulls_checkout import git

from autolock.bot import store
from autolock.bot.server import create_app
from autolock.bot.settings import BotSettings, settings_from
from autolock.errors import AutolockError

if TYPE_CHECKING:
    from pathlib import Path

    from forge import Forge
    from forge.state import Repository

SECRET = "a secret of the webhook"
UPDATE = "autolock/lost-update"


class Bot:
    """A bot, installed on one repository, and the deliveries that GitHub would send it."""

    def __init__(self, forge: Forge, folder: Path, database: str) -> None:
        self.forge = forge
        self.repository: Repository = forge.repository("acme/shop", {"app.py": COUNTER})
        self.installation = forge.install(self.repository)
        self.settings = BotSettings(
            app_id=str(forge.app.id),
            private_key=forge.app.private_key,
            webhook_secret=SECRET,
            database=database,
            work=folder / "clones",
            api=forge.api_url,
        )

    @contextmanager
    def serving(self) -> Iterator[TestClient]:
        with TestClient(create_app(self.settings)) as client:
            yield client

    def payload(self, example: str, **changes: Any) -> dict[str, Any]:
        """One of GitHub's examples, as it would be for this repository and installation."""
        payload: dict[str, Any] = self.forge.webhooks.payload(example)
        payload["installation"] = {"id": self.installation.id}
        payload["repository"] = {
            "id": self.repository.id,
            "full_name": self.repository.full_name,
            "default_branch": self.repository.default_branch,
        }
        return {**payload, **changes}

    def push(self) -> dict[str, Any]:
        return self.payload("push", ref="refs/heads/main", deleted=False)

    def comment(self, number: int, text: str, author: str) -> dict[str, Any]:
        issue = {"number": number, "pull_request": {"url": "..."}}
        said = {"id": 1, "body": text, "user": {"login": author}}
        return self.payload("issue_comment.created", issue=issue, comment=said, action="created")


def send(client: TestClient, event: str, payload: Any, *, delivery: str = "", secret: str = SECRET) -> int:
    """Deliver a webhook as GitHub does; the status of the answer."""
    body = json.dumps(payload).encode()
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": delivery or str(uuid.uuid4()),
        "X-Hub-Signature-256": f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}",
    }
    return client.post("/webhook", content=body, headers=headers).status_code


def settled(client: TestClient) -> None:
    """Wait until nothing is left to do."""
    for _ in range(600):
        if client.get("/health").json() == {"jobs": 0}:
            return
        time.sleep(0.1)
    raise AssertionError("the bot is not done")


@pytest.fixture
def bot(forge: Forge, tmp_path: Path) -> Bot:
    return Bot(forge, tmp_path, f"sqlite:///{tmp_path / 'bot.db'}")


def test_a_push_to_the_default_branch_opens_a_pull_request_with_a_verified_commit(bot: Bot) -> None:
    with bot.serving() as client:
        assert send(client, "push", bot.push()) == 202
        settled(client)
    (pull,) = bot.repository.pulls.values()
    assert pull.head == UPDATE
    (commit,) = bot.repository.commits(UPDATE)
    assert commit.sha in bot.repository.verified
    assert "counter_lock" in bot.repository.files(UPDATE)["app.py"]


def test_pushes_elsewhere_and_events_of_no_interest_give_nothing_to_do(bot: Bot) -> None:
    with bot.serving() as client:
        for event, payload in (
            ("push", bot.payload("push", ref="refs/heads/feature")),
            ("push", bot.payload("push", ref="refs/tags/v1")),
            ("ping", bot.payload("ping")),
            ("star", {"action": "created"}),
            ("push", ["not", "an", "object"]),
            ("push", {"ref": None, "repository": 3, "installation": "x"}),
            ("issue_comment", bot.comment(1, "I like autolock rebase", "ann")),
        ):
            assert send(client, event, payload) == 202
        settled(client)
    assert bot.repository.pulls == {}
    assert bot.forge.requests == []


def test_what_is_not_signed_is_refused_before_it_is_read(bot: Bot) -> None:
    with bot.serving() as client:
        assert send(client, "push", bot.push(), secret="another") == 401
        assert client.post("/webhook", content=b"{not json").status_code == 401
        settled(client)
    assert bot.repository.pulls == {}


def test_a_delivery_that_was_here_before_is_refused(bot: Bot) -> None:
    with bot.serving() as client:
        assert send(client, "ping", bot.payload("ping"), delivery="one") == 202
        assert send(client, "ping", bot.payload("ping"), delivery="one") == 409


def test_what_was_accepted_is_done_after_a_crash(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as killed:
        killed.setattr("autolock.bot.runner.Runner.start", lambda runner: None)
        app = create_app(bot.settings)
        assert send(TestClient(app), "push", bot.push()) == 202  # accepted, and then the process is gone
    with bot.serving() as client:
        settled(client)
    assert len(bot.repository.pulls) == 1


def test_a_job_that_failed_is_tried_again(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autolock.bot.runner._FIRST_DELAY", 0.1)
    monkeypatch.setattr("autolock.bot.runner._IDLE", 0.1)
    bot.forge.fail("POST", "/git/blobs", 422)
    with bot.serving() as client:
        send(client, "push", bot.push())
        settled(client)
    assert [pull.head for pull in bot.repository.pulls.values()] == [UPDATE]


def test_commands_of_those_who_may_write(bot: Bot) -> None:
    repository = bot.repository
    bot.forge.user("reader", "read")
    bot.forge.user("writer", "write")
    with bot.serving() as client:
        send(client, "push", bot.push())
        settled(client)
        (number,) = repository.pulls
        first = repository.head(UPDATE)
        repository.commit("main", {"README.md": "The shop.\n"})
        send(client, "issue_comment", bot.comment(number, "@autolock rebase", "reader"))
        settled(client)
        assert repository.head(UPDATE) == first
        send(client, "issue_comment", bot.comment(number, "@autolock rebase", "writer"))
        settled(client)
        (commit,) = repository.commits(UPDATE)
        assert list(commit.parents) == [repository.head("main")]
        send(client, "issue_comment", bot.comment(number, "Thanks!\n@autolock explain please", "writer"))
        settled(client)
        assert any("`AL101`" in comment.body for comment in repository.pulls[number].comments)
        send(client, "issue_comment", bot.comment(number, "@autolock ignore", "writer"))
        settled(client)
        assert repository.pulls[number].state == "closed"
        send(client, "push", bot.push())
        settled(client)
    assert [pull.state for pull in repository.pulls.values()] == ["closed"]


def test_recreate_puts_autolocks_own_version_back(bot: Bot) -> None:
    repository = bot.repository
    bot.forge.user("writer", "write")
    with bot.serving() as client:
        send(client, "push", bot.push())
        settled(client)
        (number,) = repository.pulls
        repository.commit(UPDATE, {"notes.txt": "mine\n"}, message="A note")
        send(client, "push", bot.push())
        settled(client)
        assert "notes.txt" in repository.files(UPDATE)
        send(client, "issue_comment", bot.comment(number, "@autolock recreate", "writer"))
        settled(client)
    assert "notes.txt" not in repository.files(UPDATE)
    assert repository.pulls[number].state == "open"


def test_a_pull_request_of_a_person_is_reviewed(bot: Bot) -> None:
    repository = bot.repository
    added = COUNTER.replace("counter", "visits").replace("increment", "visit")
    repository.commit("feature", {"visits.py": added})
    pull = repository.open_pull("feature")
    payload = bot.payload("pull_request.opened", number=pull.number, action="opened")
    payload["pull_request"]["head"]["ref"] = "feature"
    with bot.serving() as client:
        send(client, "pull_request", payload)
        settled(client)
    assert "```suggestion" in pull.review_comments[0].body


def test_tokens_are_for_one_repository_and_no_more_than_is_needed(bot: Bot) -> None:
    with bot.serving() as client:
        send(client, "push", bot.push())
        settled(client)
    asked = [seen.json for seen in bot.forge.requests if seen.path.endswith("/access_tokens")]
    assert [request["repository_ids"] for request in asked] == [[bot.repository.id]]
    assert set(asked[0]["permissions"]) <= {"contents", "pull_requests", "issues", "checks", "metadata"}
    clone = b"".join(file.read_bytes() for file in bot.settings.work.rglob("*") if file.is_file())
    assert b"ghs_" not in clone


def test_a_removed_installation_has_nothing_done_for_it(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as idle:
        idle.setattr("autolock.bot.runner.Runner.start", lambda runner: None)
        client = TestClient(create_app(bot.settings))
        send(client, "push", bot.push())
        gone = bot.payload("installation.deleted", action="deleted")
        assert send(client, "installation", gone) == 202
        assert client.get("/health").json() == {"jobs": 0}


def test_two_bots_on_one_postgresql_open_one(forge: Forge, tmp_path: Path, database_url: str) -> None:
    bot = Bot(forge, tmp_path, database_url.replace("postgresql://", "postgresql+psycopg://"))
    with bot.serving() as one, bot.serving() as other:
        assert send(one, "push", bot.push(), delivery="one") == 202
        assert send(other, "push", bot.push(), delivery="one") == 409
        send(other, "push", bot.push())
        settled(one)
    assert [pull.head for pull in bot.repository.pulls.values()] == [UPDATE]


def test_what_is_not_set_is_named() -> None:
    with pytest.raises(AutolockError, match="AUTOLOCK_PRIVATE_KEY is not set"):
        settings_from({"AUTOLOCK_APP_ID": "1", "AUTOLOCK_WEBHOOK_SECRET": "s"})


def test_a_key_that_is_none_is_named_before_anything_is_served(bot: Bot) -> None:
    with pytest.raises(AutolockError, match="AUTOLOCK_PRIVATE_KEY is no RSA private key"):
        create_app(replace(bot.settings, private_key="-----BEGIN PRIVATE KEY-----\nnone\n"))


def test_settings_that_are_wrong_are_told_in_a_check(bot: Bot) -> None:
    commit = bot.repository.commit("main", {"autolock.toml": "[pr]\nmax-open = 'many'\n"})
    with bot.serving() as client:
        send(client, "push", bot.push())
        settled(client)
    (run,) = [run for run in bot.repository.check_runs.values() if run.head_sha == commit]
    assert run.conclusion == "failure"
    assert "autolock.toml" in (run.summary or "")
    assert "/" not in (run.summary or "")


class Store:
    """A bot's store and a clock for it."""

    def __init__(self, folder: Path) -> None:
        self.now = 1_000_000.0
        self.store = store.Store(f"sqlite:///{folder / 'store.db'}", clock=lambda: self.now)
        self.job = store.Job("propose", "acme/shop", 1, 2, {})

    def killed(self) -> store.Job | None:
        """What a bot takes that is then gone for longer than its lease."""
        taken = self.store.take("bot")
        self.now += store.LEASE + 1
        return taken


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path)
    yield made
    made.store.close()


def test_a_job_that_kills_its_bot_each_time_is_forgotten(kept: Store) -> None:
    kept.store.queue(kept.job)
    taken = [kept.killed() for _ in range(store.TRIES + 1)]
    assert [job is not None for job in taken] == [True] * store.TRIES + [False]
    assert kept.store.waiting() == 0


def test_many_jobs_of_a_repository_keep_no_bot_from_another(kept: Store) -> None:
    for number in range(60):
        kept.store.queue(replace(kept.job, kind="review", details={"number": number}))
    kept.now += 1
    kept.store.queue(replace(kept.job, repository="acme/other", repository_id=3))
    kept.now += 1
    first, second = kept.store.take("one"), kept.store.take("two")
    assert first is not None
    assert second is not None
    assert (first.repository, second.repository) == ("acme/shop", "acme/other")


def test_a_replay_takes_no_jobs_away(kept: Store) -> None:
    assert kept.store.accept("one", "installation", (), gone=2)
    kept.store.queue(kept.job)
    assert not kept.store.accept("one", "installation", (), gone=2)
    assert kept.store.waiting() == 1


def test_what_a_killed_run_has_left_in_a_clone_is_removed(bot: Bot, tmp_path: Path) -> None:
    clone = bot.settings.work / str(bot.repository.id)
    owned = bot.repository.clone_url.replace("://", f"://anyone:{bot.forge.token}@")
    git(tmp_path, "clone", "-q", "--no-checkout", owned, str(clone))
    left = tmp_path / "left" / "shop"
    git(clone, "worktree", "add", "-q", "--detach", str(left), "origin/main")
    with bot.serving() as client:
        send(client, "push", bot.push())
        settled(client)
    assert not left.exists()
    assert len(git(clone, "worktree", "list").splitlines()) == 1
