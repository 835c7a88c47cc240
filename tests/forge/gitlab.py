"""GitLab's face: /api/v4, where a pull request is a merge request and numbers are not shared with issues."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any
from urllib.parse import unquote

from forge.git import ChangedFile, GitError
from forge.http import Answer, Call, Refusal, Router
from forge.people import Role, User
from forge.state import Comment, Issue, Label, Pull, Repository, ReviewComment, Status

ROUTES = Router("path")
_PROJECT = "/projects/{id}"
_MERGES = f"{_PROJECT}/merge_requests"
_MERGE = f"{_MERGES}/{{iid}}"
_ISSUES = f"{_PROJECT}/issues"
_ISSUE = f"{_ISSUES}/{{iid}}"
_LEVELS = {Role.READ: 10, Role.TRIAGE: 20, Role.WRITE: 30, Role.MAINTAIN: 40, Role.ADMIN: 50}
_STATES = ("pending", "running", "success", "failed", "canceled", "skipped")
_UNFINISHED = ("pending", "running")
_DRAFT = re.compile(r"\s*(\[draft\]|draft:|\(draft\))\s*", re.IGNORECASE)
_TITLE_LIMIT = 255
_DESCRIPTION_LIMIT = 1_048_576
_NOTE_LIMIT = 1_000_000


class GitLab:
    """The REST API below /api/v4."""

    name = "gitlab"
    prefix = "/api/v4"

    def answer(self, call: Call) -> Answer:
        """Let the request take effect."""
        try:
            return self._answer(call)
        except Refusal as refusal:
            return refusal.answer

    def limited(self, call: Call) -> Answer:
        """The answer while the rate limit is used up."""
        until = call.world.limited_until or call.world.time()
        wait = str(max(int(until - call.world.time()) + 1, 1))
        headers = {"retry-after": wait, "ratelimit-remaining": "0", "ratelimit-reset": str(int(until) + 1)}
        return Answer(429, b"Retry later\n", headers)

    def violations(self, call: Call, answer: Answer) -> Iterator[str]:
        """There is no description of GitLab's to hold it against: only what the forge does not have is told."""
        if ROUTES.find(call.method, call.path) is None:
            yield f"{call.method} {call.path}: the forge does not have it (GitLab)"

    def _answer(self, call: Call) -> Answer:
        found = ROUTES.find(call.method, call.path)
        if found is None:
            raise _refuse(404, "404 Not Found")
        route, params = found
        call.params = {name: unquote(value) for name, value in params.items()}
        scheme, _, bearer = call.headers.get("authorization", "").partition(" ")
        token = call.headers.get("private-token") or (bearer if scheme.lower() == "bearer" else "")
        call.access = call.world.access(token)
        if call.access is None:
            raise _refuse(401, "401 Unauthorized")
        if "id" in call.params:
            call.found = _project(call)
            if route.needs and not call.access.may(call.found, *route.needs):
                raise _refuse(403, "403 Forbidden")
        try:
            call.json  # noqa: B018
        except json.JSONDecodeError:
            raise _refuse(400, "400 Bad request") from None
        return route.handler(call)


# Projects and people


@ROUTES.add("GET /user")
def get_user(call: Call) -> Answer:
    return Answer(200, _user(call, call.user))


@ROUTES.add("GET /users")
def list_users(call: Call) -> Answer:
    wanted = call.query.get("username", "").lower()
    return _page(call, [user for user in call.world.users.values() if wanted in ("", user.login.lower())], _user)


@ROUTES.add(f"GET {_PROJECT}")
def get_project(call: Call) -> Answer:
    repo = call.repo
    level = _LEVELS.get(repo.role(call.user))
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
        "created_at": _moment(repo.created),
        "permissions": {"project_access": {"access_level": level} if level else None, "group_access": None},
    }
    return Answer(200, shown)


@ROUTES.add(f"GET {_PROJECT}/members/all")
def list_members(call: Call) -> Answer:
    wanted = call.query.get("query", "").lower()
    found = [user for user in call.world.users.values() if _is_member(call.repo, user) and wanted in user.login.lower()]
    return _page(call, found, _member)


