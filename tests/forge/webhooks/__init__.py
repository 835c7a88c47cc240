"""GitHub's deliveries: its own example payloads, as they are or about what a forge has, and signed as it signs them."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from forge.github.objects import Objects
from forge.people import Installation, Role, User
from forge.state import Comment, Repository

_FOLDER = Path(__file__).parent
_NEW = "0" * 40


class Webhooks:
    """What GitHub would send about one forge."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    @staticmethod
    def names() -> list[str]:
        """The payloads that there are: the event and its action, e.g. `pull_request.closed`."""
        return sorted(file.stem for file in _FOLDER.glob("*.json"))

    @staticmethod
    def payload(name: str) -> dict[str, Any]:
        """GitHub's example as it is."""
        example: dict[str, Any] = json.loads((_FOLDER / f"{name}.json").read_text())
        return example

    def about(
        self,
        name: str,
        repository: Repository,
        *,
        installation: Installation | None = None,
        sender: User | None = None,
        number: int | None = None,
        comment: Comment | None = None,
        branch: str | None = None,
        before: str = _NEW,
        **more: Any,
    ) -> dict[str, Any]:
        """The example with what the forge has laid over it: the repository, the pull request or issue of this number,
        the comment, the branch that was pushed, and `more`, which is laid over the top."""
        who = sender or (comment.author if comment else repository.world.founder)
        shown = self._objects.repository(repository, Role.READ)
        truth: dict[str, Any] = {"sender": self._objects.user(who)}
        if installation:
            truth["installation"] = self._objects.installation(installation)
        if name.startswith("installation"):
            short = {key: shown[key] for key in ("id", "node_id", "name", "full_name", "private")}
            listed = {"installation_repositories.added": "repositories_added"}
            listed["installation_repositories.removed"] = "repositories_removed"
            truth[listed.get(name, "repositories")] = [short]
        else:
            truth["repository"] = shown
        if number is not None:
            truth |= self._item(repository, number, name)
        if comment:
            truth["comment"] = self._objects.comment(comment)
            truth["issue"] = self._objects.issue(comment.item)
        if branch is not None:
            truth |= {"ref": f"refs/heads/{branch}", "before": before, "after": repository.head(branch) or _NEW}
        return _laid(_laid(self.payload(name), truth), more)

    @staticmethod
    def signed(
        name: str, payload: Mapping[str, Any], secret: str, *, delivery: str | None = None
    ) -> tuple[dict[str, str], bytes]:
        """The headers and the body of the delivery."""
        body = json.dumps(payload).encode()
        digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "content-type": "application/json",
            "user-agent": "GitHub-Hookshot/0000000",
            "x-github-delivery": delivery or str(uuid.uuid4()),
            "x-github-event": name.partition(".")[0],
            "x-hub-signature-256": f"sha256={digest}",
        }
        return headers, body

    def _item(self, repository: Repository, number: int, name: str) -> dict[str, Any]:
        if name.startswith("pull_request"):
            pull = repository.pulls[number]
            return {"number": number, "pull_request": self._objects.pull(pull)}
        return {"issue": self._objects.issue(repository.items[number])}


def _laid(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """One payload over another; objects are merged, everything else is replaced."""
    merged = dict(below)
    for name, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(name), dict)
        merged[name] = _laid(merged[name], value) if both else value
    return merged
