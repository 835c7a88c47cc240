"""Issues, and what pull requests have as issues: comments, labels, assignees, reactions."""

from __future__ import annotations

from typing import Any

from forge.github.apps import objects
from forge.github.errors import check_text, invalid, not_found, refuse, require
from forge.http import Answer, Call, Router
from forge.people import Role
from forge.state import BODY_LIMIT, Comment, Issue, Label, Pull, Reaction

ROUTES = Router()
_ISSUES = "/repos/{owner}/{repo}/issues"
_ONE = f"{_ISSUES}/{{issue_number}}"
_COMMENT = f"{_ISSUES}/comments/{{comment_id}}"
_CONTENTS = ("+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes")


@ROUTES.add(f"GET {_ISSUES}", "issues:read")
def list_issues(call: Call) -> Answer:
    """Also pull requests are issues here; those have `pull_request`."""
    query = call.query
    labels = set(filter(None, query.get("labels", "").split(",")))
    state = query.get("state", "open")
    found = [
        item
        for item in call.repo.items.values()
        if state in (item.state, "all")
        and labels <= set(item.labels)
        and query.get("creator", item.author.login) == item.author.login
        and _assigned(item, query.get("assignee", "*"), "assignee" in query)
    ]
    return call.page(ordered(found, query), objects(call).issue)


@ROUTES.add(f"POST {_ISSUES}", "issues:write")
def create_issue(call: Call) -> Answer:
    data = call.data
    require(data, "Issue", "title")
    check_text(data, "Issue")
    issue = call.repo.open_issue(title=data["title"], body=data.get("body") or "", by=call.user)
    issue.app = call.bearer.installation.app if call.bearer.installation else None
    if may_sort(call):
        set_labels(issue, label_names(data))
        assign(issue, data.get("assignees") or [])
    return Answer(201, objects(call).issue(issue))


@ROUTES.add(f"GET {_ONE}", "issues:read")
def get_issue(call: Call) -> Answer:
    return Answer(200, objects(call).issue(item(call)))


@ROUTES.add(f"PATCH {_ONE}", "issues:write")
def update_issue(call: Call) -> Answer:
    data, issue = call.data, item(call)
    may_change(call, issue)
    check_text(data, "Issue")
    issue.title = data.get("title") or issue.title
    if "body" in data:
        issue.body = data["body"] or ""
    if "labels" in data:
        set_labels(issue, label_names(data))
    if "assignees" in data:
        issue.assignees.clear()
        assign(issue, data["assignees"])
    if data.get("state") == "closed" and issue.state == "open":
        call.repo.close(issue.number, call.user)
    elif data.get("state") == "open" and issue.state == "closed":
        if isinstance(issue, Pull):
            check_reopening(issue)
        call.repo.reopen(issue.number)
    issue.updated = call.world.time()
    return Answer(200, objects(call).issue(issue))


@ROUTES.add(f"GET {_ONE}/comments", "issues:read")
def list_comments(call: Call) -> Answer:
    return call.page(item(call).comments, objects(call).comment)


@ROUTES.add(f"POST {_ONE}/comments", "issues:write")
def create_comment(call: Call) -> Answer:
    issue = item(call)
    app = call.bearer.installation.app if call.bearer.installation else None
    comment = call.repo.comment(issue.number, _comment_text(call), call.user, app)
    return Answer(201, objects(call).comment(comment))


@ROUTES.add(f"GET {_COMMENT}", "issues:read")
def get_comment(call: Call) -> Answer:
    return Answer(200, objects(call).comment(_comment(call)))


@ROUTES.add(f"PATCH {_COMMENT}", "issues:write")
def update_comment(call: Call) -> Answer:
    comment = _comment(call)
    if comment.author is not call.user and not _is_writer(call):
        raise refuse(403, "Must have admin rights to Repository.")
    comment.body, comment.updated = _comment_text(call), call.world.time()
    return Answer(200, objects(call).comment(comment))


@ROUTES.add(f"DELETE {_COMMENT}", "issues:write")
def delete_comment(call: Call) -> Answer:
    comment = _comment(call)
    if comment.author is not call.user and not _is_writer(call):
        raise refuse(403, "Must have admin rights to Repository.")
    comment.item.comments.remove(comment)
    return Answer(204)


@ROUTES.add(f"GET {_COMMENT}/reactions", "issues:read")
def list_reactions(call: Call) -> Answer:
    wanted = call.query.get("content")
    found = [one for one in _comment(call).reactions if wanted in (None, one.content)]
    return call.page(found, objects(call).reaction)


@ROUTES.add(f"POST {_COMMENT}/reactions", "issues:write")
def create_reaction(call: Call) -> Answer:
    comment, content = _comment(call), call.data.get("content")
    if content not in _CONTENTS:
        raise invalid("Reaction", "content", "invalid")
    known = next((one for one in comment.reactions if (one.user, one.content) == (call.user, content)), None)
    if known:
        return Answer(200, objects(call).reaction(known))
    reaction = Reaction(call.world.number(), call.user, content, call.world.time())
    comment.reactions.append(reaction)
    return Answer(201, objects(call).reaction(reaction))


@ROUTES.add(f"DELETE {_COMMENT}/reactions/{{reaction_id}}", "issues:write")
def delete_reaction(call: Call) -> Answer:
    comment = _comment(call)
    kept = [one for one in comment.reactions if one.id != call.number("reaction_id") or one.user is not call.user]
    if len(kept) == len(comment.reactions):
        raise not_found()
    comment.reactions = kept
    return Answer(204)


