"""Gitea's and Forgejo's face: /api/v1, much like GitHub's, and different where it is easily overlooked."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any
from urllib.parse import unquote

from forge.git import ChangedFile, Commit, GitError
from forge.http import Answer, Call, Refusal, Router
from forge.people import Role, User
from forge.state import Comment, Issue, Label, Pull, Repository, Review, ReviewComment, Status

ROUTES = Router("ref", "path", "branch")
_REPO = "/repos/{owner}/{repo}"
_PULLS = f"{_REPO}/pulls"
_PULL = f"{_PULLS}/{{index}}"
_ISSUES = f"{_REPO}/issues"
_ISSUE = f"{_ISSUES}/{{index}}"
_COMMENT = f"{_ISSUES}/comments/{{comment_id}}"
_STATES = ("pending", "success", "error", "failure", "warning", "skipped")
_EVENTS = {"APPROVED": "APPROVED", "REQUEST_CHANGES": "REQUEST_CHANGES", "COMMENT": "COMMENT", "PENDING": "PENDING"}
_DRAFT = re.compile(r"(WIP:|\[WIP\])", re.IGNORECASE)
_TITLE_LIMIT = 255
_HIDDEN = "The target couldn't be found."


class Gitea:
    """The REST API below /api/v1."""

    name = "gitea"
    prefix = "/api/v1"

    def answer(self, call: Call) -> Answer:
        """Let the request take effect."""
        try:
            return self._answer(call)
        except Refusal as refusal:
            return refusal.answer

    def limited(self, call: Call) -> Answer:
        """Gitea itself has no limit; what stands before it answers so."""
        until = call.world.limited_until or call.world.time()
        wait = max(int(until - call.world.time()) + 1, 1)
        return Answer(429, b"Too Many Requests\n", {"retry-after": str(wait)})

    def violations(self, call: Call, answer: Answer) -> Iterator[str]:
        """There is no description of Gitea's to hold it against: only what the forge does not have is told."""
        if ROUTES.find(call.method, call.path) is None:
            yield f"{call.method} {call.path}: the forge does not have it (Gitea)"

    def _answer(self, call: Call) -> Answer:
        found = ROUTES.find(call.method, call.path)
        if found is None:
            raise _refuse(404, _HIDDEN)
        route, params = found
        call.params = {name: unquote(value) for name, value in params.items()}
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        call.access = call.world.access(token) if scheme.lower() in ("token", "bearer") else None
        if call.access is None:
            raise _refuse(401, "invalid username, password or token" if scheme else "token is required")
        if "owner" in call.params:
            call.found = call.world.repository(call.params["owner"], call.params["repo"])
            if call.found is None or not call.access.sees(call.found):
                raise _refuse(404, _HIDDEN)
            call.found.follow()
            if route.needs and not call.access.may(call.found, *route.needs):
                raise _refuse(403, "user should have a permission to write to a repo")
        try:
            call.json  # noqa: B018
        except json.JSONDecodeError:
            raise _refuse(422, "[]: invalid character") from None
        return route.handler(call)


# The repository and its people


@ROUTES.add("GET /version")
def get_version(call: Call) -> Answer:
    return Answer(200, {"version": "1.24.0"})


@ROUTES.add("GET /user")
def get_user(call: Call) -> Answer:
    return Answer(200, _user(call, call.user))


@ROUTES.add("GET /users/{username}")
def get_some_user(call: Call) -> Answer:
    return Answer(200, _user(call, _known(call, call.params["username"])))


@ROUTES.add(f"GET {_REPO}")
def get_repository(call: Call) -> Answer:
    return Answer(200, _repository(call, call.repo))


@ROUTES.add(f"GET {_REPO}/collaborators/{{username}}/permission")
def get_permission(call: Call) -> Answer:
    """Of others only who administers the repository may know."""
    user = _known(call, call.params["username"])
    if user is not call.user and call.repo.role(call.user) < Role.ADMIN:
        raise _refuse(
            403,
            "Only admins can query all permissions, repo admins can query all repo permissions, collaborators can "
            "query only their own",
        )
    role = call.repo.role(user)
    coarse = {Role.TRIAGE: "read", Role.MAINTAIN: "write"}.get(role, role.title)
    permission = "owner" if user is call.repo.owner else coarse
    return Answer(200, {"permission": permission, "role_name": permission, "user": _user(call, user)})


