"""Does the jobs: each in a clone of its repository, with a token for that repository alone."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from autolock.bot.explaining import explained
from autolock.config import load_settings
from autolock.findings import Certainty
from autolock.forges.base import PullState
from autolock.forges.github import GitHub
from autolock.pulls.connection import GIT_USERS, Connection
from autolock.pulls.deciding import Redo
from autolock.pulls.fixing import fixed
from autolock.pulls.git import Access, Repository, cloned
from autolock.pulls.marker import marker_in
from autolock.pulls.propose import Session
from autolock.pulls.review import Reviewer, remarks_on

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autolock.bot.credentials import Credentials
    from autolock.bot.settings import BotSettings
    from autolock.bot.store import Job
    from autolock.options import Options
    from autolock.pulls.settings import PullSettings


class Worker:
    """Carries out jobs one at a time."""

    def __init__(self, settings: BotSettings, credentials: Credentials) -> None:
        self._settings = settings
        self._credentials = credentials

    def do(self, job: Job) -> None:
        """Carry out one job. Raises AutolockError where it cannot be done, perhaps only now."""
        deeds = {"propose": self._propose, "review": self._review, "command": self._command}
        with self._connected(job) as (connected, forge):
            deeds[job.kind](job, connected, forge)

    def _propose(self, job: Job, connected: Connection, forge: GitHub, redo: Redo | None = None) -> None:
        settings = self._wanted(connected, forge)
        Session(connected, settings, _OPTIONS, redo=redo or Redo(), maker=forge.commit).run()

    def _review(self, job: Job, connected: Connection, forge: GitHub) -> None:
        pull = forge.pull(job.details["number"])
        if pull.state is not PullState.OPEN:
            return
        connected.repository.fetch(forge.head_ref(pull.number), pull.head_commit)
        options: Options = {**_OPTIONS, "certainty": Certainty.RACE, "cache": False}
        with fixed(connected.repository, pull.head_commit, connected.within, options) as (report, again):
            remarks = remarks_on(report, forge.changed_lines(pull.number), again)
        Reviewer(forge, pull).say(remarks)

    def _command(self, job: Job, connected: Connection, forge: GitHub) -> None:
        """What somebody who may push has asked for in a comment; what others ask for is passed over."""
        if not forge.may_write(job.details["author"]):
            return
        pull = forge.pull(job.details["number"])
        marker = marker_in(pull.body)
        if marker is None:
            return
        command = job.details["command"]
        if command == "explain":
            forge.add_comment(pull.number, explained(marker.rules))
        elif command == "ignore":
            forge.close_pull(pull.number)
        else:
            branch = frozenset((pull.head,))
            redo = Redo(recreated=branch) if command == "recreate" else Redo(rebased=branch)
            self._propose(job, connected, forge, redo)

    def _wanted(self, connected: Connection, forge: GitHub) -> PullSettings:
        """The settings that the repository's default branch has."""
        repository, branch = connected.repository, forge.default_branch()
        with repository.checked_out(repository.fetch_base(branch)) as top:
            return load_settings(top).pr

    @contextmanager
    def _connected(self, job: Job) -> Iterator[tuple[Connection, GitHub]]:
        """A clone of the job's repository, and GitHub as its installation sees it."""
        token = self._credentials.token(job.installation, job.repository_id)
        client = self._credentials.client(token)
        try:
            forge = GitHub(client, job.repository)
            url = f"{self._origin()}/{job.repository}.git"
            access = Access(GIT_USERS["github"], token, url)
            folder = cloned(url, self._settings.work / str(job.repository_id), access)
            # Not the URL it was cloned from: a repository may have got another name, and its old one a new owner.
            repository = Repository(folder, url, access)
            repository.tidy()
            yield Connection(repository, forge, "."), forge
        finally:
            client.close()

    def _origin(self) -> str:
        """Where GitHub serves git: beside its interface on an Enterprise server."""
        parts = urlsplit(self._settings.api)
        return "https://github.com" if parts.hostname == "api.github.com" else f"{parts.scheme}://{parts.netloc}"


_OPTIONS: Options = {"jobs": 1}