@ROUTES.add(f"GET {_PROJECT}/members/all/{{user_id}}")
def get_member(call: Call) -> Answer:
    wanted = call.number("user_id")
    for user in call.world.users.values():
        if user.id == wanted and _is_member(call.repo, user):
            return Answer(200, _member(call, user))
    raise _refuse(404, "404 Not found")


# Branches, files and statuses


@ROUTES.add(f"GET {_PROJECT}/repository/branches")
def list_branches(call: Call) -> Answer:
    return _page(call, sorted(call.repo.branches()), _branch)


@ROUTES.add(f"GET {_PROJECT}/repository/branches/{{branch}}")
def get_branch(call: Call) -> Answer:
    if call.repo.head(call.params["branch"]) is None:
        raise _refuse(404, "404 Branch Not Found")
    return Answer(200, _branch(call, call.params["branch"]))


@ROUTES.add(f"DELETE {_PROJECT}/repository/branches/{{branch}}", "contents:write")
def delete_branch(call: Call) -> Answer:
    if call.repo.head(call.params["branch"]) is None:
        raise _refuse(404, "404 Branch Not Found")
    if call.params["branch"] == call.repo.default_branch:
        raise _refuse(403, "403 Forbidden")
    call.repo.delete_branch(call.params["branch"])
    return Answer(204)


@ROUTES.add(f"GET {_PROJECT}/repository/files/{{file}}/raw")
def get_file(call: Call) -> Answer:
    commit = call.repo.git.resolve(call.query.get("ref", call.repo.default_branch))
    entry = call.repo.git.entry(commit, call.params["file"]) if commit else None
    if entry is None or entry.kind != "blob":
        raise _refuse(404, "404 File Not Found")
    return Answer(200, call.repo.git.read_blob(entry.sha))


@ROUTES.add(f"POST {_PROJECT}/statuses/{{sha}}", "statuses:write")
def create_status(call: Call) -> Answer:
    data, sha = _data(call), call.params["sha"]
    if call.repo.git.resolve(sha) is None:
        raise _refuse(404, "404 Commit Not Found")
    state, name = data.get("state"), data.get("name") or data.get("context") or "default"
    if state not in _STATES:
        raise Refusal(400, {"error": "state does not have a valid value"})
    if len(data.get("description") or "") > _TITLE_LIMIT:
        raise _refuse(400, {"description": [f"is too long (maximum is {_TITLE_LIMIT} characters)"]})
    last = next((one for one in reversed(call.repo.statuses) if (one.sha, one.context) == (sha, name)), None)
    if last and last.state in _UNFINISHED and last.state == state:
        event = "enqueue" if state == "pending" else "run"
        raise _refuse(400, f"Cannot transition status via :{event} from :{state}")
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
    return Answer(201, _status(call, status))


@ROUTES.add(f"GET {_PROJECT}/repository/commits/{{sha}}/statuses")
def list_statuses(call: Call) -> Answer:
    """The newest of each name, unless all are asked for."""
    found = [status for status in call.repo.statuses if status.sha == call.params["sha"]]
    if call.query.get("all") != "true":
        found = list({status.context: status for status in found}.values())
    name = call.query.get("name")
    return _page(call, [status for status in found if name in (None, status.context)], _status)


# Labels


@ROUTES.add(f"GET {_PROJECT}/labels")
def list_labels(call: Call) -> Answer:
    return _page(call, list(call.repo.labels.values()), _label)


@ROUTES.add(f"POST {_PROJECT}/labels", "triage:write")
def create_label(call: Call) -> Answer:
    data = _data(call)
    _require(data, "name", "color")
    if data["name"] in call.repo.labels:
        raise _refuse(409, "Label already exists")
    label = Label(call.world.number(), data["name"], data["color"].lstrip("#"), data.get("description"))
    call.repo.labels[label.name] = label
    return Answer(201, _label(call, label))


# Merge requests


