"""Smart HTTP: `git clone`, `fetch` and `push` by git's own `http-backend`, with the token as the password."""

from __future__ import annotations

import base64
import binascii
import os
import re
import subprocess
from collections.abc import Mapping

from forge.git import ENVIRONMENT
from forge.http import Answer
from forge.people import Access
from forge.state import World

_PATH = re.compile(
    r"/(?P<owner>[^/]+)/(?P<name>[^/]+?)(?:\.git)?/(?P<rest>info/refs|git-upload-pack|git-receive-pack)$"
)


def serve(
    world: World, method: str, path: str, query_string: str, headers: Mapping[str, str], body: bytes
) -> Answer | None:
    """The answer to a request of git's, or None where it is none."""
    match = _PATH.match(path)
    if not match:
        return None
    writes = "git-receive-pack" in (match["rest"], query_string.removeprefix("service="))
    access = world.access(_password(headers))
    repository = world.repository(match["owner"], match["name"])
    if access is None and (headers.get("authorization") or writes or repository is None or repository.private):
        return Answer(401, b"Invalid username or token.\n", {"www-authenticate": 'Basic realm="forge"'})
    if repository is None or (access and not access.sees(repository)):
        return Answer(404, b"Repository not found.\n")
    if access and not access.may(repository, "contents", "write" if writes else "read"):
        return Answer(403, f"Permission to {repository.full_name}.git denied to {access.user.login}.\n".encode())
    with world.lock:
        answer = _backend(
            {
                "GIT_PROJECT_ROOT": str(world.folder),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": f"/{repository.full_name}.git/{match['rest']}",
                "REQUEST_METHOD": method,
                "QUERY_STRING": query_string,
                "CONTENT_TYPE": headers.get("content-type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": headers.get("content-encoding", ""),
                "GIT_PROTOCOL": headers.get("git-protocol", ""),
                "REMOTE_USER": _login(access),
                "REMOTE_ADDR": "127.0.0.1",
            },
            body,
        )
        repository.follow()
    return answer


def _login(access: Access | None) -> str:
    return access.user.login if access else ""


def _password(headers: Mapping[str, str]) -> str:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _backend(variables: Mapping[str, str], body: bytes) -> Answer:
    system = {name: os.environ[name] for name in ("SYSTEMROOT", "TMPDIR") if name in os.environ}
    done = subprocess.run(
        ["git", "http-backend"],
        input=body,
        capture_output=True,
        env={**system, **ENVIRONMENT, **variables},
        check=True,
    )
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n"))
    status = int(headers.pop("status", "200").split()[0])
    return Answer(status, content, headers)