@ROUTES.add(f"GET {_REPO}/branches")
def list_branches(call: Call) -> Answer:
    return _page(call, sorted(call.repo.branches()), _branch)


@ROUTES.add(f"GET {_REPO}/branches/{{branch}}")
def get_branch(call: Call) -> Answer:
    if call.repo.head(call.params["branch"]) is None:
        raise _refuse(404, _HIDDEN)
    return Answer(200, _branch(call, call.params["branch"]))


@ROUTES.add(f"DELETE {_REPO}/branches/{{branch}}", "contents:write")
def delete_branch(call: Call) -> Answer:
    if call.repo.head(call.params["branch"]) is None:
        raise _refuse(404, _HIDDEN)
    if call.params["branch"] == call.repo.default_branch:
        raise _refuse(403, "can not delete default or pull request target branch")
    call.repo.delete_branch(call.params["branch"])
    return Answer(204)


@ROUTES.add(f"GET {_REPO}/contents/{{path}}")
def get_contents(call: Call) -> Answer:
    commit = call.repo.git.resolve(call.query.get("ref", call.repo.default_branch))
    entry = call.repo.git.entry(commit, call.params["path"]) if commit else None
    if entry is None or entry.kind != "blob":
        raise _refuse(404, _HIDDEN)
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


# What is said of commits


@ROUTES.add(f"POST {_REPO}/statuses/{{sha}}", "statuses:write")
def create_status(call: Call) -> Answer:
    data, sha = call.data, call.params["sha"]
    if call.repo.git.resolve(sha) is None:
        raise _refuse(404, _HIDDEN)
    if data.get("state") not in _STATES:
        raise _refuse(422, "[State]: Required")
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
    return Answer(201, _status(call, status))


@ROUTES.add(f"GET {_REPO}/commits/{{ref}}/statuses")
def list_statuses(call: Call) -> Answer:
    sha = _commit_named(call)
    return _page(call, [one for one in reversed(call.repo.statuses) if one.sha == sha], _status)


@ROUTES.add(f"GET {_REPO}/commits/{{ref}}/status")
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
        "statuses": [_status(call, status) for status in newest],
        "repository": _repository(call, call.repo),
    }
    return Answer(200, shown)


# Labels


@ROUTES.add(f"GET {_REPO}/labels")
def list_labels(call: Call) -> Answer:
    return _page(call, list(call.repo.labels.values()), _label)


@ROUTES.add(f"POST {_REPO}/labels", "labels:write")
def create_label(call: Call) -> Answer:
    """Two labels of one name are two labels."""
    data = call.data
    if not data.get("name") or not re.fullmatch(r"#?[0-9a-fA-F]{6}", data.get("color") or ""):
        raise _refuse(422, "[Name]: Required" if not data.get("name") else "[Color]: Bad color format")
    label = Label(call.world.number(), data["name"], data["color"].lstrip("#"), data.get("description") or "")
    call.repo.labels[f"{label.name}" if label.name not in call.repo.labels else f"{label.name} {label.id}"] = label
    return Answer(201, _label(call, label))


@ROUTES.add(f"GET {_ISSUE}/labels")
def list_issue_labels(call: Call) -> Answer:
    return Answer(200, [_label(call, label) for label in _item(call).labels.values()])


@ROUTES.add(f"POST {_ISSUE}/labels", "labels:write")
def add_labels(call: Call) -> Answer:
    """By their numbers, or by names that the repository has; a name that it does not have is passed over."""
    item = _item(call)
    for wanted in call.data.get("labels") or []:
        for label in call.repo.labels.values():
            if wanted in (label.id, label.name):
                item.labels[label.name] = label
    return Answer(200, [_label(call, label) for label in item.labels.values()])