@ROUTES.add(f"GET {_MERGES}")
def list_merges(call: Call) -> Answer:
    """Also those that are closed, unless a state is asked for."""
    query = call.query
    found = [
        pull
        for pull in call.repo.pulls.values()
        if query.get("state", "all") in ("all", _state(pull))
        and query.get("source_branch", pull.head) == pull.head
        and query.get("target_branch", pull.base) == pull.base
        and query.get("author_username", pull.author.login) == pull.author.login
        and set(filter(None, query.get("labels", "").split(","))) <= set(pull.labels)
        and query.get("search", "").lower() in f"{pull.title}\n{pull.body}".lower()
    ]
    return _page(call, _ordered(call, found), _merge_simple)


@ROUTES.add(f"POST {_MERGES}", "contents:write")
def create_merge(call: Call) -> Answer:
    """As on GitLab, a branch without commits of its own is none too many."""
    data, repo = _data(call), call.repo
    _require(data, "source_branch", "target_branch", "title")
    _check_text(data)
    head, base = data["source_branch"], data["target_branch"]
    if head == base:
        raise _refuse(422, ["You can't use same project/branch for source and target"])
    for name, branch in (("source_branch", head), ("target_branch", base)):
        if repo.head(branch) is None:
            raise _refuse(400, {name: ["does not exist"]})
    if known := _conflicting(repo, head, base):
        raise _refuse(409, [f"Another open merge request already exists for this source branch: !{_iid(known)}"])
    pull = repo.open_pull(head, base=base, title=data["title"], body=data.get("description") or "", by=call.user)
    _change(call, pull, data)
    return Answer(201, _merge(call, pull))


@ROUTES.add(f"GET {_MERGE}")
def get_merge(call: Call) -> Answer:
    return Answer(200, _merge(call, _pull(call)))


@ROUTES.add(f"PUT {_MERGE}", "issues:write")
def update_merge(call: Call) -> Answer:
    data, pull = _data(call), _pull(call)
    _may_change(call, pull)
    _check_text(data)
    event = data.get("state_event")
    if event == "close" and pull.state == "open":
        call.repo.close(pull.number, call.user)
    elif event == "reopen" and pull.state == "closed" and not pull.merged:
        if known := _conflicting(call.repo, pull.head, pull.base):
            message = f"Another open merge request already exists for this source branch: !{_iid(known)}"
            raise _refuse(409, [message])
        call.repo.reopen(pull.number)
    if data.get("target_branch"):
        pull.base = data["target_branch"]
        call.repo.follow()
    _change(call, pull, data)
    return Answer(200, _merge(call, pull))


@ROUTES.add(f"PUT {_MERGE}/merge", "contents:write")
def merge(call: Call) -> Answer:
    data, pull = _data(call), _pull(call)
    if pull.state == "closed" or _is_draft(pull):
        raise _refuse(405, "405 Method Not Allowed")
    if data.get("sha", pull.head_sha) != pull.head_sha:
        raise _refuse(409, "SHA does not match HEAD of source branch: " + pull.head_sha)
    try:
        call.repo.merge(pull.number, call.user, method="squash" if data.get("squash") else "merge")
    except GitError:
        raise _refuse(422, "Branch cannot be merged") from None
    return Answer(200, _merge(call, pull))


@ROUTES.add(f"GET {_MERGE}/commits")
def list_commits(call: Call) -> Answer:
    return _page(call, _pull(call).commits[::-1], _commit)


@ROUTES.add(f"GET {_MERGE}/diffs")
def list_diffs(call: Call) -> Answer:
    return _page(call, list(_pull(call).files), _diff)


# Notes and discussions


@ROUTES.add(f"GET {_MERGE}/notes")
def list_notes(call: Call) -> Answer:
    """What people wrote, on lines too, and what GitLab itself wrote about assignees."""
    pull = _pull(call)
    return _notes(call, pull, [_line_note(call, one) for one in pull.review_comments])


@ROUTES.add(f"POST {_MERGE}/notes", "issues:write")
def create_note(call: Call) -> Answer:
    return _add_note(call, _pull(call))


@ROUTES.add(f"PUT {_MERGE}/notes/{{note_id}}", "issues:write")
def update_note(call: Call) -> Answer:
    pull = _pull(call)
    for comment in pull.review_comments:
        if comment.id == call.number("note_id"):
            _may_edit(call, comment.author)
            comment.body, comment.updated = _note_text(call), call.world.time()
            return Answer(200, _line_note(call, comment))
    return _edit_note(call, pull)


