"""Pull requests. What they show is asked of git at the time of the request."""

from __future__ import annotations

from typing import Any

from forge.git import GitError
from forge.github.apps import objects
from forge.github.errors import check_text, invalid, not_found, refuse, require
from forge.github.issues import check_reopening, may_change, ordered
from forge.http import Answer, Call, Router
from forge.people import ACTIONS, Role
from forge.state import Pull

ROUTES = Router()
_PULLS = "/repos/{owner}/{repo}/pulls"
_ONE = f"{_PULLS}/{{pull_number}}"


@ROUTES.add(f"GET {_PULLS}", "pull_requests:read")
def list_pulls(call: Call) -> Answer:
    query = call.query
    state = query.get("state", "open")
    owner, _, head = query.get("head", "").rpartition(":")
    found = [
        pull
        for pull in call.repo.pulls.values()
        if state in (pull.state, "all")
        and query.get("base", pull.base) == pull.base
        # Without "owner:" GitHub ignores the filter.
        and (not owner or (owner.lower(), head) == (pull.source.owner.login.lower(), pull.head))
    ]
    return call.page(ordered(found, query), objects(call).pull_simple)


@ROUTES.add(f"POST {_PULLS}", "pull_requests:write")
def create_pull(call: Call) -> Answer:
    data, repo = call.data, call.repo
    app = call.bearer.installation.app if call.bearer.installation else None
    if app and app.slug == ACTIONS and not repo.actions_may_open_pulls:
        raise refuse(403, "GitHub Actions is not permitted to create or approve pull requests.")
    require(data, "PullRequest", "head", "base")
    require(data, "PullRequest", *(() if "issue" in data else ("title",)))
    check_text(data, "PullRequest")
    owner, _, head = data["head"].rpartition(":")
    base = data["base"]
    source, base_sha = repo.source(owner), repo.head(base)
    head_sha = source.head(head) if source else None
    if base_sha is None:
        raise invalid("PullRequest", "base", "invalid")
    if source is None or head_sha is None:
        raise invalid("PullRequest", "head", "invalid")
    if repo.opened(head, base, source):
        message = f"A pull request already exists for {source.owner.login}:{head}."
        raise invalid("PullRequest", None, "custom", message)
    repo.bring(source, head_sha)
    if repo.git.is_ancestor(head_sha, base_sha):
        raise invalid("PullRequest", None, "custom", f"No commits between {base} and {head}")
    pull = repo.open_pull(
        head,
        base=base,
        title=data["title"],
        body=data.get("body") or "",
        by=call.user,
        draft=bool(data.get("draft")),
        source=source,
    )
    pull.app = app
    return Answer(201, objects(call).pull(pull))


@ROUTES.add(f"GET {_ONE}", "pull_requests:read")
def get_pull(call: Call) -> Answer:
    return Answer(200, objects(call).pull(pull(call)))


@ROUTES.add(f"PATCH {_ONE}", "pull_requests:write")
def update_pull(call: Call) -> Answer:
    data, one = call.data, pull(call)
    may_change(call, one)
    check_text(data, "PullRequest")
    if "base" in data and data["base"] != one.base:
        if call.repo.head(data["base"]) is None:
            raise invalid("PullRequest", "base", "invalid")
        one.base = data["base"]
        call.repo.follow()
    one.title = data.get("title") or one.title
    if "body" in data:
        one.body = data["body"] or ""
    if data.get("state") == "closed" and one.state == "open":
        call.repo.close(one.number, call.user)
    elif data.get("state") == "open" and one.state == "closed":
        check_reopening(one)
        call.repo.reopen(one.number)
    one.updated = call.world.time()
    return Answer(200, objects(call).pull(one))


@ROUTES.add(f"GET {_ONE}/files", "pull_requests:read")
def list_files(call: Call) -> Answer:
    one = pull(call)
    return call.page(list(one.files), lambda file: objects(call).file(call.repo, one.head_sha, file))


@ROUTES.add(f"GET {_ONE}/commits", "pull_requests:read")
def list_commits(call: Call) -> Answer:
    return call.page(pull(call).commits, lambda commit: objects(call).commit(call.repo, commit))


@ROUTES.add(f"GET {_ONE}/merge", "pull_requests:read")
def is_merged(call: Call) -> Answer:
    if not pull(call).merged:
        raise not_found()
    return Answer(204)


@ROUTES.add(f"PUT {_ONE}/merge", "contents:write")
def merge_pull(call: Call) -> Answer:
    data, one = call.data, pull(call)
    if one.state == "closed" or one.draft:
        raise refuse(405, "Pull Request is not mergeable")
    if data.get("sha", one.head_sha) != one.head_sha:
        raise refuse(409, "Head branch was modified. Review and try the merge again.")
    try:
        sha = call.repo.merge(
            one.number,
            call.user,
            method=data.get("merge_method", "merge"),
            title=data.get("commit_title"),
            text=data.get("commit_message", ""),
        )
    except GitError:
        raise refuse(405, "Pull Request is not mergeable") from None
    return Answer(200, {"sha": sha, "merged": True, "message": "Pull Request successfully merged"})


@ROUTES.add(f"GET {_ONE}/requested_reviewers", "pull_requests:read")
def list_requested(call: Call) -> Answer:
    one = pull(call)
    make = objects(call)
    return Answer(
        200,
        {
            "users": [make.user(user) for user in one.requested_reviewers.values()],
            "teams": [make.team(call.repo, slug) for slug in one.requested_teams],
        },
    )


@ROUTES.add(f"POST {_ONE}/requested_reviewers", "pull_requests:write")
def request_reviewers(call: Call) -> Answer:
    one, repo = pull(call), call.repo
    if not call.bearer.may(repo, "others", "write"):
        raise not_found()
    logins: list[str] = call.data.get("reviewers") or []
    users = [repo.world.users.get(login.lower()) for login in logins]
    if one.author in users:
        raise refuse(422, "Review cannot be requested from pull request author.")
    known = [user for user in users if user and repo.role(user) > Role.NONE]
    teams: list[str] = call.data.get("team_reviewers") or []
    if len(known) < len(users) or not set(teams) <= repo.world.teams:
        raise refuse(
            422,
            "Reviews may only be requested from collaborators. One or more of the users or teams you specified is "
            f"not a collaborator of the {repo.full_name} repository.",
        )
    one.requested_reviewers |= {user.login: user for user in known}
    one.requested_teams |= dict.fromkeys(teams, "")
    return Answer(201, objects(call).pull_simple(one))


@ROUTES.add(f"DELETE {_ONE}/requested_reviewers", "pull_requests:write")
def unrequest_reviewers(call: Call) -> Answer:
    one, data = pull(call), call.data
    for login in data.get("reviewers") or []:
        one.requested_reviewers.pop(login, None)
    for slug in data.get("team_reviewers") or []:
        one.requested_teams.pop(slug, None)
    return Answer(200, objects(call).pull_simple(one))


def pull(call: Call) -> Pull:
    """The pull request of the path."""
    found: Any = call.repo.pulls.get(call.number("pull_number"))
    if found is None:
        raise not_found()
    one: Pull = found
    return one
