"""What every test may ask for: a PostgreSQL that this session started, an empty database on it, and a forge."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import postgres as server
import pytest

from autolock.program import giving_up
from autolock.prove import databases

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from forge import Forge


def _raise(error: Exception) -> str:
    raise error


@pytest.fixture(autouse=True)
def failures_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user is told where autolock fails and gets the rest; a test is to fail."""
    monkeypatch.setattr(giving_up, "failure", _raise)


@pytest.fixture(scope="session")
def postgres() -> Iterator[server.Postgres]:
    """A PostgreSQL server, one for each worker of a session; without the wheel the test is skipped."""
    if not server.is_installed():
        pytest.skip(server.MISSING)
    with server.running() as running:
        yield running


@pytest.fixture(autouse=True)
def proofs_share_a_server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is proved in this process gets databases of the session's server: starting one takes seconds."""
    monkeypatch.setattr(databases, "running", lambda: nullcontext(request.getfixturevalue("postgres")))


@pytest.fixture
def database_url(postgres: server.Postgres) -> Iterator[str]:
    """The URL of an empty PostgreSQL database of this test's own, for libpq, asyncpg and SQLAlchemy's make_url."""
    with postgres.database() as url:
        yield url


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Forge]:
    """A forge of this test's own, with nothing on it but the bot; fails the test that breaks GitHub's description."""
    # Only here, as the server and the description take a while to load.
    from forge import Forge
    from forge import git as forge_git

    if not forge_git.is_installed():
        pytest.skip(forge_git.MISSING)
    with Forge(tmp_path / "forge") as running:
        yield running