@ROUTES.add(f"DELETE {_MERGE}/notes/{{note_id}}", "issues:write")
def delete_note(call: Call) -> Answer:
    pull = _pull(call)
    for comment in pull.review_comments:
        if comment.id == call.number("note_id"):
            _may_edit(call, comment.author)
            pull.review_comments.remove(comment)
            return Answer(204)
    return _remove_note(call, pull)


@ROUTES.add(f"GET {_MERGE}/discussions")
def list_discussions(call: Call) -> Answer:
    pull = _pull(call)
    return _page(call, [*pull.comments, *pull.review_comments], _discussion)


@ROUTES.add(f"POST {_MERGE}/discussions", "issues:write")
def create_discussion(call: Call) -> Answer:
    """Without a position a note like any other."""
    pull, data = _pull(call), _data(call)
    if not data.get("position"):
        _add_note(call, pull)
        return Answer(201, _discussion(call, pull.comments[-1]))
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
    return Answer(201, _discussion(call, comment))


# Issues


@ROUTES.add(f"GET {_ISSUES}")
def list_issues(call: Call) -> Answer:
    query = call.query
    where = query.get("in", "title,description").split(",")
    found = [
        issue
        for issue in call.repo.issues.values()
        if query.get("state", "all") in ("all", _state(issue))
        and query.get("author_username", issue.author.login) == issue.author.login
        and set(filter(None, query.get("labels", "").split(","))) <= set(issue.labels)
        and any(
            query.get("search", "").lower() in text.lower()
            for text in (issue.title if "title" in where else "", issue.body if "description" in where else "")
        )
    ]
    return _page(call, _ordered(call, found), _issue)


@ROUTES.add(f"POST {_ISSUES}", "issues:write")
def create_issue(call: Call) -> Answer:
    data = _data(call)
    _require(data, "title")
    _check_text(data)
    issue = call.repo.open_issue(title=data["title"], body=data.get("description") or "", by=call.user)
    _change(call, issue, data)
    return Answer(201, _issue(call, issue))


@ROUTES.add(f"GET {_ISSUE}")
def get_issue(call: Call) -> Answer:
    return Answer(200, _issue(call, _plain_issue(call)))


@ROUTES.add(f"PUT {_ISSUE}", "issues:write")
def update_issue(call: Call) -> Answer:
    data, issue = _data(call), _plain_issue(call)
    _may_change(call, issue)
    _check_text(data)
    if data.get("state_event") == "close" and issue.state == "open":
        call.repo.close(issue.number, call.user)
    elif data.get("state_event") == "reopen" and issue.state == "closed":
        call.repo.reopen(issue.number)
    _change(call, issue, data)
    return Answer(200, _issue(call, issue))


@ROUTES.add(f"GET {_ISSUE}/notes")
def list_issue_notes(call: Call) -> Answer:
    return _notes(call, _plain_issue(call), [])


@ROUTES.add(f"POST {_ISSUE}/notes", "issues:write")
def create_issue_note(call: Call) -> Answer:
    return _add_note(call, _plain_issue(call))


@ROUTES.add(f"PUT {_ISSUE}/notes/{{note_id}}", "issues:write")
def update_issue_note(call: Call) -> Answer:
    return _edit_note(call, _plain_issue(call))


@ROUTES.add(f"DELETE {_ISSUE}/notes/{{note_id}}", "issues:write")
def delete_issue_note(call: Call) -> Answer:
    return _remove_note(call, _plain_issue(call))


# What is asked for


def _refuse(status: int, message: Any) -> Refusal:
    return Refusal(status, {"message": message})


def _data(call: Call) -> dict[str, Any]:
    """The body and, as GitLab takes it from there too, the query."""
    return {**call.query, **call.data}


def _require(data: dict[str, Any], *fields: str) -> None:
    missing = [field for field in fields if not data.get(field)]
    if missing:
        raise Refusal(400, {"error": ", ".join(f"{field} is missing" for field in missing)})


