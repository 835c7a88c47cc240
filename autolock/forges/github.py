"""GitHub, also an Enterprise server, over its REST interface (https://docs.github.com/rest)."""

from __future__ import annotations

import base64
from functools import partial
from typing import TYPE_CHECKING, Any

from autolock.forges.base import (
    Check,
    Comment,
    ForgeError,
    Issue,
    LineComment,
    NewCommit,
    NewPull,
    Outcome,
    Pull,
    PullState,
)
from autolock.forges.common import Hub, author_of, is_own
from autolock.forges.texts import NewLines, block, new_lines, same_text, seconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from autolock.forges.http import Client

#: By this a check run is known as autolock's: a job of Actions that is called autolock has one of that name, too.
_OURS = "autolock"
#: What a request for a check may carry.
_ANNOTATIONS = 50


class GitHub(Hub):
    """A repository on GitHub, `owner/name`."""

    name = "GitHub"
    body_limit = 65_536
    _writers = ("admin", "maintain", "write")

    def __init__(self, client: Client, repository: str) -> None:
        super().__init__(client, repository)
        self._owner = repository.partition("/")[0]

    # -- pull requests ---------------------------------------------------------------

    def pulls(self, prefix: str, branches: Sequence[str]) -> Sequence[Pull]:
        path, newest = f"{self._root}/pulls", {"sort": "created", "direction": "desc"}
        found = list(self._client.pages(path, state="open", **newest))
        found += self._client.get(path, state="closed", per_page=100, sort="updated", direction="desc")
        for branch in branches:
            found += self._client.pages(path, state="closed", head=f"{self._owner}:{branch}", **newest)
        return self._mine(found, prefix)

    def open_pull(self, new: NewPull) -> Pull:
        body = {"title": new.title, "body": new.body, "head": new.head, "base": new.base, "draft": new.draft}
        made = self._client.make(f"{self._root}/pulls", body, lambda: self._open_one(new))
        return made if isinstance(made, Pull) else self._pull(made)

    def _open_one(self, new: NewPull) -> Pull | None:
        query = {"state": "open", "head": f"{self._owner}:{new.head}", "base": new.base}
        found = self._client.get(f"{self._root}/pulls", **query)
        return self._pull(found[0]) if found else None

    def update_pull(self, number: int, *, title: str, body: str) -> None:
        self._client.send("PATCH", f"{self._root}/pulls/{number}", {"title": title, "body": body})

    def add_labels(self, number: int, labels: Sequence[str]) -> None:
        self._client.send("POST", f"{self._root}/issues/{number}/labels", {"labels": list(labels)})

    def assign(self, number: int, assignees: Sequence[str]) -> None:
        self._client.send("POST", f"{self._root}/issues/{number}/assignees", {"assignees": list(assignees)})

    @staticmethod
    def _pull(data: Any) -> Pull:
        state = PullState.OPEN if data["state"] == "open" else PullState.CLOSED
        if data.get("merged_at"):
            state = PullState.MERGED
        return Pull(
            number=data["number"],
            title=data["title"],
            body=data.get("body") or "",
            head=data["head"]["ref"],
            head_commit=data["head"]["sha"],
            base=data["base"]["ref"],
            state=state,
            draft=bool(data.get("draft")),
            url=data["html_url"],
            author=author_of(data),
            opened=seconds(data["created_at"]),
            ours=is_own(data),
            closed=seconds(data.get("closed_at")),
        )

    # -- comments --------------------------------------------------------------------

    def comments(self, number: int) -> Sequence[Comment]:
        found = self._client.pages(f"{self._root}/issues/{number}/comments")
        return list(map(self._comment, found))

    def changed_lines(self, number: int) -> Mapping[str, NewLines]:
        files = self._client.pages(f"{self._root}/pulls/{number}/files")
        return {file["filename"]: new_lines(file.get("patch") or "") for file in files}

    def suggestion(self, lines: int, text: str) -> str:
        return block("suggestion", text)

    def line_comments(self, number: int) -> Sequence[LineComment]:
        return [self._line_comment(c) for c in self._client.pages(f"{self._root}/pulls/{number}/comments")]

    def add_line_comment(self, number: int, commit: str, comment: LineComment) -> None:
        body: dict[str, object] = {
            "body": comment.body,
            "commit_id": commit,
            "path": comment.path,
            "line": comment.last,
            "side": "RIGHT",
        }
        if comment.first != comment.last:
            body |= {"start_line": comment.first, "start_side": "RIGHT"}
        look = partial(self._placed, number, comment)
        self._client.make(f"{self._root}/pulls/{number}/comments", body, look)

    def edit_line_comment(self, number: int, comment: LineComment) -> None:
        self._client.send("PATCH", f"{self._root}/pulls/comments/{comment.number}", {"body": comment.body})

    def delete_line_comment(self, number: int, comment: int) -> None:
        self._client.send("DELETE", f"{self._root}/pulls/comments/{comment}")

    @staticmethod
    def _line_comment(data: Any) -> LineComment:
        last = data.get("line") or 0  # none where the line has been changed since: the comment is out of sight
        first = data.get("start_line") or last
        return LineComment(data["path"], first, last, data["body"], data["id"], author_of(data))

    # -- checks, people, issues ------------------------------------------------------

    def report(self, check: Check) -> None:
        body: dict[str, object] = {
            "name": check.name,
            "status": "completed",
            "external_id": _OURS,
            "conclusion": check.outcome.value,
        }
        output: dict[str, object] = {"title": check.title, "summary": check.summary[: self.body_limit - 1]}
        if check.url:
            body["details_url"] = check.url
        said = [
            {
                "path": a.path,
                "start_line": a.first,
                "end_line": a.last,
                "annotation_level": a.level,
                "title": a.title[:255],
                "message": a.message,
            }
            for a in check.annotations
        ]
        run = self._run_of(check)
        if _says(run, check) if run else self._has_status(check):
            return
        made: Any
        first = {**body, "output": {**output, "annotations": said[:_ANNOTATIONS]}}
        try:
            if run:
                made = self._client.send("PATCH", f"{self._root}/check-runs/{run['id']}", first)
            else:
                new = {**first, "head_sha": check.commit}
                made = self._client.make(f"{self._root}/check-runs", new, partial(self._run_of, check))
        except ForgeError as error:
            if error.status not in (403, 404):
                raise
            self._status(check)  # only Apps may make check runs
            return
        for start in range(_ANNOTATIONS, len(said), _ANNOTATIONS):
            more = {"output": {**output, "annotations": said[start : start + _ANNOTATIONS]}}
            self._client.send("PATCH", f"{self._root}/check-runs/{made['id']}", more)

    def _run_of(self, check: Check) -> Any:
        """The check run of that name that autolock has made; None where there is none."""
        path = f"{self._root}/commits/{check.commit}/check-runs"
        runs = self._client.get(path, check_name=check.name, per_page=100)["check_runs"]
        return next((run for run in runs if run.get("external_id") == _OURS), None)

    def _status(self, check: Check) -> None:
        state, description = _short(check)
        body = {"state": state, "context": check.name, "description": description}
        if check.url:
            body["target_url"] = check.url
        self._client.send("POST", f"{self._root}/statuses/{check.commit}", body)

    def _has_status(self, check: Check) -> bool:
        """Whether a status, as those make who may make no check runs, says what a check is to say."""
        try:
            said = self._client.get(f"{self._root}/commits/{check.commit}/status")["statuses"]
        except ForgeError as error:
            if error.status == 403:  # who may not read them has written none
                return False
            raise
        return (check.name, *_short(check)) in [(s["context"], s["state"], s["description"]) for s in said]

    def issues(self, title: str) -> Sequence[Issue]:
        found = self._client.pages(f"{self._root}/issues", state="all", sort="created", direction="asc")
        return [self._issue(i) for i in found if i["title"] == title and "pull_request" not in i]

    # -- commits that the forge makes ------------------------------------------------

    def commit(self, new: NewCommit) -> str:
        """A commit through the Git Data API, which GitHub signs for an App; returns its name. Moves no branch."""
        parent = self._client.get(f"{self._root}/git/commits/{new.parent}")
        entries = [
            {"path": path, "mode": mode, "type": "blob", "sha": self._blob(data)}
            for path, (mode, data) in new.files.items()
        ]
        tree = self._client.send(
            "POST", f"{self._root}/git/trees", {"base_tree": parent["tree"]["sha"], "tree": entries}
        )
        body = {"message": new.message, "tree": tree["sha"], "parents": [new.parent]}
        return str(self._client.send("POST", f"{self._root}/git/commits", body)["sha"])

    def _blob(self, data: bytes) -> str:
        body = {"content": base64.b64encode(data).decode("ascii"), "encoding": "base64"}
        return str(self._client.send("POST", f"{self._root}/git/blobs", body)["sha"])


def _says(run: Any, check: Check) -> bool:
    """Whether a check run says already what a check is to say."""
    output = run.get("output") or {}
    there = (run.get("conclusion"), output.get("title"), output.get("annotations_count") or 0)
    same = there == (check.outcome.value, check.title, len(check.annotations))
    return same and same_text(output.get("summary") or "", check.summary)


def _short(check: Check) -> tuple[str, str]:
    """A check as a status: its state and its description."""
    return "failure" if check.outcome is Outcome.FAILURE else "success", check.title[:140]