@ROUTES.add(f"GET {_ONE}/labels", "issues:read")
def list_issue_labels(call: Call) -> Answer:
    return call.page(list(item(call).labels.values()), lambda label: objects(call).label(call.repo, label))


@ROUTES.add(f"POST {_ONE}/labels", "triage:write")
def add_labels(call: Call) -> Answer:
    issue = item(call)
    set_labels(issue, [*issue.labels, *_wanted_labels(call)])
    return _labels_of(call, issue)


@ROUTES.add(f"PUT {_ONE}/labels", "triage:write")
def replace_labels(call: Call) -> Answer:
    issue = item(call)
    set_labels(issue, _wanted_labels(call))
    return _labels_of(call, issue)


@ROUTES.add(f"DELETE {_ONE}/labels/{{name}}", "triage:write")
def remove_label(call: Call) -> Answer:
    issue, name = item(call), call.params["name"].lower()
    known = next((one for one in issue.labels if one.lower() == name), None)
    if known is None:
        raise refuse(404, "Label does not exist")
    del issue.labels[known]
    return _labels_of(call, issue)


@ROUTES.add(f"POST {_ONE}/assignees", "issues:write")
def add_assignees(call: Call) -> Answer:
    issue = item(call)
    if may_sort(call):
        assign(issue, call.data.get("assignees") or [])
    return Answer(201, objects(call).issue(issue))


@ROUTES.add(f"DELETE {_ONE}/assignees", "issues:write")
def remove_assignees(call: Call) -> Answer:
    issue = item(call)
    if may_sort(call):
        for login in call.data.get("assignees") or []:
            issue.assignees.pop(login, None)
    return Answer(200, objects(call).issue(issue))


def item(call: Call) -> Issue:
    """The issue or pull request of the path. One that is a pull request is refused to who may not see those."""
    found = call.repo.items.get(call.number("issue_number"))
    if found is None:
        raise not_found()
    return found


def ordered(found: list[Any], query: Any) -> list[Any]:
    """The newest first, or as the query says."""
    key = {"updated": lambda one: one.updated}.get(query.get("sort", "created"), lambda one: one.number)
    return sorted(found, key=key, reverse=query.get("direction", "desc") == "desc")


def may_change(call: Call, issue: Issue) -> None:
    """Refuses who neither opened it nor works on the repository."""
    if issue.author is not call.user and not _is_writer(call):
        raise refuse(403, "Must have admin rights to Repository.")


def may_sort(call: Call) -> bool:
    """Whether labels and assignees of the bearer count; those of others are dropped without a word."""
    return call.bearer.may(call.repo, "triage", "write")


def set_labels(issue: Issue, names: list[str]) -> None:
    """The labels with these names and no others; a name that the repository does not have yet becomes a label."""
    labels = [issue.repository.label(name) for name in names]
    issue.labels = {label.name: label for label in labels}


def label_names(data: dict[str, Any]) -> list[str]:
    """The names in `labels`, given as names or as objects."""
    return [one if isinstance(one, str) else one["name"] for one in data.get("labels") or []]


def assign(issue: Issue, logins: list[str]) -> None:
    """Who may not be assigned is left out without a word, as GitHub does."""
    for login in logins[:10]:
        user = issue.repository.world.users.get(login.lower())
        if user and issue.repository.role(user) >= Role.WRITE:
            issue.assignees[user.login] = user


def check_reopening(pull: Pull) -> None:
    """Refuses where there is nothing to reopen any more."""
    repo = pull.repository
    head = pull.source.head(pull.head)
    reason = None
    if pull.merged:
        reason = "state cannot be changed. The pull request cannot be reopened."
    elif head is None:
        reason = f"state cannot be changed. The {pull.head} branch has been deleted."
    elif not pull.source.git.is_ancestor(pull.head_sha, head):
        reason = f"state cannot be changed. The {pull.head} branch was force-pushed or recreated."
    elif repo.opened(pull.head, pull.base, pull.source):
        reason = f"state cannot be changed. There is already an open pull request from {pull.head} to {pull.base}."
    if reason:
        raise invalid("PullRequest", "state", "invalid", reason)


def _is_writer(call: Call) -> bool:
    return bool(call.bearer.installation) or call.repo.role(call.user) >= Role.WRITE


def _assigned(issue: Issue, login: str, asked: bool) -> bool:
    if not asked:
        return True
    return (
        not issue.assignees if login == "none" else bool(issue.assignees) if login == "*" else login in issue.assignees
    )


def _comment(call: Call) -> Comment:
    wanted = call.number("comment_id")
    for issue in call.repo.items.values():
        for comment in issue.comments:
            if comment.id == wanted:
                return comment
    raise not_found()


def _comment_text(call: Call) -> str:
    body: str = call.data.get("body") or ""
    if not body:
        raise invalid("IssueComment", "data", "unprocessable", "Body cannot be blank")
    if len(body) > BODY_LIMIT:
        raise invalid("IssueComment", "data", "unprocessable", f"Body is too long (maximum is {BODY_LIMIT} characters)")
    return body


def _wanted_labels(call: Call) -> list[str]:
    """GitHub takes a bare list as well."""
    return label_names({"labels": call.json} if isinstance(call.json, list) else call.data)


def _labels_of(call: Call, issue: Issue) -> Answer:
    shown: list[Label] = list(issue.labels.values())
    return Answer(200, [objects(call).label(call.repo, label) for label in shown])