def _check_text(data: dict[str, Any]) -> None:
    for field, limit in (("title", _TITLE_LIMIT), ("description", _DESCRIPTION_LIMIT)):
        if len(data.get(field) or "") > limit:
            raise _refuse(400, {field: [f"is too long (maximum is {limit} characters)"]})


def _project(call: Call) -> Repository:
    """The project of the path, by its number or by its full name."""
    wanted = call.params["id"].lower()
    for repository in call.world.repositories.values():
        if wanted in (str(repository.id), repository.full_name.lower()) and call.bearer.sees(repository):
            repository.follow()
            return repository
    raise _refuse(404, "404 Project Not Found")


def _pull(call: Call) -> Pull:
    found = list(call.repo.pulls.values())
    return found[_index(call, len(found))]


def _plain_issue(call: Call) -> Issue:
    found = list(call.repo.issues.values())
    return found[_index(call, len(found))]


def _index(call: Call, count: int) -> int:
    number = call.number("iid")
    if not 1 <= number <= count:
        raise _refuse(404, "404 Not found")
    return number - 1


def _iid(item: Issue) -> int:
    """Merge requests and issues are counted apart."""
    repo = item.repository
    kind = list(repo.pulls) if item.is_pull else list(repo.issues)
    return kind.index(item.number) + 1


def _may_change(call: Call, item: Issue) -> None:
    if item.author is not call.user and not call.bearer.may(call.repo, "triage", "write"):
        raise _refuse(403, "403 Forbidden")


def _may_edit(call: Call, author: User) -> None:
    if author is not call.user and call.repo.role(call.user) < Role.MAINTAIN:
        raise _refuse(403, "403 Forbidden")


def _conflicting(repo: Repository, head: str, base: str) -> Pull | None:
    return next(
        (one for one in repo.pulls.values() if (one.head, one.base, one.state) == (head, base, "open")),
        None,
    )


def _ordered(call: Call, found: list[Any]) -> list[Any]:
    by_change = call.query.get("order_by") == "updated_at"
    return sorted(
        found,
        key=lambda one: (one.updated if by_change else 0, one.number),
        reverse=call.query.get("sort", "desc") == "desc",
    )


def _change(call: Call, item: Issue, data: dict[str, Any]) -> None:
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
    return {user.login: user for user in repo.world.users.values() if user.id in ids and _is_member(repo, user)}


def _is_member(repo: Repository, user: User) -> bool:
    return user.kind != "Organization" and repo.role(user) > Role.NONE


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
    raise _refuse(400, message)


# Notes of both


def _notes(call: Call, item: Issue, more: list[dict[str, Any]]) -> Answer:
    own = [_system_note(call, item, user) for user in item.assignees.values()]
    found = [*own, *(_note(call, one) for one in item.comments), *more]
    found.sort(key=lambda note: (note["created_at"], note["id"]), reverse=call.query.get("sort", "desc") == "desc")
    return _page(call, found, lambda _, note: note)


def _add_note(call: Call, item: Issue) -> Answer:
    comment = call.repo.comment(item.number, _note_text(call), call.user)
    return Answer(201, _note(call, comment))


def _edit_note(call: Call, item: Issue) -> Answer:
    comment = _own_note(call, item)
    comment.body, comment.updated = _note_text(call), call.world.time()
    return Answer(200, _note(call, comment))


def _remove_note(call: Call, item: Issue) -> Answer:
    item.comments.remove(_own_note(call, item))
    return Answer(204)


def _own_note(call: Call, item: Issue) -> Comment:
    comment = next((one for one in item.comments if one.id == call.number("note_id")), None)
    if comment is None:
        raise _refuse(404, "404 Note Not Found")
    _may_edit(call, comment.author)
    return comment


def _note_text(call: Call) -> str:
    data = _data(call)
    _require(data, "body")
    if len(data["body"]) > _NOTE_LIMIT:
        raise _refuse(400, {"note": [f"is too long (maximum is {_NOTE_LIMIT} characters)"]})
    body: str = data["body"]
    return body


# What is shown


