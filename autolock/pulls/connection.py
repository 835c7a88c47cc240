"""From a path of a checkout to its repository and to the forge that its remote is on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from autolock.errors import AutolockError
from autolock.forges.remotes import connect, remote_of, token_for
from autolock.pulls.git import Access, Repository

if TYPE_CHECKING:
    from pathlib import Path

    from autolock.forges.base import Forge
    from autolock.pulls.settings import PullSettings

#: The name that goes with a token when git asks for one over HTTP.
GIT_USERS = {"github": "x-access-token", "gitlab": "oauth2", "gitea": "autolock"}


@dataclass(frozen=True, slots=True)
class Connection:
    """A checkout's repository, its forge (None where it is not to be asked), and what of the repository is meant."""

    repository: Repository
    forge: Forge | None
    within: str


def connection(path: Path, remote: str, settings: PullSettings, *, offline: bool = False) -> Connection:
    """The connection of a path of a checkout; with `offline` the forge is not asked, and no token is needed.

    Raises AutolockError for what is missing: the path, a git repository, the remote, a token.
    """
    if not path.exists():
        raise AutolockError(f"{path}: does not exist", "name a folder or file of a checkout")
    folder = path if path.is_dir() else path.parent
    repository = Repository(folder, remote, Access())
    within = path.resolve().relative_to(repository.top.resolve()).as_posix()
    if offline:
        return Connection(repository, None, within)
    there = remote_of(repository.url, kind=settings.forge, api=settings.api)
    token = token_for(there.kind)
    repository = Repository(folder, remote, Access(GIT_USERS[there.kind], token, repository.url))
    return Connection(repository, connect(there, token), within)
