"""The forge as a test holds it: what to set up, what to make go wrong, and what was seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from forge.faults import Fault, Kind
from forge.gitea import Gitea
from forge.github import GitHub
from forge.github.errors import invalid
from forge.github.objects import Objects
from forge.gitlab import GitLab
from forge.people import ACTIONS, Access, App, Installation, User, role
from forge.server import Exchange, Server, running
from forge.state import Repository, World
from forge.webhooks import Webhooks

GRANTED = {
    "metadata": "read",
    "contents": "write",
    "pull_requests": "write",
    "issues": "write",
    "checks": "write",
    "statuses": "write",
}
"""What an App is allowed where a test says nothing else."""


class Forge:
    """A forge on a port of the loopback for as long as the context lasts.

    Leaving the context raises AssertionError where a request or an answer of GitHub's face broke GitHub's description.
    """

    def __init__(self, folder: Path) -> None:
        self.world = World(folder)
        self._github = GitHub()
        self._server = Server(self.world, (self._github, GitLab(), Gitea()))
        self._open = ExitStack()

    def __enter__(self) -> Forge:
        self._open.enter_context(running(self.world, self._server))
        self.bot = self.user("autolock-bot", "write")
        self.app = self._app("autolock")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._open.close()
        if error is None and self.violations:
            raise AssertionError("not as GitHub describes it:\n" + "\n".join(self.violations))

    # Where it is

    @property
    def url(self) -> str:
        return self.world.url

    @property
    def api_url(self) -> str:
        """GitHub's API, as GitHub Enterprise Server has it."""
        return f"{self.url}/api/v3"

    @property
    def gitlab_url(self) -> str:
        return f"{self.url}/api/v4"

    @property
    def gitea_url(self) -> str:
        return f"{self.url}/api/v1"

    @property
    def webhooks(self) -> Webhooks:
        """What GitHub would send about this forge."""
        return Webhooks(Objects(self.api_url, self.url))

    # Who uses it, and what is on it

    @property
    def token(self) -> str:
        """The bot's token."""
        return self.bot.token

    def user(self, login: str, permission: str = "read") -> User:
        """A person with this permission in every repository; `repository.collaborators` says otherwise for one."""
        return self.world.user(login, role(permission))

    def team(self, slug: str) -> str:
        """A team of the organization, which may be asked for a review."""
        self.world.teams.add(slug)
        return slug

    def repository(
        self,
        full_name: str = "acme/shop",
        files: Mapping[str, str | bytes | None] | None = None,
        *,
        private: bool = True,
        default_branch: str = "main",
    ) -> Repository:
        """A repository with the files in one commit on its default branch; empty, as a new one is, for None."""
        owner, _, name = full_name.partition("/")
        account = self.world.account(owner)
        repository = Repository(self.world, account, name, private=private, default_branch=default_branch)
        self.world.repositories[full_name.lower()] = repository
        if files is not None:
            repository.commit(default_branch, files, message="Begin")
        return repository

    def fork(self, repository: Repository, owner: User) -> Repository:
        """Somebody's own copy of a repository, from which pull requests can come."""
        copy = Repository(
            self.world,
            owner,
            repository.name,
            private=repository.private,
            default_branch=repository.default_branch,
            parent=repository,
        )
        copy.git.run("fetch", "--quiet", str(repository.path), "refs/heads/*:refs/heads/*")
        self.world.repositories[copy.full_name.lower()] = copy
        return copy

    def install(self, *repositories: Repository, permissions: Mapping[str, str] | None = None) -> Installation:
        """The App in the account of these repositories, with what is granted to it."""
        return self._install(self.app, repositories, GRANTED if permissions is None else permissions)

    def actions_token(self, repository: Repository, **permissions: str) -> str:
        """What a workflow has as GITHUB_TOKEN; without permissions what a write-all workflow may."""
        actions = next((app for app in self.world.apps if app.slug == ACTIONS), None)
        app = actions or self._app(ACTIONS)
        installation = self._install(app, (repository,), permissions or GRANTED)
        token = f"ghs_{len(self.world.accesses)}{app.webhook_secret}"
        self.world.accesses[token] = Access(app.bot, installation, (repository,), dict(installation.permissions))
        return token

    def _app(self, slug: str) -> App:
        bot = self.world.user(f"{slug}[bot]", kind="Bot")
        app = App(self.world.number(), slug, bot, self.world.account("acme"), GRANTED)
        self.world.apps.append(app)
        return app

    def _install(self, app: App, repositories: tuple[Repository, ...], permissions: Mapping[str, str]) -> Installation:
        installation = Installation(
            self.world.number(), app, repositories[0].owner, list(repositories), dict(permissions), self.time()
        )
        self.world.installations[installation.id] = installation
        return installation

    # Its clock

    def time(self) -> float:
        """The time by the forge's clock."""
        return self.world.time()

    def advance(self, seconds: float) -> None:
        """Let time pass without waiting: for tokens, rate limits and dates. Can stand for `time.sleep`."""
        self.world.advance(seconds)

    # What was seen

    @property
    def requests(self) -> list[Exchange]:
        """Everything that was asked, on every face and by git."""
        return self._server.exchanges

    @property
    def writes(self) -> list[Exchange]:
        """What was asked that means to change something: API requests that do not read, and pushes."""
        return [exchange for exchange in self.requests if exchange.is_write]

    @property
    def violations(self) -> list[str]:
        """What was not as GitHub describes it; to be cleared where a test means it."""
        return self._server.violations

    def reset(self) -> None:
        """Forget what was seen."""
        self.requests.clear()

    # What goes wrong

    @property
    def faults(self) -> list[Fault]:
        """The faults in the order in which they are tried; clear it to make everything well."""
        return self._server.faults

    def fail(
        self,
        method: str,
        path: str,
        status: int = 502,
        *,
        after: bool = False,
        times: int | None = 1,
        skip: int = 0,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> Fault:
        """Answer with this status; with `after` the request takes effect all the same."""
        return self._fault(Fault(Kind.ANSWER, method, path, after, times, skip, status, body, headers or {}))

    def drop(self, method: str, path: str, *, after: bool = False, times: int | None = 1, skip: int = 0) -> Fault:
        """Close the connection without an answer, before or after the request took effect."""
        return self._fault(Fault(Kind.DROP, method, path, after, times, skip))

    def cut(self, method: str, path: str, *, times: int | None = 1, skip: int = 0) -> Fault:
        """Close the connection in the middle of the answer."""
        return self._fault(Fault(Kind.CUT, method, path, True, times, skip))

    def slow(self, method: str, path: str, *, seconds: float, times: int | None = 1, skip: int = 0) -> Fault:
        """Answer so many seconds after the request took effect."""
        return self._fault(Fault(Kind.SLOW, method, path, True, times, skip, seconds=seconds))

    def secondary_limit(
        self,
        method: str,
        path: str,
        *,
        retry_after: int | None = 60,
        status: int = 403,
        times: int | None = 1,
        skip: int = 0,
    ) -> Fault:
        """Refuse as GitHub does who asks too much at once, with 403 or 429; nothing takes effect."""
        answer = self._github.secondary_limit(status, retry_after)
        return self.fail(method, path, status, times=times, skip=skip, headers=answer.headers, body=answer.body)

    def unseen_push(self, *, times: int | None = 1) -> tuple[Fault, Fault]:
        """Let GitHub and GitLab not know yet of a branch that was pushed, when a pull request is opened for it."""
        github = invalid("PullRequest", "head", "invalid").answer.body
        gitlab = {"message": {"source_branch": ["does not exist"]}}
        return (
            self.fail("POST", "/pulls", 422, times=times, body=github),
            self.fail("POST", "/merge_requests", 400, times=times, body=gitlab),
        )

    def primary_limit(self, *, reset_in: float = 3600) -> None:
        """Refuse everything of the API until so many seconds of the forge's clock are over."""
        self.world.limit(reset_in)

    def meanwhile(
        self,
        method: str,
        path: str,
        action: Callable[[], object],
        *,
        after: bool = False,
        times: int | None = 1,
        skip: int = 0,
    ) -> Fault:
        """Let something happen just before the request takes effect, or just after: what another bot or human does."""
        return self._fault(Fault(Kind.MEANWHILE, method, path, after, times, skip, action=action))

    def _fault(self, fault: Fault) -> Fault:
        self.faults.append(fault)
        return fault
