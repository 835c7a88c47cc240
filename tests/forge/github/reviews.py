"""Reviews of pull requests and the comments on lines of their diffs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from forge.git import ChangedFile, Hunk
from forge.github.apps import objects
from forge.github.errors import invalid, not_found, refuse
from forge.http import Answer, Call, Refusal, Router
from forge.people import Role
from forge.state import BODY_LIMIT, Pull, Review, ReviewComment

ROUTES = Router()
_PULLS = "/repos/{owner}/{repo}/pulls"
_ONE = f"{_PULLS}/{{pull_number}}"
_COMMENT = f"{_PULLS}/comments/{{comment_id}}"
_RESOURCE = "PullRequestReviewComment"
_STATES = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED", None: "PENDING"}


@dataclass(frozen=True)
class _Place:
    """Where a comment goes: a line or a range of lines in one hunk, or a whole file."""

    path: str
    side: str = "RIGHT"
    line: int | None = None
    start_line: int | None = None
    start_side: str | None = None
    hunk: str = ""


class _Outside(Exception):
    """The place is none of the diff: the field that is wrong, and what GitHub says of it."""

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        self.message = message
        super().__init__(message)


@ROUTES.add(f"GET {_ONE}/comments", "pull_requests:read")
def list_comments(call: Call) -> Answer:
    return call.page(_pull(call).review_comments, objects(call).review_comment)


@ROUTES.add(f"POST {_ONE}/comments", "pull_requests:write")
def create_comment(call: Call) -> Answer:
    data, pull = call.data, _pull(call)
    body = _text(data)
    if "in_reply_to" in data:
        return _reply(call, pull, body)
    if data.get("commit_id") not in [commit.sha for commit in pull.commits]:
        raise invalid(_RESOURCE, "commit_id", "custom", "commit_id is not part of the pull request")
    try:
        place = _place(pull.files, data)
    except _Outside as outside:
        field = f"pull_request_review_thread.{outside.field}"
        raise invalid(_RESOURCE, field, "custom", f"{field} {outside.message}") from None
    review = _review(call, pull, "", "COMMENTED")
    comment = _comment(call, pull, review, place, body)
    comment.commit_id = data["commit_id"]
    return Answer(201, objects(call).review_comment(comment))


@ROUTES.add(f"GET {_COMMENT}", "pull_requests:read")
def get_comment(call: Call) -> Answer:
    return Answer(200, objects(call).review_comment(_existing(call)))


@ROUTES.add(f"PATCH {_COMMENT}", "pull_requests:write")
def update_comment(call: Call) -> Answer:
    comment = _existing(call)
    _may_change(call, comment)
    comment.body, comment.updated = _text(call.data), call.world.time()
    return Answer(200, objects(call).review_comment(comment))


@ROUTES.add(f"DELETE {_COMMENT}", "pull_requests:write")
def delete_comment(call: Call) -> Answer:
    comment = _existing(call)
    _may_change(call, comment)
    comment.pull.review_comments.remove(comment)
    return Answer(204)


@ROUTES.add(f"GET {_ONE}/reviews", "pull_requests:read")
def list_reviews(call: Call) -> Answer:
    pull = _pull(call)
    return call.page(pull.reviews, lambda review: objects(call).review(pull, review))


@ROUTES.add(f"POST {_ONE}/reviews", "pull_requests:write")
def create_review(call: Call) -> Answer:
    """Either every comment of the review finds its place, or nothing is made."""
    data, pull = call.data, _pull(call)
    event = data.get("event")
    if event not in _STATES:
        raise refuse(422, "Unprocessable Entity", errors=["Event is invalid"])
    if event in ("APPROVE", "REQUEST_CHANGES") and pull.author is call.user:
        what = "approve" if event == "APPROVE" else "request changes on"
        raise refuse(422, "Unprocessable Entity", errors=[f"Can not {what} your own pull request"])
    comments: list[dict[str, Any]] = data.get("comments") or []
    places = []
    for comment in comments:
        try:
            places.append((_place(pull.files, comment), _text(comment)))
        except _Outside as outside:
            what = {"path": "Path", "start_line": "Start line"}.get(outside.field, "Line")
            raise refuse(422, "Unprocessable Entity", errors=[f"{what} could not be resolved"]) from None
    if event == "COMMENT" and not (data.get("body") or comments):
        raise refuse(422, "Unprocessable Entity", errors=["Review body can't be blank"])
    review = _review(call, pull, data.get("body") or "", _STATES[event])
    for place, body in places:
        _comment(call, pull, review, place, body)
    return Answer(200, objects(call).review(pull, review))


def _pull(call: Call) -> Pull:
    found = call.repo.pulls.get(call.number("pull_number"))
    if found is None:
        raise not_found()
    return found


def _existing(call: Call) -> ReviewComment:
    wanted = call.number("comment_id")
    for pull in call.repo.pulls.values():
        for comment in pull.review_comments:
            if comment.id == wanted:
                return comment
    raise not_found()


def _may_change(call: Call, comment: ReviewComment) -> None:
    if comment.author is not call.user and not call.bearer.installation and call.repo.role(call.user) < Role.WRITE:
        raise refuse(403, "Must have admin rights to Repository.")


def _text(data: Mapping[str, Any]) -> str:
    body: str = data.get("body") or ""
    if not body:
        raise invalid(_RESOURCE, "body", "missing_field")
    if len(body) > BODY_LIMIT:
        raise invalid(_RESOURCE, "body", "custom", f"body is too long (maximum is {BODY_LIMIT} characters)")
    return body


def _place(files: tuple[ChangedFile, ...], data: Mapping[str, Any]) -> _Place:
    """Where the comment goes, or _Outside where the diff does not have that place."""
    path = data.get("path") or ""
    file = next((file for file in files if file.path == path), None)
    if file is None:
        raise _Outside("path", "is invalid")
    if data.get("subject_type") == "file":
        return _Place(path)
    side, line = data.get("side") or "RIGHT", data.get("line")
    if line is None:
        raise _line_missing(data)
    hunk, index = _found(file, side, line)
    start, start_side = data.get("start_line"), data.get("start_side") or side
    if start is not None:
        first = hunk.place(start_side, start)
        if first is None:
            raise _Outside("start_line", "must be part of the same hunk as the line.")
        if first >= index:
            raise _Outside("start_line", "must precede the end line.")
    return _Place(path, side, line, start, start_side if start is not None else None, hunk.until(index))


def _line_missing(data: Mapping[str, Any]) -> Refusal:
    if "position" in data:
        return refuse(422, "Unprocessable Entity", errors=["The forge of the tests takes lines, not positions"])
    return invalid(_RESOURCE, "line", "missing_field")


def _found(file: ChangedFile, side: str, line: int) -> tuple[Hunk, int]:
    for hunk in file.hunks:
        index = hunk.place(side, line)
        if index is not None:
            return hunk, index
    raise _Outside("line", "must be part of the diff")


def _reply(call: Call, pull: Pull, body: str) -> Answer:
    first = next((one for one in pull.review_comments if one.id == call.data["in_reply_to"]), None)
    if first is None:
        raise invalid(_RESOURCE, "in_reply_to", "invalid")
    place = _Place(
        first.path, first.side, first.original_line, first.original_start_line, first.start_side, first.diff_hunk
    )
    comment = _comment(call, pull, _review(call, pull, "", "COMMENTED"), place, body)
    comment.commit_id = first.commit_id
    comment.in_reply_to = first.in_reply_to or first.id
    return Answer(201, objects(call).review_comment(comment))


def _review(call: Call, pull: Pull, body: str, state: str) -> Review:
    submitted = None if state == "PENDING" else call.world.time()
    review = Review(call.world.number(), call.user, body, state, call.data.get("commit_id") or pull.head_sha, submitted)
    pull.reviews.append(review)
    pull.requested_reviewers.pop(call.user.login, None)
    return review


def _comment(call: Call, pull: Pull, review: Review, place: _Place, body: str) -> ReviewComment:
    now = call.world.time()
    comment = ReviewComment(
        id=call.world.number(),
        pull=pull,
        review=review.id,
        author=call.user,
        body=body,
        path=place.path,
        side=place.side,
        original_line=place.line,
        original_start_line=place.start_line,
        start_side=place.start_side,
        commit_id=review.commit_id,
        diff_hunk=place.hunk,
        created=now,
        updated=now,
    )
    pull.review_comments.append(comment)
    return comment
