"""What GitHub's webhooks mean for the bot. Only the fields that are used are looked at, and none is relied upon."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import TYPE_CHECKING, Any

from autolock.bot.store import Job
from autolock.pulls.commands import command_in
from autolock.pulls.groups import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

#: A pull request is looked at when there is something new in it.
_NEW = frozenset({"opened", "synchronize", "reopened", "ready_for_review"})


def is_signed(body: bytes, signature: str, secret: str) -> bool:
    """Whether a body was signed with the secret: the header X-Hub-Signature-256, compared in constant time."""
    expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.encode())


def jobs_for(event: str, payload: Any) -> tuple[Job, ...]:
    """What an event gives to do; nothing for events and payloads that say nothing to the bot."""
    readers = {
        "push": _of_push,
        "pull_request": _of_pull,
        "issue_comment": _of_comment,
        "installation": _of_installation,
        "installation_repositories": _of_installation,
    }
    read = readers.get(event)
    return tuple(read(payload)) if read is not None and isinstance(payload, dict) else ()


def gone_installation(event: str, payload: Any) -> int:
    """The installation that an event says is gone; 0 for none."""
    ended = event == "installation" and _at(payload, "action") in ("deleted", "suspend")
    return _number(_at(payload, "installation", "id")) if ended else 0


def _of_push(payload: Any) -> Iterator[Job]:
    branch = str(_at(payload, "ref") or "").removeprefix("refs/heads/")
    if branch and branch == _at(payload, "repository", "default_branch") and not _at(payload, "deleted"):
        yield from _job("propose", payload, {})


def _of_pull(payload: Any) -> Iterator[Job]:
    number, action = _number(_at(payload, "number")), _at(payload, "action")
    if str(_at(payload, "pull_request", "head", "ref") or "").startswith(PREFIX):
        if action in ("closed", "reopened"):
            yield from _job("propose", payload, {})
    elif action in _NEW and number:
        yield from _job("review", payload, {"number": number})


def _of_comment(payload: Any) -> Iterator[Job]:
    said = command_in(str(_at(payload, "comment", "body") or ""))
    number, author = _number(_at(payload, "issue", "number")), _at(payload, "comment", "user", "login")
    on_pull = _at(payload, "issue", "pull_request") is not None
    if said and on_pull and number and author and _at(payload, "action") == "created":
        comment = _number(_at(payload, "comment", "id"))
        details = {"number": number, "command": said, "author": str(author), "comment": comment}
        yield from _job("command", payload, details)


def _of_installation(payload: Any) -> Iterator[Job]:
    named = "repositories_added" if "repositories_added" in payload else "repositories"
    if _at(payload, "action") not in ("created", "added", "unsuspend"):
        return
    for repository in payload.get(named) or ():
        yield from _job("propose", {**payload, "repository": repository}, {})


def _job(kind: str, payload: Any, details: dict[str, Any]) -> Iterator[Job]:
    installation = _number(_at(payload, "installation", "id"))
    name, number = _at(payload, "repository", "full_name"), _number(_at(payload, "repository", "id"))
    if installation and number and isinstance(name, str) and re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        yield Job(kind, name, number, installation, details)


def _at(data: Any, *path: str) -> Any:
    for key in path:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