def _page(call: Call, found: list[Any], show: Any) -> Answer:
    answer = call.page(found, lambda one: show(call, one), usual=20)
    per = min(max(int(call.query.get("per_page", 20)), 1), 100)
    page, last = max(int(call.query.get("page", 1)), 1), max(-(-len(found) // per), 1)
    totals = {
        "x-total": str(len(found)),
        "x-total-pages": str(last),
        "x-page": str(page),
        "x-per-page": str(per),
        "x-next-page": str(page + 1) if page < last else "",
        "x-prev-page": str(page - 1) if page > 1 else "",
    }
    return replace(answer, headers={**answer.headers, **totals})


def _moment(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _state(item: Issue) -> str:
    if isinstance(item, Pull) and item.merged:
        return "merged"
    return "opened" if item.state == "open" else "closed"


def _is_draft(pull: Pull) -> bool:
    """GitLab knows a draft by its title."""
    return pull.draft or _DRAFT.match(pull.title) is not None


def _user(call: Call, user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "username": user.login,
        "name": user.login,
        "state": "active",
        "locked": False,
        "avatar_url": None,
        "web_url": f"{call.world.url}/{user.login}",
    }


def _member(call: Call, user: User) -> dict[str, Any]:
    level = _LEVELS[call.repo.role(user)]
    return {**_user(call, user), "access_level": level, "expires_at": None, "membership_state": "active"}


def _label(_: Call, label: Label) -> dict[str, Any]:
    return {"id": label.id, "name": label.name, "color": f"#{label.color}", "description": label.description}


def _branch(call: Call, name: str) -> dict[str, Any]:
    sha = call.repo.head(name) or ""
    is_default = name == call.repo.default_branch
    return {
        "name": name,
        "commit": _commit(call, call.repo.git.commit(sha)),
        "merged": False,
        "protected": is_default,
        "default": is_default,
        "web_url": f"{call.world.url}/{call.repo.full_name}/-/tree/{name}",
    }


def _commit(call: Call, commit: Any) -> dict[str, Any]:
    return {
        "id": commit.sha,
        "short_id": commit.sha[:8],
        "title": commit.message.partition("\n")[0],
        "message": commit.message,
        "author_name": commit.author.name,
        "author_email": commit.author.email,
        "authored_date": _moment(commit.author.when),
        "committer_name": commit.committer.name,
        "committer_email": commit.committer.email,
        "committed_date": _moment(commit.committer.when),
        "created_at": _moment(commit.committer.when),
        "parent_ids": list(commit.parents),
        "web_url": f"{call.world.url}/{call.repo.full_name}/-/commit/{commit.sha}",
    }


def _status(call: Call, status: Status) -> dict[str, Any]:
    done = None if status.state in _UNFINISHED else _moment(status.created)
    return {
        "id": status.id,
        "sha": status.sha,
        "ref": None,
        "status": status.state,
        "name": status.context,
        "target_url": status.target_url,
        "description": status.description,
        "created_at": _moment(status.created),
        "started_at": None,
        "finished_at": done,
        "allow_failure": False,
        "coverage": None,
        "author": _user(call, status.creator),
    }


def _shared(call: Call, item: Issue, kind: str) -> dict[str, Any]:
    assignees = [_user(call, user) for user in item.assignees.values()]
    iid = _iid(item)
    return {
        "id": item.id,
        "iid": iid,
        "project_id": call.repo.id,
        "title": item.title,
        "description": item.body,
        "state": _state(item),
        "created_at": _moment(item.created),
        "updated_at": _moment(item.updated),
        "closed_at": _moment(item.closed) if _state(item) == "closed" else None,
        "closed_by": _user(call, item.closed_by) if item.closed_by and _state(item) == "closed" else None,
        "labels": sorted(item.labels),
        "milestone": None,
        "assignees": assignees,
        "assignee": assignees[0] if assignees else None,
        "author": _user(call, item.author),
        "user_notes_count": len(item.comments),
        "discussion_locked": None,
        "web_url": f"{call.world.url}/{call.repo.full_name}/-/{kind}/{iid}",
    }


def _issue(call: Call, issue: Issue) -> dict[str, Any]:
    return {**_shared(call, issue, "issues"), "type": "ISSUE", "issue_type": "issue", "confidential": False}


def _merge_simple(call: Call, pull: Pull) -> dict[str, Any]:
    mergeable = pull.mergeable()
    words = {None: ("unchecked", "checking"), True: ("can_be_merged", "mergeable")}
    status, detailed = words.get(mergeable, ("cannot_be_merged", "conflict"))
    iid = _iid(pull)
    return {
        **_shared(call, pull, "merge_requests"),
        "source_branch": pull.head,
        "target_branch": pull.base,
        "source_project_id": call.repo.id,
        "target_project_id": call.repo.id,
        "sha": pull.head_sha,
        "draft": _is_draft(pull),
        "work_in_progress": _is_draft(pull),
        "merge_status": status,
        "detailed_merge_status": detailed,
        "merged_at": _moment(pull.merged_at),
        "merged_by": _user(call, pull.merged_by) if pull.merged_by else None,
        "merge_user": _user(call, pull.merged_by) if pull.merged_by else None,
        "merge_commit_sha": pull.merge_sha,
        "squash_commit_sha": None,
        "reviewers": [_user(call, user) for user in pull.requested_reviewers.values()],
        "reference": f"!{iid}",
        "references": {"short": f"!{iid}", "relative": f"!{iid}", "full": f"{call.repo.full_name}!{iid}"},
        "has_conflicts": mergeable is False,
    }


def _merge(call: Call, pull: Pull) -> dict[str, Any]:
    base = pull.fork_point
    return {
        **_merge_simple(call, pull),
        "changes_count": str(len(pull.files)),
        "diff_refs": {"base_sha": base, "head_sha": pull.head_sha, "start_sha": pull.base_sha},
        "merge_error": None,
    }


def _diff(_: Call, file: ChangedFile) -> dict[str, Any]:
    return {
        "old_path": file.previous or file.path,
        "new_path": file.path,
        "a_mode": "0" if file.status == "added" else "100644",
        "b_mode": "0" if file.status == "removed" else "100644",
        "diff": f"{file.patch}\n" if file.patch else "",
        "new_file": file.status == "added",
        "renamed_file": file.status == "renamed",
        "deleted_file": file.status == "removed",
        "collapsed": False,
        "too_large": False,
        "generated_file": False,
    }


def _note(call: Call, comment: Comment) -> dict[str, Any]:
    return {
        "id": comment.id,
        "type": None,
        "body": comment.body,
        "author": _user(call, comment.author),
        "created_at": _moment(comment.created),
        "updated_at": _moment(comment.updated),
        "system": False,
        "noteable_id": comment.item.id,
        "noteable_iid": _iid(comment.item),
        "noteable_type": "MergeRequest" if comment.item.is_pull else "Issue",
        "resolvable": False,
        "internal": False,
    }


def _system_note(call: Call, item: Issue, assignee: User) -> dict[str, Any]:
    note = Comment(item.id, item, item.author, f"assigned to @{assignee.login}", item.created, item.created)
    return {**_note(call, note), "system": True}


def _line_note(call: Call, comment: ReviewComment) -> dict[str, Any]:
    pull = comment.pull
    note = Comment(comment.id, pull, comment.author, comment.body, comment.created, comment.updated)
    sides = {"RIGHT": "new_line", "LEFT": "old_line"}
    position = {
        "base_sha": pull.fork_point,
        "start_sha": pull.base_sha,
        "head_sha": comment.commit_id,
        "old_path": comment.path,
        "new_path": comment.path,
        "position_type": "text",
        "old_line": None,
        "new_line": None,
        sides[comment.side]: comment.line or comment.original_line,
    }
    return {**_note(call, note), "type": "DiffNote", "position": position, "resolvable": True, "resolved": False}


def _discussion(call: Call, first: Comment | ReviewComment) -> dict[str, Any]:
    on_line = isinstance(first, ReviewComment)
    note = _line_note(call, first) if isinstance(first, ReviewComment) else _note(call, first)
    return {"id": f"{first.id:040x}", "individual_note": not on_line, "notes": [note]}
