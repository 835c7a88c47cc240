"""What is said of a commit: statuses, which whoever may push can set, and check runs, which only Apps can make."""

from __future__ import annotations

from typing import Any

from forge.github.apps import objects
from forge.github.errors import invalid, not_found, refuse, require
from forge.github.objects import moment
from forge.http import Answer, Call, Router
from forge.state import CheckRun, Status

ROUTES = Router("ref")
_REPO = "/repos/{owner}/{repo}"
_STATES = ("error", "failure", "pending", "success")
_DESCRIPTION_LIMIT = 140
_ANNOTATIONS = 50
_OUTPUT_LIMIT = 65535


@ROUTES.add(f"POST {_REPO}/statuses/{{sha}}", "statuses:write")
def create_status(call: Call) -> Answer:
    data, sha = call.data, call.params["sha"]
    if call.repo.git.resolve(sha) != sha:
        raise refuse(422, f"No commit found for SHA: {sha}")
    if data.get("state") not in _STATES:
        raise invalid("Status", "state", "custom", "state is not included in the list")
    if len(data.get("description") or "") > _DESCRIPTION_LIMIT:
        message = f"description is too long (maximum is {_DESCRIPTION_LIMIT} characters)"
        raise invalid("Status", "description", "custom", message)
    status = Status(
        id=call.world.number(),
        sha=sha,
        context=data.get("context") or "default",
        state=data["state"],
        description=data.get("description"),
        target_url=data.get("target_url"),
        creator=call.user,
        created=call.world.time(),
    )
    call.repo.statuses.append(status)
    return Answer(201, objects(call).status(call.repo, status))


@ROUTES.add(f"GET {_REPO}/commits/{{ref}}/status", "statuses:read")
def combined_status(call: Call) -> Answer:
    sha = _commit(call)
    newest = {status.context: status for status in call.repo.statuses if status.sha == sha}
    return Answer(200, objects(call).combined_status(call.repo, sha, list(newest.values())))


@ROUTES.add(f"GET {_REPO}/commits/{{ref}}/statuses", "statuses:read")
def list_statuses(call: Call) -> Answer:
    sha = _commit(call)
    found = [status for status in reversed(call.repo.statuses) if status.sha == sha]
    return call.page(found, lambda status: objects(call).status(call.repo, status))


@ROUTES.add(f"GET {_REPO}/commits/{{ref}}/check-runs", "checks:read")
def list_check_runs(call: Call) -> Answer:
    sha, name, app = _commit(call), call.query.get("check_name"), call.query.get("app_id")
    found = [
        run
        for run in call.repo.check_runs.values()
        if run.head_sha == sha
        and name in (None, run.name)
        and app in (None, str(run.app.id))
        and call.query.get("status", run.status) == run.status
    ]
    if call.query.get("filter", "latest") == "latest":
        found = list({(run.app.id, run.name): run for run in found}.values())
    page = call.page(found, lambda run: objects(call).check_run(call.repo, run))
    return Answer(200, {"total_count": len(found), "check_runs": page.body}, page.headers)


# After the ones above, as a ref may hold slashes.
@ROUTES.add(f"GET {_REPO}/commits/{{ref}}", "contents:read")
def get_commit(call: Call) -> Answer:
    return Answer(200, objects(call).commit(call.repo, call.repo.git.commit(_commit(call))))


@ROUTES.add(f"POST {_REPO}/check-runs", "checks:write")
def create_check_run(call: Call) -> Answer:
    data, installation = call.data, call.bearer.installation
    if installation is None:
        raise refuse(403, "You must authenticate via a GitHub App.")
    require(data, "CheckRun", "name", "head_sha")
    if call.repo.git.resolve(data["head_sha"]) != data["head_sha"]:
        raise refuse(422, f"No commit found for SHA: {data['head_sha']}")
    run = CheckRun(call.world.number(), installation.app, data["name"], data["head_sha"])
    _update(call, run, data)
    call.repo.check_runs[run.id] = run
    return Answer(201, objects(call).check_run(call.repo, run))


@ROUTES.add(f"GET {_REPO}/check-runs/{{check_run_id}}", "checks:read")
def get_check_run(call: Call) -> Answer:
    return Answer(200, objects(call).check_run(call.repo, _run(call)))


@ROUTES.add(f"PATCH {_REPO}/check-runs/{{check_run_id}}", "checks:write")
def update_check_run(call: Call) -> Answer:
    run, installation = _run(call), call.bearer.installation
    if installation is None or run.app is not installation.app:
        raise refuse(403, "Invalid app_id `0` - check run can only be modified by the GitHub App that created it.")
    _update(call, run, call.data)
    return Answer(200, objects(call).check_run(call.repo, run))


@ROUTES.add(f"GET {_REPO}/check-runs/{{check_run_id}}/annotations", "checks:read")
def list_annotations(call: Call) -> Answer:
    run = _run(call)
    return call.page(run.annotations, lambda one: objects(call).annotation(call.repo, run, one))


def _commit(call: Call) -> str:
    name = call.params["ref"]
    sha = call.repo.head(name) or call.repo.git.resolve(name)
    if sha is None:
        raise refuse(422, f"No commit found for SHA: {name}")
    return sha


def _run(call: Call) -> CheckRun:
    run = call.repo.check_runs.get(call.number("check_run_id"))
    if run is None:
        raise not_found()
    return run


def _update(call: Call, run: CheckRun, data: dict[str, Any]) -> None:
    """Annotations are added to those of before; a conclusion completes the run."""
    output = data.get("output") or {}
    annotations = output.get("annotations") or []
    if len(annotations) > _ANNOTATIONS:
        message = f"No more than {_ANNOTATIONS} items are allowed; {len(annotations)} were supplied."
        raise refuse(422, f"Invalid request.\n\n{message}")
    for field in ("summary", "text"):
        if len((output.get(field) or "").encode()) > _OUTPUT_LIMIT:
            raise invalid("CheckRun", field, "custom", f"{field} exceeds a maximum bytesize of {_OUTPUT_LIMIT}")
    if data.get("status") == "completed" and not data.get("conclusion"):
        raise refuse(422, 'Invalid request.\n\nNo subschema in "anyOf" matched.\n"conclusion" wasn\'t supplied.')
    run.name = data.get("name") or run.name
    run.status = "completed" if data.get("conclusion") else data.get("status") or run.status
    run.conclusion = data.get("conclusion") or run.conclusion
    run.details_url = data.get("details_url") or run.details_url
    run.external_id = data.get("external_id") or run.external_id
    run.started = data.get("started_at") or run.started or moment(call.world.time())
    if run.status == "completed":
        run.completed = data.get("completed_at") or run.completed or moment(call.world.time())
    for field in ("title", "summary", "text"):
        if field in output:
            setattr(run, field, output[field])
    run.annotations += annotations
