"""Does the jobs: each in a clone of its repository, with a token for that repository alone."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from autolock.bot.explaining import explained
from autolock.config import load_settings
from autolock.errors import AutolockError
from autolock.forges.base import Check, ForgeError, Outcome, PullState
from autolock.forges.github import GitHub
from autolock.pulls.connection import GIT_USERS, Connection
from autolock.pulls.deciding import Redo
from autolock.pulls.git import Access, Repository, cloned
from autolock.pulls.marker import marker_in
from autolock.pulls.propose import Session
from autolock.pulls.review import Reviewer, reviewed

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
            try:
                deeds[job.kind](job, connected, forge)
            except ForgeError as error:
                if error.status == 401:  # taken back before its time
                    self._credentials.forget(job.installation, job.repository_id)
                raise

    def _propose(self, job: Job, connected: Connection, forge: GitHub, redo: Redo | None = None) -> None:
        settings = self._wanted(connected, forge)
        if settings is None:
            return
        done = Session(connected, settings, _OPTIONS, redo=redo or Redo(), maker=forge.commit).run()
        failed = next((told for told in done.told if told.failed), None)
        if failed is not None:  # perhaps only now
            raise AutolockError(failed.text)

    def _review(self, job: Job, connected: Connection, forge: GitHub) -> None:
        pull = forge.pull(job.details["number"])
        if pull.state is not PullState.OPEN:
            return
        Reviewer(forge, pull).say(reviewed(connected, forge, pull, _OPTIONS))

    def _command(self, job: Job, connected: Connection, forge: GitHub) -> None:
        """What somebody who may push has asked for in a comment; what others ask for is passed over."""
        if not forge.may_write(job.details["author"]):
            return
        pull = forge.pull(job.details["number"])
        marker = marker_in(pull.body)
        if marker is None or not pull.ours:
            return
        command = job.details["command"]
        if command == "explain":
            answered = f"<!-- autolock:explained {job.details.get('comment', 0)} -->"
            if not any(answered in comment.body for comment in forge.comments(pull.number)):  # by a bot that was killed
                forge.add_comment(pull.number, f"{explained(marker.rules)}\n{answered}")
        elif command == "ignore":
            forge.close_pull(pull.number)
        else:
            branch = frozenset((pull.head,))
            redo = Redo(recreated=branch) if command == "recreate" else Redo(rebased=branch)
            self._propose(job, connected, forge, redo)

    def _wanted(self, connected: Connection, forge: GitHub) -> PullSettings | None:
        """The settings on the default branch; None, and a check that says so, where they are wrong."""
        repository, branch = connected.repository, forge.default_branch()
        commit = repository.fetch_base(branch)
        with repository.checked_out(commit) as top:
            try:
                return load_settings(top).pr
            except AutolockError as error:
                why = str(error).replace(f"{top}/", "")
                forge.report(Check(commit, Outcome.FAILURE, "the settings are wrong", why))
                return None

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
