"""Opens a copy of the application in a process of its own, on a fresh database where it can be pointed to one."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autolock.findings import FileChange
from autolock.prove import databases
from autolock.prove.actors import Actor, PlayFailed
from autolock.prove.application import Application
from autolock.prove.scenario import Scenario
from autolock.prove.settings import Settings
from autolock.prove.stage.copies import copied_tree
from autolock.prove.stage.places import filled, wants_database
from autolock.prove.warden import guarded


@contextmanager
def copied(root: Path, changes: Sequence[FileChange]) -> Iterator[Path]:
    """A copy of a tree with changes made; gone afterwards. The original is not touched by what the
    application writes.
    """
    with copied_tree(str(root)) as tree, guarded("folder", os.path.dirname(tree)):
        for change in changes:
            Path(tree, change.path).write_bytes(change.after)
        yield Path(tree)


@dataclass(frozen=True)
class Play:
    """An application that is open: the process that plays it, what it told when it opened, and the settings under
    which it did, with the places of a database still in braces.
    """

    actor: Actor
    document: dict[str, Any]
    state: dict[str, Any]
    environment: dict[str, str]
    dependencies: dict[str, list[str]]
    hints: dict[str, list[str]]


@dataclass
class Theatre:
    """How to open an application. `lines` are those at which worker threads stop, by path."""

    python: str
    application: Application
    scenario: Scenario
    server: databases.Server | None
    lines: dict[str, list[int]] | None = None
    seconds: float = 120.0
    instances: int = 1

    @contextmanager
    def opened(self, tree: Path) -> Iterator[Play]:
        """The application of a tree, set up. Raises PlayFailed when it does not start in any way that was tried."""
        failures: list[str] = []
        for environment, server in self._ways(tree):
            with ExitStack() as attempt:
                try:
                    play = self._open(attempt, tree, environment, server)
                except PlayFailed as error:
                    failures.append(str(error))
                    continue
                with attempt.pop_all():
                    yield play
                    return
        raise PlayFailed(Counter(failures).most_common(1)[0][0])

    def _ways(self, tree: Path) -> Iterator[tuple[dict[str, str], databases.Server | None]]:
        """Environments to try, with the server that they need."""
        if self.scenario.env:
            yield self.scenario.env, self.server if wants_database(self.scenario.env) else None
            return
        settings = Settings.of(tree)
        if self.server is not None:
            yield from ((environment, self.server) for environment in settings.databases)
        yield settings.made, None

    def _open(self, stack: ExitStack, tree: Path, environment: dict[str, str], server: databases.Server | None) -> Play:
        answers: dict[str, Callable[[], Any]] = {}
        url = ""
        if server is not None:
            from autolock.prove.postgres import PostgresConnection

            url = stack.enter_context(server.database())
            connection = PostgresConnection(url)
            stack.callback(connection.close)
            data = connection.data
            answers = {
                "remember": data.remember,
                "forget": data.forget,
                "restore": data.restore,
                "picture": data.picture,
                "waiting": data.waiting,
            }
        actor = Actor(
            self.python, tree, filled(environment, url) if url else environment, answers, seconds=self.seconds
        )
        stack.enter_context(actor)
        told = actor.do(
            "open",
            app=self.application.name,
            root=str(tree),
            folder=self.application.folder,
            postgres=server is not None,
            lines=self.lines,
            overrides=self.scenario.overrides,
            allow=list(self.scenario.allow),
            invariants=self.scenario.invariants,
            ignore=list(self.scenario.ignore),
            instances=self.instances,
        )
        state = told["state"]
        if self.scenario.setup:
            state = actor.do("keep", requests=list(self.scenario.setup))["state"]
        return Play(actor, told["openapi"], state, environment, told["dependencies"], told["hints"])
