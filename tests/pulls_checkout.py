"""A checkout of a repository on the tests' forge, and autolock's commands given in it."""

from __future__ import annotations

import os
import subprocess
from functools import partial
from typing import TYPE_CHECKING

from cli_runner import Cli

from autolock.forges import remotes
from autolock.forges.http import Client
from autolock.pulls import git as pulls_git

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest
    from cli_runner import Outcome
    from forge import Forge
    from forge.state import Repository

APP = """\
from fastapi import FastAPI

from app import routes

app = FastAPI()
app.include_router(routes.router)
"""
STORE = """\
stock = {"mug": 5}
orders = {"count": 0}
"""
ROUTES = """\
import asyncio

from fastapi import APIRouter

from app.store import orders, stock

router = APIRouter()


@router.post("/buy")
async def buy(item: str):
    if stock[item] > 0:
        await asyncio.sleep(0.01)
        stock[item] -= 1
        return {"bought": item}
    return {"bought": None}


@router.post("/orders")
async def order():
    number = orders["count"]
    await asyncio.sleep(0.01)
    orders["count"] = number + 1
    return {"number": number}
"""
SHOP = {"app/__init__.py": "", "app/main.py": APP, "app/store.py": STORE, "app/routes.py": ROUTES}
"""Two races of two rules that are mended in the same two files."""


class Checkout(Cli):
    """A clone of a repository, whose remote is on the forge, and the commands of a job in it."""

    def __init__(
        self,
        forge: Forge,
        repository: Repository,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        capture: pytest.CaptureFixture[bytes],
    ) -> None:
        self.forge = forge
        self.repository = repository
        for name in ("GITHUB_TOKEN", "GH_TOKEN", "GITLAB_TOKEN", "GITEA_TOKEN", "GITHUB_REF", "GITHUB_SERVER_URL"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AUTOLOCK_TOKEN", forge.token)
        # The forge's clock is the client's too: a wait of a minute takes none.
        monkeypatch.setattr(remotes, "Client", partial(Client, sleep=forge.advance, clock=forge.time))
        monkeypatch.setattr(pulls_git, "_WAITS", (0.0, 0.0))
        owned = repository.clone_url.replace("://", f"://anyone:{forge.token}@")
        git(folder.parent, "clone", "-q", owned, str(folder))
        git(folder, "remote", "set-url", "origin", repository.clone_url)
        super().__init__(folder, monkeypatch, capture)
        self.configure({})

    def configure(self, settings: Mapping[str, str], *, face: str = "github") -> None:
        """Write what the checkout says about pull requests: TOML values by their key."""
        api = {"github": self.forge.api_url, "gitlab": self.forge.gitlab_url, "gitea": self.forge.gitea_url}[face]
        lines = [f'forge = "{face}"', f'api = "{api}"', *(f"{key} = {value}" for key, value in settings.items())]
        self.write("autolock.toml", "[pr]\n" + "\n".join(lines) + "\n")

    def pr(self, *options: str) -> Outcome:
        """Run `autolock pr`, forgetting the requests before it."""
        self.forge.reset()
        return self("pr", *options)

    def pr_done(self, *options: str) -> Outcome:
        """Run `autolock pr`, which must succeed."""
        done = self.pr(*options)
        assert done.code == 0, done
        return done

    def open_branches(self) -> dict[str, int]:
        """The branches with an open pull request, and its number."""
        pulls = self.repository.pulls.values()
        found = [(pull.head, pull.number) for pull in pulls if pull.state == "open"]
        assert len(dict(found)) == len(found), "two open pull requests for one branch"
        return dict(found)


def git(folder: Path, *arguments: str) -> str:
    """What git prints."""
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0"}
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout
