"""Issues, which are counted apart from merge requests."""

from __future__ import annotations

from forge.gitlab.asked import ISSUE, ISSUES, asked_issue, change_item, check_text, fields, may_change, ordered, require
from forge.gitlab.shown import issue_json, paged, state_of
from forge.http import Answer, Call, Router

ROUTES = Router()


@ROUTES.add(f"GET {ISSUES}")
def list_issues(call: Call) -> Answer:
    query = call.query
    where = query.get("in", "title,description").split(",")
    found = [
        issue
        for issue in call.repo.issues.values()
        if query.get("state", "all") in ("all", state_of(issue))
        and query.get("author_username", issue.author.login) == issue.author.login
        and set(filter(None, query.get("labels", "").split(","))) <= set(issue.labels)
        and any(
            query.get("search", "").lower() in text.lower()
            for text in (issue.title if "title" in where else "", issue.body if "description" in where else "")
        )
    ]
    return paged(call, ordered(call, found), issue_json)


@ROUTES.add(f"POST {ISSUES}", "issues:write")
def create_issue(call: Call) -> Answer:
    data = fields(call)
    require(data, "title")
    check_text(data)
    issue = call.repo.open_issue(title=data["title"], body=data.get("description") or "", by=call.user)
    change_item(call, issue, data)
    return Answer(201, issue_json(call, issue))


@ROUTES.add(f"GET {ISSUE}")
def get_issue(call: Call) -> Answer:
    return Answer(200, issue_json(call, asked_issue(call)))


@ROUTES.add(f"PUT {ISSUE}", "issues:write")
def update_issue(call: Call) -> Answer:
    data, issue = fields(call), asked_issue(call)
    may_change(call, issue)
    check_text(data)
    if data.get("state_event") == "close" and issue.state == "open":
        call.repo.close(issue.number, call.user)
    elif data.get("state_event") == "reopen" and issue.state == "closed":
        call.repo.reopen(issue.number)
    change_item(call, issue, data)
    return Answer(200, issue_json(call, issue))
