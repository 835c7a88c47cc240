"""What a request to GitLab names, and its refusals as GitLab words them."""

from __future__ import annotations

from typing import Any

from forge.http import Call, Refusal
from forge.people import Role, User
from forge.state import Issue, Pull, Repository

PROJECT = "/projects/{id}"
MERGES = f"{PROJECT}/merge_requests"
MERGE = f"{MERGES}/{{iid}}"
ISSUES = f"{PROJECT}/issues"
ISSUE = f"{ISSUES}/{{iid}}"
TITLE_LIMIT = 255
_DESCRIPTION_LIMIT = 1_048_576


def refuse(status: int, message: Any) -> Refusal:
    return Refusal(status, {"message": message})


def fields(call: Call) -> dict[str, Any]:
    """The body and, as GitLab takes it from there too, the query."""
    return {**call.query, **call.data}


def require(data: dict[str, Any], *fields: str) -> None:
    missing = [field for field in fields if not data.get(field)]
    if missing:
        raise Refusal(400, {"error": ", ".join(f"{field} is missing" for field in missing)})


def check_text(data: dict[str, Any]) -> None:
    for field, limit in (("title", TITLE_LIMIT), ("description", _DESCRIPTION_LIMIT)):
        if len(data.get(field) or "") > limit:
            raise refuse(400, {field: [f"is too long (maximum is {limit} characters)"]})


def asked_project(call: Call) -> Repository:
    """The project of the path, by its number or by its full name."""
    wanted = call.params["id"].lower()
    for repository in call.world.repositories.values():
        if wanted in (str(repository.id), repository.full_name.lower()) and call.bearer.sees(repository):
            repository.follow()
            return repository
    raise refuse(404, "404 Project Not Found")


def asked_merge(call: Call) -> Pull:
    found = list(call.repo.pulls.values())
    return found[_index(call, len(found))]


def asked_issue(call: Call) -> Issue:
    found = list(call.repo.issues.values())
    return found[_index(call, len(found))]


def _index(call: Call, count: int) -> int:
    number = call.number("iid")
    if not 1 <= number <= count:
        raise refuse(404, "404 Not found")
    return number - 1


def may_change(call: Call, item: Issue) -> None:
    if item.author is not call.user and not call.bearer.may(call.repo, "triage", "write"):
        raise refuse(403, "403 Forbidden")


def may_edit(call: Call, author: User) -> None:
    if author is not call.user and call.repo.role(call.user) < Role.MAINTAIN:
        raise refuse(403, "403 Forbidden")


def ordered(call: Call, found: list[Any]) -> list[Any]:
    by_change = call.query.get("order_by") == "updated_at"
    return sorted(
        found,
        key=lambda one: (one.updated if by_change else 0, one.number),
        reverse=call.query.get("sort", "desc") == "desc",
    )


def change_item(call: Call, item: Issue, data: dict[str, Any]) -> None:
    """What a merge request and an issue let be changed in the same way; labels and people are named in two ways."""
    item.title = data.get("title") or item.title
    if "description" in data:
        item.body = data["description"] or ""
    if "labels" in data:
        item.labels = {}
        _add_labels(item, data["labels"])
    _add_labels(item, data.get("add_labels") or [])
    for name in _names(data.get("remove_labels") or []):
        item.labels.pop(name, None)
    if "assignee_ids" in data:
        item.assignees = _people(item.repository, data["assignee_ids"])
    if isinstance(item, Pull) and "reviewer_ids" in data:
        item.requested_reviewers = _people(item.repository, data["reviewer_ids"])
    item.updated = call.world.time()


def _names(labels: Any) -> list[str]:
    return labels if isinstance(labels, list) else [name.strip() for name in labels.split(",") if name.strip()]


def _add_labels(item: Issue, labels: Any) -> None:
    for name in _names(labels):
        label = item.repository.label(name)
        item.labels[label.name] = label


def _people(repo: Repository, ids: list[int]) -> dict[str, User]:
    """Who is no member is left out."""
    return {user.login: user for user in repo.world.users.values() if user.id in ids and is_member(repo, user)}


def is_member(repo: Repository, user: User) -> bool:
    return user.kind != "Organization" and repo.role(user) > Role.NONE
