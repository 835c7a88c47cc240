"""A repository and its people, branches, files, and what is said of commits."""

from __future__ import annotations

import base64

from forge.gitea.asked import HIDDEN, REPO, known_user, refuse
from forge.gitea.shown import branch_json, paged, repository_json, status_json, user_json
from forge.http import Answer, Call, Router
from forge.people import Role
from forge.state import Status

ROUTES = Router("ref", "path", "branch")
_STATES = ("pending", "success", "error", "failure", "warning", "skipped")


@ROUTES.add("GET /user")
def get_user(call: Call) -> Answer:
    return Answer(200, user_json(call, call.user))


@ROUTES.add("GET /users/{username}")
def get_some_user(call: Call) -> Answer:
    return Answer(200, user_json(call, known_user(call, call.params["username"])))


@ROUTES.add(f"GET {REPO}")
def get_repository(call: Call) -> Answer:
    return Answer(200, repository_json(call, call.repo))


@ROUTES.add(f"GET {REPO}/collaborators/{{username}}/permission")
def get_permission(call: Call) -> Answer:
    """Of others only who administers the repository may know."""
    user = known_user(call, call.params["username"])
    if user is not call.user and call.repo.role(call.user) < Role.ADMIN:
        raise refuse(
            403,
            "Only admins can query all permissions, repo admins can query all repo permissions, collaborators can "
            "query only their own",
        )
    role = call.repo.role(user)
    coarse = {Role.TRIAGE: "read", Role.MAINTAIN: "write"}.get(role, role.title)
    permission = "owner" if user is call.repo.owner else coarse
    return Answer(200, {"permission": permission, "role_name": permission, "user": user_json(call, user)})


@ROUTES.add(f"GET {REPO}/branches")
def list_branches(call: Call) -> Answer:
    return paged(call, sorted(call.repo.branches()), branch_json)


@ROUTES.add(f"GET {REPO}/branches/{{branch}}")
def get_branch(call: Call) -> Answer:
    if call.repo.head(call.params["branch"]) is None:
        raise refuse(404, HIDDEN)
    return Answer(200, branch_json(call, call.params["branch"]))


@ROUTES.add(f"DELETE {REPO}/branches/{{branch}}", "contents:write")
def delete_branch(call: Call) -> Answer:
    if call.repo.head(call.params["branch"]) is None:
        raise refuse(404, HIDDEN)
    if call.params["branch"] == call.repo.default_branch:
        raise refuse(403, "can not delete default or pull request target branch")
    call.repo.delete_branch(call.params["branch"])
    return Answer(204)


@ROUTES.add(f"GET {REPO}/contents/{{path}}")
def get_contents(call: Call) -> Answer:
    commit = call.repo.git.resolve(call.query.get("ref", call.repo.default_branch))
    entry = call.repo.git.entry(commit, call.params["path"]) if commit else None
    if entry is None or entry.kind != "blob":
        raise refuse(404, HIDDEN)
    content = call.repo.git.read_blob(entry.sha)
    shown = {
        "type": "file",
        "name": entry.path.rpartition("/")[2],
        "path": entry.path,
        "sha": entry.sha,
        "size": len(content),
        "encoding": "base64",
        "content": base64.b64encode(content).decode(),
    }
    return Answer(200, shown)


@ROUTES.add(f"POST {REPO}/statuses/{{sha}}", "statuses:write")
def create_status(call: Call) -> Answer:
    data, sha = call.data, call.params["sha"]
    if call.repo.git.resolve(sha) is None:
        raise refuse(404, HIDDEN)
    if data.get("state") not in _STATES:
        raise refuse(422, "[State]: Required")
    status = Status(
        id=call.world.number(),
        sha=sha,
        context=data.get("context") or "default",
        state=data["state"],
        description=data.get("description") or "",
        target_url=data.get("target_url") or "",
        creator=call.user,
        created=call.world.time(),
    )
    call.repo.statuses.append(status)
    return Answer(201, status_json(call, status))


@ROUTES.add(f"GET {REPO}/commits/{{ref}}/statuses")
def list_statuses(call: Call) -> Answer:
    sha = _commit_named(call)
    return paged(call, [one for one in reversed(call.repo.statuses) if one.sha == sha], status_json)


@ROUTES.add(f"GET {REPO}/commits/{{ref}}/status")
def combined_status(call: Call) -> Answer:
    sha = _commit_named(call)
    newest = list({one.context: one for one in call.repo.statuses if one.sha == sha}.values())
    worst = next(
        (state for state in ("error", "failure", "warning", "pending") if state in [one.state for one in newest]),
        "success",
    )
    shown = {
        "sha": sha,
        "state": worst if newest else "",
        "total_count": len(newest),
        "statuses": [status_json(call, status) for status in newest],
        "repository": repository_json(call, call.repo),
    }
    return Answer(200, shown)


def _commit_named(call: Call) -> str:
    name = call.params["ref"]
    sha = call.repo.head(name) or call.repo.git.resolve(name)
    if sha is None:
        raise refuse(404, HIDDEN)
    return sha
