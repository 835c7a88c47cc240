"""What the forges' interfaces have in common: for all of them, and for Gitea's, which was made after GitHub's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from autolock.forges.base import Comment, ForgeError, Issue, LineComment, Pull
from autolock.forges.texts import same_text, seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from autolock.forges.http import Client


class Common(ABC):
    """A repository whose interface begins at `root`."""

    #: What an account's name is called.
    _account: ClassVar[str] = "login"

    def __init__(self, client: Client, root: str) -> None:
        self._client = client
        self._root = root

    def default_branch(self) -> str:
        return str(self._client.get(self._root)["default_branch"])

    def me(self) -> str:
        try:
            return str(self._client.get("user")[self._account])
        except ForgeError as error:
            if error.status in (401, 403, 404):  # the token of a job or an installation is no user
                return ""
            raise

    @abstractmethod
    def comments(self, number: int) -> Sequence[Comment]: ...

    @abstractmethod
    def line_comments(self, number: int) -> Sequence[LineComment]: ...

    @abstractmethod
    def issues(self, title: str) -> Sequence[Issue]: ...

    @staticmethod
    @abstractmethod
    def _pull(data: Any) -> Pull: ...

    @staticmethod
    @abstractmethod
    def _issue(data: Any) -> Issue: ...

    def _mine(self, found: Iterable[Any], prefix: str) -> list[Pull]:
        """The pull requests of the repository's own branches that begin with `prefix`, each once, the newest first."""
        pulls = {pull.number: pull for pull in map(self._pull, found)}
        mine = (pull for pull in pulls.values() if pull.ours and pull.head.startswith(prefix))
        return sorted(mine, key=lambda pull: -pull.number)

    def _said(self, number: int, body: str) -> Comment | None:
        return next((c for c in self.comments(number) if same_text(c.body, body)), None)

    def _placed(self, number: int, comment: LineComment) -> LineComment | None:
        place = (comment.path, comment.last)
        found = (c for c in self.line_comments(number) if (c.path, c.last) == place)
        return next((c for c in found if same_text(c.body, comment.body)), None)

    def _opened_issue(self, title: str, body: dict[str, object]) -> Issue:
        look = partial(self._issue_of, title)
        made = self._client.make(f"{self._root}/issues", {"title": title, **body}, look)
        return made if isinstance(made, Issue) else self._issue(made)

    def _issue_of(self, title: str) -> Issue | None:
        return next(iter(self.issues(title)), None)


class Hub(Common):
    """A repository on GitHub, or on a forge with an interface like GitHub's."""

    #: What somebody is who may push.
    _writers: ClassVar[tuple[str, ...]]

    def __init__(self, client: Client, repository: str) -> None:
        super().__init__(client, f"repos/{repository}")

    def pull(self, number: int) -> Pull:
        return self._pull(self._client.get(f"{self._root}/pulls/{number}"))

    def close_pull(self, number: int) -> None:
        self._client.send("PATCH", f"{self._root}/pulls/{number}", {"state": "closed"})

    def request_reviews(self, number: int, reviewers: Sequence[str]) -> None:
        people = [name for name in reviewers if "/" not in name]
        teams = [name.rpartition("/")[2] for name in reviewers if "/" in name]
        path = f"{self._root}/pulls/{number}/requested_reviewers"
        self._client.send("POST", path, {"reviewers": people, "team_reviewers": teams})

    def head_ref(self, number: int) -> str:
        return f"refs/pull/{number}/head"

    def add_comment(self, number: int, body: str) -> None:
        look = partial(self._said, number, body)
        self._client.make(f"{self._root}/issues/{number}/comments", {"body": body}, look)

    def edit_comment(self, number: int, comment: int, body: str) -> None:
        self._client.send("PATCH", f"{self._root}/issues/comments/{comment}", {"body": body})

    def may_write(self, user: str) -> bool:
        try:
            found = self._client.get(f"{self._root}/collaborators/{quote(user, safe='')}/permission")
        except ForgeError as error:
            if error.status in (403, 404):  # nobody of that name, or who asks may not know
                return False
            raise
        return found["permission"] in self._writers

    def open_issue(self, title: str, body: str) -> Issue:
        return self._opened_issue(title, {"body": body})

    def update_issue(self, number: int, body: str, *, open: bool = True) -> None:
        state = "open" if open else "closed"
        self._client.send("PATCH", f"{self._root}/issues/{number}", {"body": body, "state": state})

    @staticmethod
    def _comment(data: Any) -> Comment:
        return Comment(data["id"], data.get("body") or "", author_of(data), seconds(data["created_at"]))

    @staticmethod
    def _issue(data: Any) -> Issue:
        opened = data["state"] == "open"
        return Issue(data["number"], data["title"], data.get("body") or "", opened, author_of(data), data["html_url"])


def author_of(data: Any) -> str:
    """Who made something; empty where the account is gone."""
    return (data.get("user") or {}).get("login", "")  # type: ignore[no-any-return]


def is_own(data: Any) -> bool:
    """Whether a pull request's branch is in the repository itself; by number, as that may have been renamed."""
    source, target = ((data[side].get("repo") or {}).get("id") for side in ("head", "base"))
    return source is not None and source == target