@ROUTES.add(f"DELETE {_ISSUE}/labels/{{label_id}}", "labels:write")
def remove_label(call: Call) -> Answer:
    item = _item(call)
    for name, label in list(item.labels.items()):
        if call.params["label_id"] in (str(label.id), label.name):
            del item.labels[name]
    return Answer(204)


# Pull requests


@ROUTES.add(f"GET {_PULLS}")
def list_pulls(call: Call) -> Answer:
    state, by_change = call.query.get("state", "open"), call.query.get("sort") == "recentupdate"
    found = [pull for pull in call.repo.pulls.values() if state in (pull.state, "all")]
    found.sort(key=lambda pull: (pull.updated if by_change else 0, pull.number), reverse=True)
    return _page(call, found, _pull)


@ROUTES.add(f"POST {_PULLS}", "pull_requests:write")
def create_pull(call: Call) -> Answer:
    """As on Gitea, a branch without commits of its own is none too many."""
    data, repo = call.data, call.repo
    if not data.get("title"):
        raise _refuse(422, "[Title]: Required")
    _check_title(data)
    head, base = (data.get("head") or "").removeprefix(f"{repo.owner.login}:"), data.get("base") or ""
    if repo.head(head) is None or repo.head(base) is None:
        raise _refuse(404, _HIDDEN)
    for known in repo.pulls.values():
        if (known.head, known.base, known.state) == (head, base, "open"):
            raise _refuse(
                409,
                f"pull request already exists for these targets [id: {known.id}, issue_id: {known.id}, head_repo_id: "
                f"{repo.id}, base_repo_id: {repo.id}, head_branch: {head}, base_branch: {base}]",
            )
    pull = repo.open_pull(head, base=base, title=data["title"], body=data.get("body") or "", by=call.user)
    _assign(call, pull, data)
    return Answer(201, _pull(call, pull))


@ROUTES.add("GET " + _PULL + ".diff")
def get_diff(call: Call) -> Answer:
    pull = _pull_named(call)
    return Answer(200, call.repo.git.diff(pull.fork_point, pull.head_sha).encode(errors="surrogateescape"))


@ROUTES.add(f"GET {_PULL}")
def get_pull(call: Call) -> Answer:
    return Answer(200, _pull(call, _pull_named(call)))


@ROUTES.add(f"PATCH {_PULL}", "pull_requests:write")
def update_pull(call: Call) -> Answer:
    pull = _pull_named(call)
    _edit(call, pull)
    if call.data.get("base"):
        pull.base = call.data["base"]
        call.repo.follow()
    return Answer(201, _pull(call, pull))


@ROUTES.add(f"GET {_PULL}/files")
def list_files(call: Call) -> Answer:
    return _page(call, list(_pull_named(call).files), _file)


@ROUTES.add(f"GET {_PULL}/commits")
def list_commits(call: Call) -> Answer:
    return _page(call, _pull_named(call).commits[::-1], _commit)


@ROUTES.add(f"GET {_PULL}/merge")
def is_merged(call: Call) -> Answer:
    if not _pull_named(call).merged:
        raise _refuse(404, _HIDDEN)
    return Answer(204)


@ROUTES.add(f"POST {_PULL}/merge", "contents:write")
def merge_pull(call: Call) -> Answer:
    pull = _pull_named(call)
    if pull.state == "closed" or _is_draft(pull):
        raise _refuse(405, "The PR is not mergeable")
    if call.data.get("head_commit_id", pull.head_sha) != pull.head_sha:
        raise _refuse(409, "head out of date")
    try:
        call.repo.merge(pull.number, call.user, method=call.data.get("Do") or "merge")
    except GitError:
        raise _refuse(409, "merge conflict") from None
    return Answer(200)


@ROUTES.add(f"POST {_PULL}/requested_reviewers", "contents:write")
def request_reviewers(call: Call) -> Answer:
    pull = _pull_named(call)
    users = [_known(call, login) for login in call.data.get("reviewers") or []]
    teams = call.data.get("team_reviewers") or []
    if call.repo.owner.kind != "Organization" and teams:
        raise _refuse(422, "Only an organization's repository has teams")
    if set(teams) - call.world.teams:
        raise _refuse(404, _HIDDEN)
    if pull.author in users or any(call.repo.role(user) < Role.READ for user in users):
        raise _refuse(422, "Reviewer can't be requested")
    pull.requested_reviewers |= {user.login: user for user in users}
    pull.requested_teams |= dict.fromkeys(teams, "")
    shown = [_review(call, pull, Review(0, user, "", "REQUEST_REVIEW", pull.head_sha, None)) for user in users]
    return Answer(201, shown)


