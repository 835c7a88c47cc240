"""How the App proves who it is: a JWT for itself, and tokens of installations that can do no more than a job needs.

https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt

from autolock.errors import AutolockError
from autolock.forges.http import Client
from autolock.forges.texts import seconds

if TYPE_CHECKING:
    from collections.abc import Callable

#: GitHub takes ten minutes at most; a clock that is ahead of GitHub's must not make the token one of the future.
_BACKDATED, _LIFETIME = 60, 540
#: A token is not used when it ends so soon that a job may outlive it.
_MARGIN = 600.0

PERMISSIONS = {"contents": "write", "pull_requests": "write", "issues": "write", "checks": "write", "metadata": "read"}
_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    ends: float


class Credentials:
    """Tokens of an App's installations, kept for as long as they are good. May be used from several threads."""

    def __init__(self, app_id: str, private_key: str, api: str, *, clock: Callable[[], float] = time.time) -> None:
        """Raises AutolockError where the private key is none."""
        self._app_id = app_id
        self._private_key = private_key
        self._api = api
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens: dict[tuple[int, int], _Token] = {}
        self._signed()

    def token(self, installation: int, repository: int) -> str:
        """A token for one repository of an installation. Raises ForgeError where GitHub gives none."""
        with self._lock:
            known = self._tokens.get((installation, repository))
            if known is None or known.ends - self._clock() < _MARGIN:
                known = self._tokens[installation, repository] = self._asked(installation, repository)
            return known.text

    def forget(self, installation: int, repository: int) -> None:
        """Ask for another token the next time."""
        with self._lock:
            self._tokens.pop((installation, repository), None)

    def client(self, token: str) -> Client:
        """A client that asks with a token."""
        return Client(self._api, {**_HEADERS, "Authorization": f"Bearer {token}"})

    def _asked(self, installation: int, repository: int) -> _Token:
        client = self.client(self._signed())
        try:
            asked: dict[str, Any] = {"repository_ids": [repository], "permissions": PERMISSIONS}
            answer = client.send("POST", f"app/installations/{installation}/access_tokens", asked)
        finally:
            client.close()
        return _Token(answer["token"], seconds(answer["expires_at"]))

    def _signed(self) -> str:
        now = int(self._clock())
        claims = {"iat": now - _BACKDATED, "exp": now + _LIFETIME, "iss": self._app_id}
        try:
            return jwt.encode(claims, self._private_key, algorithm="RS256")
        except (jwt.PyJWTError, ValueError, TypeError):
            hint = "set it to the contents of the PEM file that GitHub gave you"
            raise AutolockError("AUTOLOCK_PRIVATE_KEY is no RSA private key", hint) from None
