"""GitLab, also a self-managed one, over its REST interface (https://docs.gitlab.com/api/rest/).

python-gitlab was looked at and left out: it has no say in when a POST is tried again, which is what matters here.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from autolock.forges.base import Check, Comment, Issue, LineComment, NewPull, Pull, PullState
from autolock.forges.common import Common
from autolock.forges.texts import NewLines, block, new_lines, seconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from autolock.forges.http import Client

_DEVELOPER = 30
_STATES = {"opened": PullState.OPEN, "merged": PullState.MERGED}
_DRAFT = "Draft: "
#: How people write the same.
_DRAFTED = re.compile(r"\s*(?:\[draft\]|\(draft\)|draft:)\s*", re.IGNORECASE)


class GitLab(Common):
    """A project on GitLab, `group/subgroup/name`."""

    name = "GitLab"
    body_limit = 1_000_000
    _account = "username"

    def __init__(self, client: Client, project: str) -> None:
        super().__init__(client, f"projects/{quote(project, safe='')}")

    # -- merge requests --------------------------------------------------------------

    def pulls(self, prefix: str, branches: Sequence[str]) -> Sequence[Pull]:
        path = f"{self._root}/merge_requests"
        found = list(self._client.pages(path, state="opened"))
        found += self._client.get(path, state="closed", per_page=100, order_by="updated_at")
        for branch in branches:
            found += self._client.pages(path, source_branch=branch)
        return self._mine(found, prefix)

    def pull(self, number: int) -> Pull:
        return self._pull(self._client.get(f"{self._root}/merge_requests/{number}"))

    def open_pull(self, new: NewPull) -> Pull:
        body = {
            "title": f"{_DRAFT if new.draft else ''}{new.title}",
            "description": new.body,
            "source_branch": new.head,
            "target_branch": new.base,
            "remove_source_branch": True,
        }
        made = self._client.make(f"{self._root}/merge_requests", body, lambda: self._open_one(new))
        return made if isinstance(made, Pull) else self._pull(made)

    def _open_one(self, new: NewPull) -> Pull | None:
        query = {"state": "opened", "source_branch": new.head, "target_branch": new.base}
        found = self._client.get(f"{self._root}/merge_requests", **query)
        return self._pull(found[0]) if found else None

    def update_pull(self, number: int, *, title: str, body: str) -> None:
        drafted = self.pull(number).draft
        said = {"title": f"{_DRAFT if drafted else ''}{title}", "description": body}
        self._client.send("PUT", f"{self._root}/merge_requests/{number}", said)

    def close_pull(self, number: int) -> None:
        self._client.send("PUT", f"{self._root}/merge_requests/{number}", {"state_event": "close"})

    def add_labels(self, number: int, labels: Sequence[str]) -> None:
        self._client.send("PUT", f"{self._root}/merge_requests/{number}", {"add_labels": ",".join(labels)})

    def request_reviews(self, number: int, reviewers: Sequence[str]) -> None:
        self._ask(number, "reviewer_ids", reviewers)

    def assign(self, number: int, assignees: Sequence[str]) -> None:
        self._ask(number, "assignee_ids", assignees)

    def _ask(self, number: int, field: str, names: Sequence[str]) -> None:
        people = self._people(names)
        if people:  # an empty list would take away those that are there
            self._client.send("PUT", f"{self._root}/merge_requests/{number}", {field: people})

    def _people(self, names: Sequence[str]) -> list[int]:
        """The numbers of accounts; a name that nobody has is passed over."""
        found = (self._client.get("users", username=name) for name in names)
        return [accounts[0]["id"] for accounts in found if accounts]

    @staticmethod
    def _pull(data: Any) -> Pull:
        draft = bool(data.get("draft"))
        title = data["title"]
        return Pull(
            number=data["iid"],
            title=_DRAFTED.sub("", title, count=1) if draft and _DRAFTED.match(title) else title,
            body=data.get("description") or "",
            head=data["source_branch"],
            head_commit=data.get("sha") or "",
            base=data["target_branch"],
            state=_STATES.get(data["state"], PullState.CLOSED),
            draft=draft,
            url=data["web_url"],
            author=(data.get("author") or {}).get("username", ""),
            opened=seconds(data["created_at"]),
            closed=seconds(data.get("closed_at")),
            ours=data.get("source_project_id") == data.get("target_project_id"),
        )

    # -- notes -----------------------------------------------------------------------

    def comments(self, number: int) -> Sequence[Comment]:
        found = self._client.pages(self._notes(number), sort="asc", order_by="created_at")
        said = (note for note in found if not note.get("system"))
        return [Comment(n["id"], n["body"], n["author"]["username"], seconds(n["created_at"])) for n in said]

    def add_comment(self, number: int, body: str) -> None:
        look = partial(self._said, number, body)
        self._client.make(self._notes(number), {"body": body}, look)

    def edit_comment(self, number: int, comment: int, body: str) -> None:
        self._client.send("PUT", f"{self._notes(number)}/{comment}", {"body": body})

    def _notes(self, number: int) -> str:
        return f"{self._root}/merge_requests/{number}/notes"

    def head_ref(self, number: int) -> str:
        return f"refs/merge-requests/{number}/head"

    def changed_lines(self, number: int) -> Mapping[str, NewLines]:
        files = self._client.pages(f"{self._root}/merge_requests/{number}/diffs")
        return {file["new_path"]: new_lines(file.get("diff") or "") for file in files}

    def suggestion(self, lines: int, text: str) -> str:
        return block(f"suggestion:-{lines - 1}+0", text)

    def line_comments(self, number: int) -> Sequence[LineComment]:
        found: list[LineComment] = []
        for discussion in self._client.pages(f"{self._root}/merge_requests/{number}/discussions"):
            note = discussion["notes"][0]
            position = note.get("position") or {}
            line = position.get("new_line")
            if line:
                author = note["author"]["username"]
                found.append(LineComment(position["new_path"], line, line, note["body"], note["id"], author))
        return found

    def add_line_comment(self, number: int, commit: str, comment: LineComment) -> None:
        refs = self._client.get(f"{self._root}/merge_requests/{number}")["diff_refs"]
        position: dict[str, object] = {
            "position_type": "text",
            **refs,
            "old_path": comment.path,
            "new_path": comment.path,
            "new_line": comment.last,
        }
        lines = self.changed_lines(number).get(comment.path)
        if lines is not None and comment.last in lines.old:  # a line that is on both sides is named by both
            position["old_line"] = lines.old[comment.last]
        look = partial(self._placed, number, comment)
        body = {"body": comment.body, "position": position}
        self._client.make(f"{self._root}/merge_requests/{number}/discussions", body, look)

    def edit_line_comment(self, number: int, comment: LineComment) -> None:
        self.edit_comment(number, comment.number, comment.body)

    def delete_line_comment(self, number: int, comment: int) -> None:
        self._client.send("DELETE", f"{self._notes(number)}/{comment}")

    # -- checks, people, issues ------------------------------------------------------

    def report(self, check: Check) -> None:
        state = "failed" if check.outcome.value == "failure" else "success"
        body = {"state": state, "name": check.name, "description": check.title[:255]}
        if check.url:
            body["target_url"] = check.url
        said = self._client.get(f"{self._root}/repository/commits/{check.commit}/statuses", name=check.name)
        if not any(s["status"] == state and s.get("description") == body["description"] for s in said):
            self._client.send("POST", f"{self._root}/statuses/{check.commit}", body)

    def may_write(self, user: str) -> bool:
        members = self._client.pages(f"{self._root}/members/all", query=user)
        return any(m["username"] == user and m["access_level"] >= _DEVELOPER for m in members)

    def issues(self, title: str) -> Sequence[Issue]:
        found = self._client.pages(f"{self._root}/issues", search=title, **{"in": "title"}, sort="asc")
        return [self._issue(i) for i in found if i["title"] == title]

    def open_issue(self, title: str, body: str) -> Issue:
        return self._opened_issue(title, {"description": body})

    def update_issue(self, number: int, body: str, *, open: bool = True) -> None:
        said = {"description": body, "state_event": "reopen" if open else "close"}
        self._client.send("PUT", f"{self._root}/issues/{number}", said)

    @staticmethod
    def _issue(data: Any) -> Issue:
        author = (data.get("author") or {}).get("username", "")
        opened = data["state"] == "opened"
        return Issue(data["iid"], data["title"], data.get("description") or "", opened, author, data["web_url"])
