"""Projects and their people, branches, files, labels, and what is said of commits."""

from __future__ import annotations

from forge.gitlab.asked import PROJECT, TITLE_LIMIT, fields, is_member, refuse, require
from forge.gitlab.shown import (
    LEVELS,
    UNFINISHED,
    branch_json,
    label_json,
    member_json,
    moment,
    paged,
    status_json,
    user_json,
)
from forge.http import Answer, Call, Refusal, Router
from forge.state import Label, Status

ROUTES = Router()
_STATES = ("pending", "running", "success", "failed", "canceled", "skipped")


@ROUTES.add("GET /user")
def get_user(call: Call) -> Answer:
    return Answer(200, user_json(call, call.user))


@ROUTES.add("GET /users")
def list_users(call: Call) -> Answer:
    wanted = call.query.get("username", "").lower()
    return paged(call, [user for user in call.world.users.values() if wanted in ("", user.login.lower())], user_json)


@ROUTES.add(f"GET {PROJECT}")
def get_project(call: Call) -> Answer:
    repo = call.repo
    level = LEVELS.get(repo.role(call.user))
    shown = {
        "id": repo.id,
        "name": repo.name,
        "path": repo.name,
        "path_with_namespace": repo.full_name,
        "namespace": {"id": repo.owner.id, "path": repo.owner.login, "full_path": repo.owner.login, "kind": "group"},
        "default_branch": repo.default_branch,
        "visibility": "private" if repo.private else "public",
        "web_url": f"{call.world.url}/{repo.full_name}",
        "http_url_to_repo": repo.clone_url,
        "archived": False,
        "merge_method": "merge",
        "created_at": moment(repo.created),
        "permissions": {"project_access": {"access_level": level} if level else None, "group_access": None},
    }
    return Answer(200, shown)


@ROUTES.add(f"GET {PROJECT}/members/all")
def list_members(call: Call) -> Answer:
    wanted = call.query.get("query", "").lower()
    found = [user for user in call.world.users.values() if is_member(call.repo, user) and wanted in user.login.lower()]
    return paged(call, found, member_json)


@ROUTES.add(f"GET {PROJECT}/members/all/{{user_id}}")
def get_member(call: Call) -> Answer:
    wanted = call.number("user_id")
    for user in call.world.users.values():
        if user.id == wanted and is_member(call.repo, user):
            return Answer(200, member_json(call, user))
    raise refuse(404, "404 Not found")


@ROUTES.add(f"GET {PROJECT}/repository/branches")
def list_branches(call: Call) -> Answer:
    return paged(call, sorted(call.repo.branches()), branch_json)


@ROUTES.add(f"GET {PROJECT}/repository/branches/{{branch}}")
def get_branch(call: Call) -> Answer:
    if call.repo.head(call.params["branch"]) is None:
        raise refuse(404, "404 Branch Not Found")
    return Answer(200, branch_json(call, call.params["branch"]))


@ROUTES.add(f"DELETE {PROJECT}/repository/branches/{{branch}}", "contents:write")
def delete_branch(call: Call) -> Answer:
    if call.repo.head(call.params["branch"]) is None:
        raise refuse(404, "404 Branch Not Found")
    if call.params["branch"] == call.repo.default_branch:
        raise refuse(403, "403 Forbidden")
    call.repo.delete_branch(call.params["branch"])
    return Answer(204)


@ROUTES.add(f"GET {PROJECT}/repository/files/{{file}}/raw")
def get_file(call: Call) -> Answer:
    commit = call.repo.git.resolve(call.query.get("ref", call.repo.default_branch))
    entry = call.repo.git.entry(commit, call.params["file"]) if commit else None
    if entry is None or entry.kind != "blob":
        raise refuse(404, "404 File Not Found")
    return Answer(200, call.repo.git.read_blob(entry.sha))


@ROUTES.add(f"POST {PROJECT}/statuses/{{sha}}", "statuses:write")
def create_status(call: Call) -> Answer:
    data, sha = fields(call), call.params["sha"]
    if call.repo.git.resolve(sha) is None:
        raise refuse(404, "404 Commit Not Found")
    state, name = data.get("state"), data.get("name") or data.get("context") or "default"
    if state not in _STATES:
        raise Refusal(400, {"error": "state does not have a valid value"})
    if len(data.get("description") or "") > TITLE_LIMIT:
        raise refuse(400, {"description": [f"is too long (maximum is {TITLE_LIMIT} characters)"]})
    last = next((one for one in reversed(call.repo.statuses) if (one.sha, one.context) == (sha, name)), None)
    if last and last.state in UNFINISHED and last.state == state:
        event = "enqueue" if state == "pending" else "run"
        raise refuse(400, f"Cannot transition status via :{event} from :{state}")
    status = Status(
        id=call.world.number(),
        sha=sha,
        context=name,
        state=state,
        description=data.get("description"),
        target_url=data.get("target_url"),
        creator=call.user,
        created=call.world.time(),
    )
    call.repo.statuses.append(status)
    return Answer(201, status_json(call, status))


@ROUTES.add(f"GET {PROJECT}/repository/commits/{{sha}}/statuses")
def list_statuses(call: Call) -> Answer:
    """The newest of each name, unless all are asked for."""
    found = [status for status in call.repo.statuses if status.sha == call.params["sha"]]
    if call.query.get("all") != "true":
        found = list({status.context: status for status in found}.values())
    name = call.query.get("name")
    return paged(call, [status for status in found if name in (None, status.context)], status_json)


@ROUTES.add(f"GET {PROJECT}/labels")
def list_labels(call: Call) -> Answer:
    return paged(call, list(call.repo.labels.values()), label_json)


@ROUTES.add(f"POST {PROJECT}/labels", "triage:write")
def create_label(call: Call) -> Answer:
    data = fields(call)
    require(data, "name", "color")
    if data["name"] in call.repo.labels:
        raise refuse(409, "Label already exists")
    label = Label(call.world.number(), data["name"], data["color"].lstrip("#"), data.get("description") or "")
    call.repo.labels[label.name] = label
    return Answer(201, label_json(call, label))
