"""Issues, and what pull requests have as issues: comments and labels."""

from __future__ import annotations

import re

from forge.gitea.asked import COMMENT, HIDDEN, ISSUE, ISSUES, REPO, asked_item, assign, check_title, edit_item, refuse
from forge.gitea.shown import comment_json, issue_json, label_json, paged
from forge.http import Answer, Call, Router
from forge.people import Role
from forge.state import Comment, Label, Pull, ReviewComment

ROUTES = Router()


@ROUTES.add(f"GET {REPO}/labels")
def list_labels(call: Call) -> Answer:
    return paged(call, list(call.repo.labels.values()), label_json)


@ROUTES.add(f"POST {REPO}/labels", "labels:write")
def create_label(call: Call) -> Answer:
    """Two labels of one name are two labels."""
    data = call.data
    if not data.get("name") or not re.fullmatch(r"#?[0-9a-fA-F]{6}", data.get("color") or ""):
        raise refuse(422, "[Name]: Required" if not data.get("name") else "[Color]: Bad color format")
    label = Label(call.world.number(), data["name"], data["color"].lstrip("#"), data.get("description") or "")
    call.repo.labels[f"{label.name}" if label.name not in call.repo.labels else f"{label.name} {label.id}"] = label
    return Answer(201, label_json(call, label))


@ROUTES.add(f"GET {ISSUE}/labels")
def list_issue_labels(call: Call) -> Answer:
    return Answer(200, [label_json(call, label) for label in asked_item(call).labels.values()])


@ROUTES.add(f"POST {ISSUE}/labels", "labels:write")
def add_labels(call: Call) -> Answer:
    """By their numbers, or by names that the repository has; a name that it does not have is passed over."""
    item = asked_item(call)
    for wanted in call.data.get("labels") or []:
        for label in call.repo.labels.values():
            if wanted in (label.id, label.name):
                item.labels[label.name] = label
    return Answer(200, [label_json(call, label) for label in item.labels.values()])


@ROUTES.add(f"DELETE {ISSUE}/labels/{{label_id}}", "labels:write")
def remove_label(call: Call) -> Answer:
    item = asked_item(call)
    for name, label in list(item.labels.items()):
        if call.params["label_id"] in (str(label.id), label.name):
            del item.labels[name]
    return Answer(204)


@ROUTES.add(f"GET {ISSUES}")
def list_issues(call: Call) -> Answer:
    """Pull requests too, unless only issues are asked for."""
    query = call.query
    state, kind = query.get("state", "open"), query.get("type", "")
    found = [
        item
        for item in call.repo.items.values()
        if state in (item.state, "all")
        and kind in ("", "pulls" if item.is_pull else "issues")
        and query.get("q", "").lower() in f"{item.title}\n{item.body}".lower()
        and query.get("created_by", item.author.login) == item.author.login
        and set(filter(None, query.get("labels", "").split(","))) <= set(item.labels)
    ]
    return paged(call, found[::-1], issue_json)


@ROUTES.add(f"POST {ISSUES}", "issues:write")
def create_issue(call: Call) -> Answer:
    data = call.data
    if not data.get("title"):
        raise refuse(422, "[Title]: Required")
    check_title(data)
    issue = call.repo.open_issue(title=data["title"], body=data.get("body") or "", by=call.user)
    assign(call, issue, data)
    for label in call.repo.labels.values():
        if label.id in (data.get("labels") or []):
            issue.labels[label.name] = label
    return Answer(201, issue_json(call, issue))


@ROUTES.add(f"GET {ISSUE}")
def get_issue(call: Call) -> Answer:
    return Answer(200, issue_json(call, asked_item(call)))


@ROUTES.add(f"PATCH {ISSUE}", "issues:write")
def update_issue(call: Call) -> Answer:
    item = asked_item(call)
    edit_item(call, item)
    return Answer(201, issue_json(call, item))


@ROUTES.add(f"GET {ISSUE}/comments")
def list_comments(call: Call) -> Answer:
    """All of them: there are no pages."""
    return Answer(200, [comment_json(call, comment) for comment in asked_item(call).comments])


@ROUTES.add(f"POST {ISSUE}/comments", "issues:write")
def create_comment(call: Call) -> Answer:
    comment = call.repo.comment(asked_item(call).number, _text(call), call.user)
    return Answer(201, comment_json(call, comment))


@ROUTES.add(f"PATCH {COMMENT}", "issues:write")
def update_comment(call: Call) -> Answer:
    """Comments on lines are comments here as well."""
    comment = _comment_named(call)
    comment.body, comment.updated = _text(call), call.world.time()
    return Answer(200, comment_json(call, comment))


@ROUTES.add(f"DELETE {COMMENT}", "issues:write")
def delete_comment(call: Call) -> Answer:
    comment = _comment_named(call)
    if isinstance(comment, ReviewComment):
        comment.pull.review_comments.remove(comment)
    else:
        comment.item.comments.remove(comment)
    return Answer(204)


def _comment_named(call: Call) -> Comment | ReviewComment:
    """A comment that the bearer may change."""
    wanted = call.number("comment_id")
    for item in call.repo.items.values():
        found: list[Comment | ReviewComment] = [*item.comments]
        found += item.review_comments if isinstance(item, Pull) else []
        for comment in found:
            if comment.id == wanted:
                if comment.author is not call.user and call.repo.role(call.user) < Role.ADMIN:
                    raise refuse(403, "user should be the author of the comment or an admin")
                return comment
    raise refuse(404, HIDDEN)


def _text(call: Call) -> str:
    body: str = call.data.get("body") or ""
    if not body:
        raise refuse(422, "[Body]: Required")
    return body
