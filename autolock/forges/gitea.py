"""Gitea and Forgejo over their REST interface (https://docs.gitea.com/api/)."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

from autolock.forges.base import Check, Comment, Issue, LineComment, NewPull, Pull, PullState
from autolock.forges.common import Hub, author_of, is_own
from autolock.forges.texts import NewLines, block, new_lines, seconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


_DRAFT = "WIP: "
#: How people write the same.
_DRAFTED = re.compile(r"^(?:wip:|\[wip\])\s*", re.IGNORECASE)
#: How many pages of ended pull requests are read, of 50 each: there is no way to ask for those of one branch.
_ENDED_PAGES = 10
_PAGE = 50


class Gitea(Hub):
    """A repository on Gitea or Forgejo, `owner/name`."""

    name = "Gitea"
    body_limit = 65_536
    _writers = ("admin", "owner", "write")

    # -- pull requests ---------------------------------------------------------------

    def pulls(self, prefix: str, branches: Sequence[str]) -> Sequence[Pull]:
        found = list(self._pages("pulls", state="open"))
        found += self._pages("pulls", _ENDED_PAGES, state="closed", sort="recentupdate")
        return self._mine(found, prefix)

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

    def add_labels(self, number: int, labels: Sequence[str]) -> None:
        """Put labels on a pull request; those that the repository does not have are made."""
        known = {label["name"]: label["id"] for label in self._pages("labels")}
        for name in labels:
            if name not in known:
                made = self._client.send("POST", f"{self._root}/labels", {"name": name, "color": "#1d76db"})
                known[name] = made["id"]
        self._client.send("POST", f"{self._root}/issues/{number}/labels", {"labels": [known[name] for name in labels]})

    def assign(self, number: int, assignees: Sequence[str]) -> None:
        self._client.send("PATCH", f"{self._root}/pulls/{number}", {"assignees": list(assignees)})

    @staticmethod
    def _pull(data: Any) -> Pull:
        state = PullState.OPEN if data["state"] == "open" else PullState.CLOSED
        if data.get("merged"):
            state = PullState.MERGED
        title = data["title"]
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
            author=author_of(data),
            opened=seconds(data["created_at"]),
            ours=is_own(data),
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
        return list(map(self._comment, found))

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
                author = author_of(c)
                found.append(LineComment(c["path"], line, line, c["body"], c["id"], author))
        return found

    def add_line_comment(self, number: int, commit: str, comment: LineComment) -> None:
        said = {"path": comment.path, "body": comment.body, "new_position": comment.last}
        look = partial(self._placed, number, comment)
        body = {"commit_id": commit, "event": "COMMENT", "comments": [said]}
        self._client.make(f"{self._root}/pulls/{number}/reviews", body, look)

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

    def issues(self, title: str) -> Sequence[Issue]:
        found = self._pages("issues", state="all", type="issues", q=title)
        return sorted((self._issue(i) for i in found if i["title"] == title), key=lambda issue: issue.number)
