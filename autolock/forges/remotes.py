"""Which forge a git remote is on, and what the repository is called there."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from autolock.errors import AutolockError
from autolock.forges.http import Client

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autolock.forges.base import Forge

_SCP = re.compile(r"(?:[^@/]+@)?([^:/]+):(?!//)(.+)")
KINDS = ("github", "gitlab", "gitea")

#: Where a token is looked for, the first that is set is taken: autolock's own, then those that jobs and tools set.
_TOKENS: Mapping[str, tuple[str, ...]] = {
    "github": ("AUTOLOCK_TOKEN", "GITHUB_TOKEN", "GH_TOKEN"),
    "gitlab": ("AUTOLOCK_TOKEN", "GITLAB_TOKEN"),
    "gitea": ("AUTOLOCK_TOKEN", "GITEA_TOKEN", "FORGEJO_TOKEN"),
}


@dataclass(frozen=True, slots=True)
class Remote:
    """A repository on a forge: its kind, where its interface is, and the repository's path there."""

    kind: str
    api: str
    repository: str


def remote_of(url: str, *, kind: str = "", api: str = "", environment: Mapping[str, str] = os.environ) -> Remote:
    """What a remote's URL says, with `kind` and `api` where the configuration says them.

    Jobs of GitHub and GitLab say in their environment where their interface is, and people may with AUTOLOCK_API. What
    `api` names must be on the remote's host: a configuration comes with a branch, perhaps of a stranger's pull request,
    and must not send the token elsewhere. Raises AutolockError for a URL without
    host or repository, and for a host whose kind cannot be told.
    """
    host, path, origin = _parts(url)
    repository = path.strip("/").removesuffix(".git")
    if repository.count("/") < 1:
        raise AutolockError("the remote names no repository on a forge", "pass --remote with one that does")
    if api and not environment.get("AUTOLOCK_API"):
        _check_host(api, url, host)
    told = environment.get("AUTOLOCK_API") or api or _of_job(host, environment)
    kind = kind or _kind(host, told)
    if not kind:
        hint = 'set forge = "github", "gitlab" or "gitea" below [tool.autolock.pr], and api = "..." to its base URL'
        raise AutolockError(f"what kind of forge {host} is cannot be told", hint)
    return Remote(kind, told or _api(kind, host, origin), repository)


def token_for(kind: str, environment: Mapping[str, str] = os.environ) -> str:
    """The token for a kind of forge. Raises AutolockError where none is set."""
    for name in _TOKENS[kind]:
        if environment.get(name, "").strip():
            return environment[name].strip()
    raise AutolockError("no token for the forge", f"set {_TOKENS[kind][0]} (docs/pull-requests.md)")


def connect(remote: Remote, token: str) -> Forge:
    """The forge of a remote."""
    from autolock.forges.gitea import Gitea
    from autolock.forges.github import GitHub
    from autolock.forges.gitlab import GitLab

    if remote.kind == "github":
        headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
        return GitHub(Client(remote.api, {**headers, "Authorization": f"Bearer {token}"}), remote.repository)
    if remote.kind == "gitlab":
        return GitLab(Client(remote.api, {"PRIVATE-TOKEN": token}), remote.repository)
    return Gitea(Client(remote.api, {"Authorization": f"token {token}"}), remote.repository)


def _parts(url: str) -> tuple[str, str, str]:
    """Host, path, and scheme with host and port of a remote's URL, without who it is for."""
    if "://" in url:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port and parts.scheme in ("http", "https") else ""
        scheme = parts.scheme if parts.scheme in ("http", "https") else "https"
        path, origin = parts.path, f"{scheme}://{host}{port}"
    else:
        found = _SCP.fullmatch(url)
        host, path = (found[1], found[2]) if found else ("", "")
        origin = f"https://{host}"
    if not host:
        raise AutolockError("the remote is no URL on a forge", "pass --remote with one that is")
    return host, path, origin


def _check_host(api: str, url: str, host: str) -> None:
    there = urlsplit(api)
    name, host = (there.hostname or "").lower(), host.lower()
    if name != host and not ("." in name and (name.endswith(f".{host}") or host.endswith(f".{name}"))):
        hint = "if that is right, set AUTOLOCK_API in the environment to it"
        raise AutolockError(f"api = {api!r} is on another host than the remote, which must not get the token", hint)
    if there.scheme != "https" and not url.startswith("http://"):
        raise AutolockError(f"api = {api!r} would send the token unencrypted", "use https, or set AUTOLOCK_API")


def _of_job(host: str, environment: Mapping[str, str]) -> str:
    """The base URL that a job's environment names, where the remote is on the same host."""
    for server, api in (("GITHUB_SERVER_URL", "GITHUB_API_URL"), ("CI_SERVER_URL", "CI_API_V4_URL")):
        if environment.get(server) and environment.get(api) and urlsplit(environment[server]).hostname == host:
            return environment[api]
    return ""


def _kind(host: str, api: str) -> str:
    labels = re.split(r"[.\-]", host.lower())
    for kind, names in (("github", ("github",)), ("gitlab", ("gitlab",)), ("gitea", ("gitea", "forgejo", "codeberg"))):
        if any(name in labels for name in names):
            return kind
    for kind, ending in (("github", "/api/v3"), ("gitlab", "/api/v4"), ("gitea", "/api/v1")):
        if api.rstrip("/").endswith(ending):
            return kind
    return ""


def _api(kind: str, host: str, origin: str) -> str:
    if kind == "github":
        return "https://api.github.com" if host.lower() == "github.com" else f"{origin}/api/v3"
    return f"{origin}/api/v4" if kind == "gitlab" else f"{origin}/api/v1"
