"""Who uses the forge: people, applications and where they are installed, tokens and what each may do."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

if TYPE_CHECKING:
    from forge.state import Repository

ACTIONS = "github-actions"
"""The App that GitHub's own workflows are."""

TOKEN_LIFE = 3600
"""How many seconds the token of an installation is good for."""


class Role(IntEnum):
    """What somebody is in a repository; each may do what the ones before it may."""

    NONE = 0
    READ = 1
    TRIAGE = 2
    WRITE = 3
    MAINTAIN = 4
    ADMIN = 5

    @property
    def title(self) -> str:
        return self.name.lower()


def role(name: str) -> Role:
    """The role with this name, e.g. `write`."""
    return Role[name.upper()]


_ROLE_TO_WRITE = {
    "contents": Role.WRITE,
    "statuses": Role.WRITE,
    "pull_requests": Role.READ,
    "issues": Role.READ,
    "labels": Role.WRITE,
    "triage": Role.TRIAGE,
    "others": Role.WRITE,
}
"""What a person has to be to write each kind of thing; who writes checks is never a person."""

_PERMISSION = {"labels": "issues", "triage": "issues", "others": "pull_requests"}
"""The permission of an application that covers what is no permission of its own."""

_STRENGTH = {"read": 1, "write": 2, "admin": 3}


@dataclass(eq=False)
class User:
    """An account; `kind` is User, Bot or Organization."""

    id: int
    login: str
    role: Role = Role.READ
    kind: str = "User"
    token: str = field(default_factory=lambda: f"ghp_{secrets.token_hex(18)}")

    @property
    def email(self) -> str:
        return f"{self.id}+{self.login}@users.noreply.example.com"


@dataclass(eq=False)
class App:
    """A GitHub App, with the key that it signs with."""

    id: int
    slug: str
    bot: User
    owner: User
    permissions: Mapping[str, str]
    client_id: str = field(default_factory=lambda: f"Iv23{secrets.token_hex(8)}")
    webhook_secret: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def private_key(self) -> str:
        """The key in PEM, as it is downloaded from the App's page."""
        return (
            _key()
            .private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
            )
            .decode()
        )

    @property
    def public_key(self) -> rsa.RSAPublicKey:
        return _key().public_key()


@cache
def _key() -> rsa.RSAPrivateKey:
    """One key for every App of a session, as making one takes long."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass(eq=False)
class Installation:
    """An App in an account, for some of its repositories."""

    id: int
    app: App
    account: User
    repositories: list[Repository]
    permissions: Mapping[str, str]
    created: float
    suspended: bool = False


@dataclass(frozen=True)
class Access:
    """What a token stands for. A person may do what the role allows; an installation what was granted to it."""

    user: User
    installation: Installation | None = None
    repositories: tuple[Repository, ...] = ()
    permissions: Mapping[str, str] = field(default_factory=dict)
    expires: float | None = None

    def sees(self, repository: Repository) -> bool:
        """Whether the repository exists for the bearer."""
        if not repository.private:
            return True
        if self.installation:
            return repository in self.repositories
        return repository.role(self.user) >= Role.READ

    def may(self, repository: Repository, what: str, level: str) -> bool:
        """Whether the bearer may read or write this kind of thing in the repository."""
        if self.installation:
            granted = self.permissions.get(_PERMISSION.get(what, what), "")
            public = level == "read" and not repository.private
            enough = _STRENGTH.get(granted, 0) >= _STRENGTH[level]
            return public or (repository in self.repositories and (enough or what == "metadata"))
        if level == "read":
            return self.sees(repository)
        needed = _ROLE_TO_WRITE.get(what)
        return needed is not None and repository.role(self.user) >= needed


def stronger(wanted: Mapping[str, str], granted: Mapping[str, str]) -> list[str]:
    """The names of the permissions that go beyond what was granted."""
    return [name for name, level in wanted.items() if _STRENGTH.get(granted.get(name, ""), 0) < _STRENGTH[level]]