# Reviews


@ROUTES.add(f"GET {_PULL}/reviews")
def list_reviews(call: Call) -> Answer:
    pull = _pull_named(call)
    return _page(call, pull.reviews, lambda call, review: _review(call, pull, review))


@ROUTES.add(f"POST {_PULL}/reviews", "pull_requests:write")
def create_review(call: Call) -> Answer:
    """Gitea takes a line that the diff does not show, and shows no code above the comment."""
    data, pull = call.data, _pull_named(call)
    state = _EVENTS.get(data.get("event") or "PENDING")
    if state is None:
        raise _refuse(422, "review type is unknown")
    if state in ("APPROVED", "REQUEST_CHANGES") and pull.author is call.user:
        raise _refuse(
            422,
            "approve your own pull is not allowed" if state == "APPROVED" else "reject your own pull is not allowed",
        )
    comments: list[dict[str, Any]] = data.get("comments") or []
    if state == "COMMENT" and not (data.get("body") or comments):
        raise _refuse(422, "body is required")
    commit = data.get("commit_id") or pull.head_sha
    review = Review(call.world.number(), call.user, data.get("body") or "", state, commit, call.world.time())
    pull.reviews.append(review)
    pull.review_comments += [_line_comment(call, pull, review, comment) for comment in comments]
    return Answer(200, _review(call, pull, review))


@ROUTES.add(f"GET {_PULL}/reviews/{{review_id}}/comments")
def list_review_comments(call: Call) -> Answer:
    pull, wanted = _pull_named(call), call.number("review_id")
    if wanted not in [review.id for review in pull.reviews]:
        raise _refuse(404, _HIDDEN)
    return Answer(200, [_shown_on_line(call, one) for one in pull.review_comments if one.review == wanted])


# Issues and comments


@ROUTES.add(f"GET {_ISSUES}")
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
    return _page(call, found[::-1], _issue)


@ROUTES.add(f"POST {_ISSUES}", "issues:write")
def create_issue(call: Call) -> Answer:
    data = call.data
    if not data.get("title"):
        raise _refuse(422, "[Title]: Required")
    _check_title(data)
    issue = call.repo.open_issue(title=data["title"], body=data.get("body") or "", by=call.user)
    _assign(call, issue, data)
    for label in call.repo.labels.values():
        if label.id in (data.get("labels") or []):
            issue.labels[label.name] = label
    return Answer(201, _issue(call, issue))


@ROUTES.add(f"GET {_ISSUE}")
def get_issue(call: Call) -> Answer:
    return Answer(200, _issue(call, _item(call)))


@ROUTES.add(f"PATCH {_ISSUE}", "issues:write")
def update_issue(call: Call) -> Answer:
    item = _item(call)
    _edit(call, item)
    return Answer(201, _issue(call, item))


@ROUTES.add(f"GET {_ISSUE}/comments")
def list_comments(call: Call) -> Answer:
    """All of them: there are no pages."""
    return Answer(200, [_comment(call, comment) for comment in _item(call).comments])


@ROUTES.add(f"POST {_ISSUE}/comments", "issues:write")
def create_comment(call: Call) -> Answer:
    comment = call.repo.comment(_item(call).number, _text(call), call.user)
    return Answer(201, _comment(call, comment))


@ROUTES.add(f"PATCH {_COMMENT}", "issues:write")
def update_comment(call: Call) -> Answer:
    """Comments on lines are comments here as well."""
    comment = _comment_named(call)
    comment.body, comment.updated = _text(call), call.world.time()
    return Answer(200, _comment(call, comment))


