"""Gitea and Forgejo over their REST interface (https://docs.gitea.com/api/)."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from autolock.forges.base import Check, Comment, ForgeError, Issue, LineComment, NewPull, Pull, PullState
from autolock.forges.texts import NewLines, block, new_lines, same_text, seconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from autolock.forges.http import Client

_DRAFT = "WIP: "
#: How people write the same.
_DRAFTED = re.compile(r"^(?:wip:|\[wip\])\s*", re.IGNORECASE)
#: How many pages of ended pull requests are read, of 50 each: there is no way to ask for those of one branch.
_ENDED_PAGES = 10
_PAGE = 50


class Gitea:
    """A repository on Gitea or Forgejo, `owner/name`."""

    name = "Gitea"
    body_limit = 65_536

    def __init__(self, client: Client, repository: str) -> None:
        self._client = client
        self._root = f"repos/{repository}"

    def default_branch(self) -> str:
        return str(self._client.get(self._root)["default_branch"])

    def me(self) -> str:
        try:
            return str(self._client.get("user")["login"])
        except ForgeError as error:
            if error.status in (401, 403, 404):
                return ""
            raise

    # -- pull requests ---------------------------------------------------------------

    def pulls(self, prefix: str, branches: Sequence[str]) -> Sequence[Pull]:
        found = list(self._pages("pulls", state="open"))
        found += self._pages("pulls", _ENDED_PAGES, state="closed", sort="recentupdate")
        pulls = {data["number"]: self._pull(data) for data in found}
        return sorted(
            (pull for pull in pulls.values() if pull.ours and pull.head.startswith(prefix)),
            key=lambda pull: -pull.number,
        )

    def pull(self, number: int) -> Pull:
        return self._pull(self._client.get(f"{self._root}/pulls/{number}"))

    def open_pull(self, new: NewPull) -> Pull:
        title = f"{_DRAFT if new.draft else ''}{new.title}"
        body = {"title": title, "body": new.body, "head": new.head, "base": new.base}
        made = self._client.make(f"{self._root}/pulls", body, lambda: self._open_one(new))
        return made if isinstance(made, Pull) else self._pull(made)

    def _open_one(self, new: NewPull) -> Pull | None:
        found = (self._pull(data) for data in self._pages("pulls", state="open"))
        return next((pull for pull in found if pull.ours and (pull.head, pull.base) == (new.head, new.base)), None)

    def update_pull(self, number: int, *, title: str, body: str) -> None:
        drafted = self.pull(number).draft
        said = {"title": f"{_DRAFT if drafted else ''}{title}", "body": body}
        self._client.send("PATCH", f"{self._root}/pulls/{number}", said)

    def close_pull(self, number: int) -> None:
        self._client.send("PATCH", f"{self._root}/pulls/{number}", {"state": "closed"})

    def add_labels(self, number: int, labels: Sequence[str]) -> None:
        """Put labels on a pull request; those that the repository does not have are made."""
        known = {label["name"]: label["id"] for label in self._pages("labels")}
        for name in labels:
            if name not in known:
                made = self._client.send("POST", f"{self._root}/labels", {"name": name, "color": "#1d76db"})
                known[name] = made["id"]
        self._client.send("POST", f"{self._root}/issues/{number}/labels", {"labels": [known[name] for name in labels]})

    def request_reviews(self, number: int, reviewers: Sequence[str]) -> None:
        people = [name for name in reviewers if "/" not in name]
        teams = [name.rpartition("/")[2] for name in reviewers if "/" in name]
        path = f"{self._root}/pulls/{number}/requested_reviewers"
        self._client.send("POST", path, {"reviewers": people, "team_reviewers": teams})

    def assign(self, number: int, assignees: Sequence[str]) -> None:
        self._client.send("PATCH", f"{self._root}/pulls/{number}", {"assignees": list(assignees)})

    def _pull(self, data: Any) -> Pull:
        state = PullState.OPEN if data["state"] == "open" else PullState.CLOSED
        if data.get("merged"):
            state = PullState.MERGED
        title = data["title"]
        # By number: the repository may have been renamed.
        source, target = ((data[side].get("repo") or {}).get("id") for side in ("head", "base"))
        return Pull(
            number=data["number"],
            title=_DRAFTED.sub("", title, count=1),
            body=data.get("body") or "",
            head=data["head"]["ref"],
            head_commit=data["head"]["sha"],
            base=data["base"]["ref"],
            state=state,
            draft=bool(data.get("draft")) or _DRAFTED.match(title) is not None,
            url=data["html_url"],
            author=(data.get("user") or {}).get("login", ""),
            opened=seconds(data["created_at"]),
            ours=source is not None and source == target,
            closed=seconds(data.get("closed_at")),
        )

    def _pages(self, path: str, most: int = 1_000, **query: object) -> Iterator[Any]:
        for page in range(1, most + 1):
            found = self._client.get(f"{self._root}/{path}", limit=_PAGE, page=page, **query)
            yield from found
            if not found:  # a server may have shorter pages than were asked for
                return

    # -- comments --------------------------------------------------------------------

    def comments(self, number: int) -> Sequence[Comment]:
        found = self._client.get(f"{self._root}/issues/{number}/comments")
        return [
            Comment(c["id"], c.get("body") or "", (c.get("user") or {}).get("login", ""), seconds(c["created_at"]))
            for c in found
        ]

    def add_comment(self, number: int, body: str) -> None:
        look = partial(self._said, number, body)
        self._client.make(f"{self._root}/issues/{number}/comments", {"body": body}, look)

    def _said(self, number: int, body: str) -> Comment | None:
        return next((c for c in self.comments(number) if same_text(c.body, body)), None)

    def edit_comment(self, number: int, comment: int, body: str) -> None:
        self._client.send("PATCH", f"{self._root}/issues/comments/{comment}", {"body": body})

    def head_ref(self, number: int) -> str:
        return f"refs/pull/{number}/head"

    def changed_lines(self, number: int) -> Mapping[str, NewLines]:
        patch = self._client.ask("GET", f"{self._root}/pulls/{number}.diff").text
        files = (part.partition("\n+++ b/") for part in f"\n{patch}".split("\ndiff --git "))
        return {rest.partition("\n")[0]: new_lines(rest.partition("\n")[2]) for _, found, rest in files if found}

    def suggestion(self, lines: int, text: str) -> str:
        return f"Instead of these {lines} lines:\n\n{block('python', text)}"  # Gitea has none that can be applied

    def line_comments(self, number: int) -> Sequence[LineComment]:
        found: list[LineComment] = []
        for review in self._pages(f"pulls/{number}/reviews"):
            for c in self._client.get(f"{self._root}/pulls/{number}/reviews/{review['id']}/comments"):
                line = c.get("position") or c.get("original_position") or 0
                author = (c.get("user") or {}).get("login", "")
                found.append(LineComment(c["path"], line, line, c["body"], c["id"], author))
        return found

    def add_line_comment(self, number: int, commit: str, comment: LineComment) -> None:
        said = {"path": comment.path, "body": comment.body, "new_position": comment.last}
        look = partial(self._placed, number, comment)
        body = {"commit_id": commit, "event": "COMMENT", "comments": [said]}
        self._client.make(f"{self._root}/pulls/{number}/reviews", body, look)

    def _placed(self, number: int, comment: LineComment) -> LineComment | None:
        place = (comment.path, comment.last)
        found = (c for c in self.line_comments(number) if (c.path, c.last) == place)
        return next((c for c in found if same_text(c.body, comment.body)), None)

    def edit_line_comment(self, number: int, comment: LineComment) -> None:
        self.edit_comment(number, comment.number, comment.body)

    def delete_line_comment(self, number: int, comment: int) -> None:
        """Take back a comment on lines with its review: alone it would stay, and yet be said to be gone."""
        reviews = f"{self._root}/pulls/{number}/reviews"
        for review in self._pages(f"pulls/{number}/reviews"):
            if [comment] == [c["id"] for c in self._client.get(f"{reviews}/{review['id']}/comments")]:
                self._client.send("DELETE", f"{reviews}/{review['id']}")

    # -- checks, people, issues ------------------------------------------------------

    def report(self, check: Check) -> None:
        state = "failure" if check.outcome.value == "failure" else "success"
        body = {"state": state, "context": check.name, "description": check.title[:255]}
        if check.url:
            body["target_url"] = check.url
        said = self._client.get(f"{self._root}/commits/{check.commit}/statuses")
        latest = next((s for s in said if s["context"] == check.name), None)
        if latest is None or (latest["status"], latest["description"]) != (state, body["description"]):
            self._client.send("POST", f"{self._root}/statuses/{check.commit}", body)

    def may_write(self, user: str) -> bool:
        try:
            found = self._client.get(f"{self._root}/collaborators/{quote(user)}/permission")
        except ForgeError as error:
            if error.status in (403, 404):  # only administrators of the repository may ask about others
                return False
            raise
        return found["permission"] in ("admin", "owner", "write")

    def issues(self, title: str) -> Sequence[Issue]:
        found = self._pages("issues", state="all", type="issues", q=title)
        return sorted((self._issue(i) for i in found if i["title"] == title), key=lambda issue: issue.number)

    def open_issue(self, title: str, body: str) -> Issue:
        look = partial(self._issue_of, title)
        made = self._client.make(f"{self._root}/issues", {"title": title, "body": body}, look)
        return made if isinstance(made, Issue) else self._issue(made)

    def _issue_of(self, title: str) -> Issue | None:
        return next(iter(self.issues(title)), None)

    def update_issue(self, number: int, body: str, *, open: bool = True) -> None:
        state = "open" if open else "closed"
        self._client.send("PATCH", f"{self._root}/issues/{number}", {"body": body, "state": state})

    @staticmethod
    def _issue(data: Any) -> Issue:
        author = (data.get("user") or {}).get("login", "")
        return Issue(
            data["number"], data["title"], data.get("body") or "", data["state"] == "open", author, data["html_url"]
        )
