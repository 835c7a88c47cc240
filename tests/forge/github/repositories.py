"""A repository, its branches, files, labels, and who works on it."""

from __future__ import annotations

from typing import Any

from forge.github.apps import objects
from forge.github.errors import invalid, not_found, refuse, require
from forge.http import Answer, Call, Router
from forge.people import Role
from forge.state import Label

ROUTES = Router("path", "branch")
_REPO = "/repos/{owner}/{repo}"
_COARSE = {Role.NONE: "none", Role.READ: "read", Role.TRIAGE: "read", Role.MAINTAIN: "write"}
"""What a role is called in `permission`, which knows fewer than `role_name` does."""


@ROUTES.add(f"GET {_REPO}")
def get_repository(call: Call) -> Answer:
    role = Role.WRITE if call.bearer.installation else call.repo.role(call.user)
    return Answer(200, objects(call).repository(call.repo, role))


@ROUTES.add(f"GET {_REPO}/collaborators/{{username}}/permission", "metadata:read")
def get_permission(call: Call) -> Answer:
    user = call.world.users.get(call.params["username"].lower())
    if user is None:
        raise not_found()
    if not call.bearer.installation and call.repo.role(call.user) < Role.WRITE:
        raise refuse(403, "Must have push access to view collaborator permission.")
    role = call.repo.role(user)
    collaborator = {
        **objects(call).repository(call.repo, role)["permissions"],
    }
    return Answer(
        200,
        {
            "permission": _COARSE.get(role, role.title),
            "role_name": role.title,
            "user": {**objects(call).user(user), "permissions": collaborator, "role_name": role.title},
        },
    )


@ROUTES.add(f"GET {_REPO}/branches", "contents:read")
def list_branches(call: Call) -> Answer:
    return call.page(sorted(call.repo.branches().items()), lambda pair: objects(call).branch(call.repo, *pair))


@ROUTES.add(f"GET {_REPO}/branches/{{branch}}", "contents:read")
def get_branch(call: Call) -> Answer:
    sha = call.repo.head(call.params["branch"])
    if sha is None:
        raise refuse(404, "Branch not found")
    return Answer(200, objects(call).branch_with_protection(call.repo, call.params["branch"], sha))


@ROUTES.add(f"GET {_REPO}/contents/{{path}}", "contents:read")
def get_contents(call: Call) -> Answer:
    repo, path = call.repo, call.params["path"].strip("/")
    ref = call.query.get("ref", repo.default_branch)
    commit = repo.git.resolve(ref)
    if commit is None:
        raise refuse(404, f"No commit found for the ref {ref}")
    found = repo.git.entry(commit, path)
    if found is None:
        raise not_found()
    if found.kind == "blob":
        return Answer(200, objects(call).content(repo, path, ref, found.sha, repo.git.read_blob(found.sha)))
    kinds = {"blob": "file", "tree": "dir"}
    shown = [
        objects(call).content_entry(repo, f"{path}/{one.path}", ref, kinds[one.kind], one.sha, one.size or 0)
        for one in repo.git.entries(found.sha)
        if one.kind in kinds
    ]
    return Answer(200, shown)


@ROUTES.add(f"GET {_REPO}/labels", "issues:read")
def list_labels(call: Call) -> Answer:
    return call.page(list(call.repo.labels.values()), lambda label: objects(call).label(call.repo, label))


@ROUTES.add(f"GET {_REPO}/labels/{{name}}", "issues:read")
def get_label(call: Call) -> Answer:
    known = _label(call, call.params["name"])
    if known is None:
        raise not_found()
    return Answer(200, objects(call).label(call.repo, known))


@ROUTES.add(f"POST {_REPO}/labels", "labels:write")
def create_label(call: Call) -> Answer:
    data: dict[str, Any] = call.data
    require(data, "Label", "name")
    if _label(call, data["name"]):
        raise invalid("Label", "name", "already_exists")
    label = Label(call.world.number(), data["name"], data.get("color") or "ededed", data.get("description") or "")
    call.repo.labels[label.name] = label
    return Answer(201, objects(call).label(call.repo, label))


def _label(call: Call, name: str) -> Label | None:
    return next((label for label in call.repo.labels.values() if label.name.lower() == name.lower()), None)