@ROUTES.add(f"DELETE {_COMMENT}", "issues:write")
def delete_comment(call: Call) -> Answer:
    comment = _comment_named(call)
    if isinstance(comment, ReviewComment):
        comment.pull.review_comments.remove(comment)
    else:
        comment.item.comments.remove(comment)
    return Answer(204)


# What is asked for


def _refuse(status: int, message: str) -> Refusal:
    errors = {"errors": None} if message is _HIDDEN else {}
    return Refusal(status, {**errors, "message": message, "url": "https://gitea.example.com/api/swagger"})


def _known(call: Call, login: str) -> User:
    user = call.world.users.get(login.lower())
    if user is None:
        raise _refuse(404, f"user does not exist [uid: 0, name: {login}]")
    return user


def _item(call: Call) -> Issue:
    item = call.repo.items.get(call.number("index"))
    if item is None:
        raise _refuse(404, _HIDDEN)
    return item


def _pull_named(call: Call) -> Pull:
    item = _item(call)
    if not isinstance(item, Pull):
        raise _refuse(404, _HIDDEN)
    return item


def _comment_named(call: Call) -> Comment | ReviewComment:
    """A comment that the bearer may change."""
    wanted = call.number("comment_id")
    for item in call.repo.items.values():
        found: list[Comment | ReviewComment] = [*item.comments]
        found += item.review_comments if isinstance(item, Pull) else []
        for comment in found:
            if comment.id == wanted:
                if comment.author is not call.user and call.repo.role(call.user) < Role.ADMIN:
                    raise _refuse(403, "user should be the author of the comment or an admin")
                return comment
    raise _refuse(404, _HIDDEN)


def _commit_named(call: Call) -> str:
    name = call.params["ref"]
    sha = call.repo.head(name) or call.repo.git.resolve(name)
    if sha is None:
        raise _refuse(404, _HIDDEN)
    return sha


def _text(call: Call) -> str:
    body: str = call.data.get("body") or ""
    if not body:
        raise _refuse(422, "[Body]: Required")
    return body


def _check_title(data: dict[str, Any]) -> None:
    if len(data.get("title") or "") > _TITLE_LIMIT:
        raise _refuse(422, f"[Title]: MaxSize {_TITLE_LIMIT}")


def _edit(call: Call, item: Issue) -> None:
    data = call.data
    if item.author is not call.user and call.repo.role(call.user) < Role.WRITE:
        raise _refuse(403, "must be poster or have write access")
    _check_title(data)
    item.title = data.get("title") or item.title
    if data.get("body") is not None:
        item.body = data["body"]
    if "assignees" in data:
        item.assignees = {}
    _assign(call, item, data)
    if data.get("state") == "closed" and item.state == "open":
        call.repo.close(item.number, call.user)
    elif data.get("state") == "open" and item.state == "closed":
        if isinstance(item, Pull) and item.merged:
            raise _refuse(412, "cannot change state of this pull request, it was already merged")
        call.repo.reopen(item.number)
    item.updated = call.world.time()


def _assign(call: Call, item: Issue, data: dict[str, Any]) -> None:
    for login in data.get("assignees") or []:
        user = _known(call, login)
        if call.repo.role(user) < Role.READ:
            raise _refuse(422, f"Assignee does not exist: [name: {login}]")
        item.assignees[user.login] = user


def _line_comment(call: Call, pull: Pull, review: Review, data: dict[str, Any]) -> ReviewComment:
    side = "RIGHT" if data.get("new_position") else "LEFT"
    line = data.get("new_position") or data.get("old_position") or 0
    now = call.world.time()
    hunks = [hunk for file in pull.files if file.path == data.get("path") for hunk in file.hunks]
    shown = [hunk.until(index) for hunk in hunks if (index := hunk.place(side, line)) is not None]
    return ReviewComment(
        id=call.world.number(),
        pull=pull,
        review=review.id,
        author=call.user,
        body=data.get("body") or "",
        path=data.get("path") or "",
        side=side,
        original_line=line,
        original_start_line=None,
        start_side=None,
        commit_id=review.commit_id,
        diff_hunk=shown[0] if shown else "",
        created=now,
        updated=now,
    )


# What is shown


