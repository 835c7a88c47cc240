"""Notes below merge requests and issues, and discussions on lines of a diff."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from forge.gitlab.asked import ISSUE, MERGE, asked_issue, asked_merge, fields, may_edit, refuse, require
from forge.gitlab.shown import discussion_json, line_note_json, note_json, paged, system_note_json
from forge.http import Answer, Call, Refusal, Router
from forge.state import Comment, Issue, Pull, ReviewComment

ROUTES = Router()
_NOTE_LIMIT = 1_000_000


@ROUTES.add(f"GET {MERGE}/notes")
def list_notes(call: Call) -> Answer:
    """What people wrote, on lines too, and what GitLab itself wrote about assignees."""
    pull = asked_merge(call)
    return _notes(call, pull, [line_note_json(call, one) for one in pull.review_comments])


@ROUTES.add(f"POST {MERGE}/notes", "issues:write")
def create_note(call: Call) -> Answer:
    return _add_note(call, asked_merge(call))


@ROUTES.add(f"PUT {MERGE}/notes/{{note_id}}", "issues:write")
def update_note(call: Call) -> Answer:
    pull = asked_merge(call)
    for comment in pull.review_comments:
        if comment.id == call.number("note_id"):
            may_edit(call, comment.author)
            comment.body, comment.updated = _note_text(call), call.world.time()
            return Answer(200, line_note_json(call, comment))
    return _edit_note(call, pull)


@ROUTES.add(f"DELETE {MERGE}/notes/{{note_id}}", "issues:write")
def delete_note(call: Call) -> Answer:
    pull = asked_merge(call)
    for comment in pull.review_comments:
        if comment.id == call.number("note_id"):
            may_edit(call, comment.author)
            pull.review_comments.remove(comment)
            return Answer(204)
    return _remove_note(call, pull)


@ROUTES.add(f"GET {MERGE}/discussions")
def list_discussions(call: Call) -> Answer:
    pull = asked_merge(call)
    return paged(call, [*pull.comments, *pull.review_comments], discussion_json)


@ROUTES.add(f"POST {MERGE}/discussions", "issues:write")
def create_discussion(call: Call) -> Answer:
    """Without a position a note like any other."""
    pull, data = asked_merge(call), fields(call)
    if not data.get("position"):
        _add_note(call, pull)
        return Answer(201, discussion_json(call, pull.comments[-1]))
    place = _placed(pull, data["position"])
    now = call.world.time()
    comment = ReviewComment(
        id=call.world.number(),
        pull=pull,
        review=0,
        author=call.user,
        body=_note_text(call),
        path=place.path,
        side=place.side,
        original_line=place.line,
        original_start_line=None,
        start_side=None,
        commit_id=pull.head_sha,
        diff_hunk=place.hunk,
        created=now,
        updated=now,
    )
    pull.review_comments.append(comment)
    return Answer(201, discussion_json(call, comment))


@ROUTES.add(f"GET {ISSUE}/notes")
def list_issue_notes(call: Call) -> Answer:
    return _notes(call, asked_issue(call), [])


@ROUTES.add(f"POST {ISSUE}/notes", "issues:write")
def create_issue_note(call: Call) -> Answer:
    return _add_note(call, asked_issue(call))


@ROUTES.add(f"PUT {ISSUE}/notes/{{note_id}}", "issues:write")
def update_issue_note(call: Call) -> Answer:
    return _edit_note(call, asked_issue(call))


@ROUTES.add(f"DELETE {ISSUE}/notes/{{note_id}}", "issues:write")
def delete_issue_note(call: Call) -> Answer:
    return _remove_note(call, asked_issue(call))


@dataclass(frozen=True)
class _Place:
    path: str
    side: str
    line: int
    hunk: str


def _placed(pull: Pull, position: dict[str, Any]) -> _Place:
    """The line of a position. One that the diff did not change has to be named on both sides, or it is refused."""
    missing = [name for name in ("base_sha", "start_sha", "head_sha") if not position.get(name)]
    if missing:
        raise Refusal(400, {"error": ", ".join(f"position[{name}] is missing" for name in missing)})
    lines = (position.get("old_line"), position.get("new_line"))
    file = next((one for one in pull.files if one.path == position.get("new_path")), None)
    if file and position["head_sha"] == pull.head_sha:
        for hunk in file.hunks:
            for index, (_, before, after) in enumerate(hunk.lines):
                if (before, after) == lines:
                    return _Place(
                        file.path, "LEFT" if after is None else "RIGHT", after or before or 0, hunk.until(index)
                    )
    message = '400 Bad request - Note {:line_code=>["can\'t be blank", "must be a valid line code"]}'
    raise refuse(400, message)


def _notes(call: Call, item: Issue, more: list[dict[str, Any]]) -> Answer:
    own = [system_note_json(call, item, user) for user in item.assignees.values()]
    found = [*own, *(note_json(call, one) for one in item.comments), *more]
    found.sort(key=lambda note: (note["created_at"], note["id"]), reverse=call.query.get("sort", "desc") == "desc")
    return paged(call, found, lambda _, note: note)


def _add_note(call: Call, item: Issue) -> Answer:
    comment = call.repo.comment(item.number, _note_text(call), call.user)
    return Answer(201, note_json(call, comment))


def _edit_note(call: Call, item: Issue) -> Answer:
    comment = _own_note(call, item)
    comment.body, comment.updated = _note_text(call), call.world.time()
    return Answer(200, note_json(call, comment))


def _remove_note(call: Call, item: Issue) -> Answer:
    item.comments.remove(_own_note(call, item))
    return Answer(204)


def _own_note(call: Call, item: Issue) -> Comment:
    comment = next((one for one in item.comments if one.id == call.number("note_id")), None)
    if comment is None:
        raise refuse(404, "404 Note Not Found")
    may_edit(call, comment.author)
    return comment


def _note_text(call: Call) -> str:
    data = fields(call)
    require(data, "body")
    if len(data["body"]) > _NOTE_LIMIT:
        raise refuse(400, {"note": [f"is too long (maximum is {_NOTE_LIMIT} characters)"]})
    body: str = data["body"]
    return body
