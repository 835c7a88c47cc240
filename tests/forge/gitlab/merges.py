"""Merge requests. What they show is asked of git at the time of the request."""

from __future__ import annotations

from forge.git import GitError
from forge.gitlab.asked import (
    MERGE,
    MERGES,
    asked_merge,
    change_item,
    check_text,
    fields,
    may_change,
    ordered,
    refuse,
    require,
)
from forge.gitlab.shown import commit_json, diff_json, iid_of, is_draft, merge_json, merge_simple_json, paged, state_of
from forge.http import Answer, Call, Router

ROUTES = Router()


@ROUTES.add(f"GET {MERGES}")
def list_merges(call: Call) -> Answer:
    """Also those that are closed, unless a state is asked for."""
    query = call.query
    found = [
        pull
        for pull in call.repo.pulls.values()
        if query.get("state", "all") in ("all", state_of(pull))
        and query.get("source_branch", pull.head) == pull.head
        and query.get("target_branch", pull.base) == pull.base
        and query.get("author_username", pull.author.login) == pull.author.login
        and set(filter(None, query.get("labels", "").split(","))) <= set(pull.labels)
        and query.get("search", "").lower() in f"{pull.title}\n{pull.body}".lower()
    ]
    return paged(call, ordered(call, found), merge_simple_json)


@ROUTES.add(f"POST {MERGES}", "contents:write")
def create_merge(call: Call) -> Answer:
    """As on GitLab, a branch without commits of its own is none too many."""
    data, repo = fields(call), call.repo
    require(data, "source_branch", "target_branch", "title")
    check_text(data)
    head, base = data["source_branch"], data["target_branch"]
    if head == base:
        raise refuse(422, ["You can't use same project/branch for source and target"])
    for name, branch in (("source_branch", head), ("target_branch", base)):
        if repo.head(branch) is None:
            raise refuse(400, {name: ["does not exist"]})
    if known := repo.opened(head, base, repo):
        raise refuse(409, [f"Another open merge request already exists for this source branch: !{iid_of(known)}"])
    pull = repo.open_pull(head, base=base, title=data["title"], body=data.get("description") or "", by=call.user)
    change_item(call, pull, data)
    return Answer(201, merge_json(call, pull))


@ROUTES.add(f"GET {MERGE}")
def get_merge(call: Call) -> Answer:
    return Answer(200, merge_json(call, asked_merge(call)))


@ROUTES.add(f"PUT {MERGE}", "issues:write")
def update_merge(call: Call) -> Answer:
    data, pull = fields(call), asked_merge(call)
    may_change(call, pull)
    check_text(data)
    event = data.get("state_event")
    if event == "close" and pull.state == "open":
        call.repo.close(pull.number, call.user)
    elif event == "reopen" and pull.state == "closed" and not pull.merged:
        if known := call.repo.opened(pull.head, pull.base, pull.source):
            message = f"Another open merge request already exists for this source branch: !{iid_of(known)}"
            raise refuse(409, [message])
        call.repo.reopen(pull.number)
    if data.get("target_branch"):
        pull.base = data["target_branch"]
        call.repo.follow()
    change_item(call, pull, data)
    return Answer(200, merge_json(call, pull))


@ROUTES.add(f"PUT {MERGE}/merge", "contents:write")
def merge(call: Call) -> Answer:
    data, pull = fields(call), asked_merge(call)
    if pull.state == "closed" or is_draft(pull):
        raise refuse(405, "405 Method Not Allowed")
    if data.get("sha", pull.head_sha) != pull.head_sha:
        raise refuse(409, "SHA does not match HEAD of source branch: " + pull.head_sha)
    try:
        call.repo.merge(pull.number, call.user, method="squash" if data.get("squash") else "merge")
    except GitError:
        raise refuse(422, "Branch cannot be merged") from None
    return Answer(200, merge_json(call, pull))


@ROUTES.add(f"GET {MERGE}/commits")
def list_commits(call: Call) -> Answer:
    return paged(call, asked_merge(call).commits[::-1], commit_json)


@ROUTES.add(f"GET {MERGE}/diffs")
def list_diffs(call: Call) -> Answer:
    return paged(call, list(asked_merge(call).files), diff_json)