def _page(call: Call, found: list[Any], show: Any) -> Answer:
    answer = call.page(found, lambda one: show(call, one), size="limit", usual=30, most=50)
    return replace(answer, headers={**answer.headers, "x-total-count": str(len(found))})


def _moment(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _is_draft(pull: Pull) -> bool:
    """Gitea knows a draft by its title."""
    return pull.draft or _DRAFT.match(pull.title) is not None


def _user(call: Call, user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "login": user.login,
        "username": user.login,
        "login_name": "",
        "full_name": "",
        "email": user.email,
        "avatar_url": f"{call.world.url}/avatars/{user.id}",
        "html_url": f"{call.world.url}/{user.login}",
        "is_admin": False,
        "active": True,
    }


def _repository(call: Call, repo: Repository) -> dict[str, Any]:
    role = repo.role(call.user)
    return {
        "id": repo.id,
        "name": repo.name,
        "full_name": repo.full_name,
        "owner": _user(call, repo.owner),
        "private": repo.private,
        "fork": False,
        "empty": not repo.branches(),
        "archived": False,
        "default_branch": repo.default_branch,
        "html_url": f"{call.world.url}/{repo.full_name}",
        "clone_url": repo.clone_url,
        "permissions": {"admin": role >= Role.ADMIN, "push": role >= Role.WRITE, "pull": role >= Role.READ},
        "has_issues": True,
        "has_pull_requests": True,
        "default_merge_style": "merge",
    }


def _label(call: Call, label: Label) -> dict[str, Any]:
    return {
        "id": label.id,
        "name": label.name,
        "color": label.color,
        "description": label.description or "",
        "exclusive": False,
        "is_archived": False,
        "url": f"{call.root}/repos/{call.repo.full_name}/labels/{label.id}",
    }


def _branch(call: Call, name: str) -> dict[str, Any]:
    commit = call.repo.git.commit(call.repo.head(name) or "")
    shown = {
        "id": commit.sha,
        "message": commit.message,
        "author": {"name": commit.author.name, "email": commit.author.email},
        "timestamp": _moment(commit.committer.when),
    }
    return {"name": name, "commit": shown, "protected": False, "user_can_push": True, "user_can_merge": True}


def _commit(call: Call, commit: Commit) -> dict[str, Any]:
    def person(name: str, email: str, when: float) -> dict[str, Any]:
        return {"name": name, "email": email, "date": _moment(when)}

    return {
        "sha": commit.sha,
        "html_url": f"{call.world.url}/{call.repo.full_name}/commit/{commit.sha}",
        "commit": {
            "message": commit.message,
            "author": person(commit.author.name, commit.author.email, commit.author.when),
            "committer": person(commit.committer.name, commit.committer.email, commit.committer.when),
            "tree": {"sha": commit.tree},
        },
        "parents": [{"sha": sha} for sha in commit.parents],
    }


def _status(call: Call, status: Status) -> dict[str, Any]:
    return {
        "id": status.id,
        "status": status.state,
        "context": status.context,
        "description": status.description,
        "target_url": status.target_url,
        "creator": _user(call, status.creator),
        "created_at": _moment(status.created),
        "updated_at": _moment(status.created),
        "url": f"{call.root}/repos/{call.repo.full_name}/statuses/{status.sha}",
    }


def _shared(call: Call, item: Issue, kind: str) -> dict[str, Any]:
    assignees = [_user(call, user) for user in item.assignees.values()]
    return {
        "id": item.id,
        "number": item.number,
        "url": f"{call.root}/repos/{call.repo.full_name}/{kind}/{item.number}",
        "html_url": f"{call.world.url}/{call.repo.full_name}/{kind}/{item.number}",
        "title": item.title,
        "body": item.body,
        "state": item.state,
        "user": _user(call, item.author),
        "labels": [_label(call, label) for label in item.labels.values()],
        "milestone": None,
        "assignee": assignees[0] if assignees else None,
        "assignees": assignees or None,
        "is_locked": False,
        "comments": len(item.comments),
        "created_at": _moment(item.created),
        "updated_at": _moment(item.updated),
        "closed_at": _moment(item.closed),
    }


def _issue(call: Call, item: Issue) -> dict[str, Any]:
    kind = "pulls" if item.is_pull else "issues"
    pull = {"merged": item.merged, "merged_at": _moment(item.merged_at)} if isinstance(item, Pull) else None
    where = {"id": call.repo.id, "name": call.repo.name, "owner": call.repo.owner.login}
    return {
        **_shared(call, item, kind),
        "pull_request": pull,
        "repository": {**where, "full_name": call.repo.full_name},
    }


def _pull(call: Call, pull: Pull) -> dict[str, Any]:
    shown = _repository(call, call.repo)

    def end(branch: str, sha: str) -> dict[str, Any]:
        return {"label": branch, "ref": branch, "sha": sha, "repo_id": call.repo.id, "repo": shown}

    page = f"{call.world.url}/{call.repo.full_name}/pulls/{pull.number}"
    return {
        **_shared(call, pull, "pulls"),
        "draft": _is_draft(pull),
        "mergeable": bool(pull.mergeable()),
        "merged": pull.merged,
        "merged_at": _moment(pull.merged_at),
        "merged_by": _user(call, pull.merged_by) if pull.merged_by else None,
        "merge_commit_sha": pull.merge_sha,
        "merge_base": pull.fork_point,
        "head": end(pull.head, pull.head_sha),
        "base": end(pull.base, pull.base_sha),
        "diff_url": f"{page}.diff",
        "patch_url": f"{page}.patch",
        "requested_reviewers": [_user(call, user) for user in pull.requested_reviewers.values()],
        "allow_maintainer_edit": False,
        "changed_files": len(pull.files),
        "additions": sum(file.additions for file in pull.files),
        "deletions": sum(file.deletions for file in pull.files),
    }


def _file(call: Call, file: ChangedFile) -> dict[str, Any]:
    words = {"removed": "deleted", "modified": "changed"}
    return {
        "filename": file.path,
        "previous_filename": file.previous or "",
        "status": words.get(file.status, file.status),
        "additions": file.additions,
        "deletions": file.deletions,
        "changes": file.additions + file.deletions,
        "html_url": f"{call.world.url}/{call.repo.full_name}/src/{file.path}",
    }


def _comment(call: Call, comment: Comment | ReviewComment) -> dict[str, Any]:
    item = comment.pull if isinstance(comment, ReviewComment) else comment.item
    kind = "pulls" if item.is_pull else "issues"
    page = f"{call.world.url}/{call.repo.full_name}/{kind}/{item.number}"
    return {
        "id": comment.id,
        "body": comment.body,
        "user": _user(call, comment.author),
        "html_url": f"{page}#issuecomment-{comment.id}",
        "issue_url": "" if item.is_pull else page,
        "pull_request_url": page if item.is_pull else "",
        "created_at": _moment(comment.created),
        "updated_at": _moment(comment.updated),
    }


def _review(call: Call, pull: Pull, review: Review) -> dict[str, Any]:
    page = f"{call.world.url}/{call.repo.full_name}/pulls/{pull.number}"
    return {
        "id": review.id,
        "user": _user(call, review.author),
        "team": None,
        "state": review.state,
        "body": review.body,
        "commit_id": review.commit_id,
        "stale": review.commit_id != pull.head_sha,
        "official": False,
        "dismissed": False,
        "comments_count": sum(comment.review == review.id for comment in pull.review_comments),
        "submitted_at": _moment(review.submitted),
        "html_url": f"{page}#issuecomment-{review.id}",
        "pull_request_url": page,
    }


def _shown_on_line(call: Call, comment: ReviewComment) -> dict[str, Any]:
    """`position` is the line as it was when it was commented on, whatever happened to it since."""
    return {
        **_comment(call, comment),
        "resolver": None,
        "pull_request_review_id": comment.review,
        "path": comment.path,
        "commit_id": comment.commit_id,
        "original_commit_id": comment.commit_id,
        "diff_hunk": comment.diff_hunk,
        "position": comment.original_line if comment.side == "RIGHT" else 0,
        "original_position": comment.original_line if comment.side == "LEFT" else 0,
    }
