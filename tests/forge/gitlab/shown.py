"""What the forge knows in the shape of GitLab's answers."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from forge.git import ChangedFile
from forge.http import Answer, Call
from forge.people import Role, User
from forge.state import Comment, Issue, Label, Pull, ReviewComment, Status

LEVELS = {Role.READ: 10, Role.TRIAGE: 20, Role.WRITE: 30, Role.MAINTAIN: 40, Role.ADMIN: 50}
UNFINISHED = ("pending", "running")
_DRAFT = re.compile(r"\s*(\[draft\]|draft:|\(draft\))\s*", re.IGNORECASE)


def iid_of(item: Issue) -> int:
    """Merge requests and issues are counted apart."""
    repo = item.repository
    kind = list(repo.pulls) if item.is_pull else list(repo.issues)
    return kind.index(item.number) + 1


def paged(call: Call, found: list[Any], show: Any) -> Answer:
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


def moment(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def state_of(item: Issue) -> str:
    if isinstance(item, Pull) and item.merged:
        return "merged"
    return "opened" if item.state == "open" else "closed"


def is_draft(pull: Pull) -> bool:
    """GitLab knows a draft by its title."""
    return pull.draft or _DRAFT.match(pull.title) is not None


def user_json(call: Call, user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "username": user.login,
        "name": user.login,
        "state": "active",
        "locked": False,
        "avatar_url": None,
        "web_url": f"{call.world.url}/{user.login}",
    }


def member_json(call: Call, user: User) -> dict[str, Any]:
    level = LEVELS[call.repo.role(user)]
    return {**user_json(call, user), "access_level": level, "expires_at": None, "membership_state": "active"}


def label_json(_: Call, label: Label) -> dict[str, Any]:
    return {"id": label.id, "name": label.name, "color": f"#{label.color}", "description": label.description}


def branch_json(call: Call, name: str) -> dict[str, Any]:
    sha = call.repo.head(name) or ""
    is_default = name == call.repo.default_branch
    return {
        "name": name,
        "commit": commit_json(call, call.repo.git.commit(sha)),
        "merged": False,
        "protected": is_default,
        "default": is_default,
        "web_url": f"{call.world.url}/{call.repo.full_name}/-/tree/{name}",
    }


def commit_json(call: Call, commit: Any) -> dict[str, Any]:
    return {
        "id": commit.sha,
        "short_id": commit.sha[:8],
        "title": commit.message.partition("\n")[0],
        "message": commit.message,
        "author_name": commit.author.name,
        "author_email": commit.author.email,
        "authored_date": moment(commit.author.when),
        "committer_name": commit.committer.name,
        "committer_email": commit.committer.email,
        "committed_date": moment(commit.committer.when),
        "created_at": moment(commit.committer.when),
        "parent_ids": list(commit.parents),
        "web_url": f"{call.world.url}/{call.repo.full_name}/-/commit/{commit.sha}",
    }


def status_json(call: Call, status: Status) -> dict[str, Any]:
    done = None if status.state in UNFINISHED else moment(status.created)
    return {
        "id": status.id,
        "sha": status.sha,
        "ref": None,
        "status": status.state,
        "name": status.context,
        "target_url": status.target_url,
        "description": status.description,
        "created_at": moment(status.created),
        "started_at": None,
        "finished_at": done,
        "allow_failure": False,
        "coverage": None,
        "author": user_json(call, status.creator),
    }


def _shared(call: Call, item: Issue, kind: str) -> dict[str, Any]:
    assignees = [user_json(call, user) for user in item.assignees.values()]
    iid = iid_of(item)
    return {
        "id": item.id,
        "iid": iid,
        "project_id": call.repo.id,
        "title": item.title,
        "description": item.body,
        "state": state_of(item),
        "created_at": moment(item.created),
        "updated_at": moment(item.updated),
        "closed_at": moment(item.closed) if state_of(item) == "closed" else None,
        "closed_by": user_json(call, item.closed_by) if item.closed_by and state_of(item) == "closed" else None,
        "labels": sorted(item.labels),
        "milestone": None,
        "assignees": assignees,
        "assignee": assignees[0] if assignees else None,
        "author": user_json(call, item.author),
        "user_notes_count": len(item.comments),
        "discussion_locked": None,
        "web_url": f"{call.world.url}/{call.repo.full_name}/-/{kind}/{iid}",
    }


def issue_json(call: Call, issue: Issue) -> dict[str, Any]:
    return {**_shared(call, issue, "issues"), "type": "ISSUE", "issue_type": "issue", "confidential": False}


def merge_simple_json(call: Call, pull: Pull) -> dict[str, Any]:
    mergeable = pull.mergeable()
    words = {None: ("unchecked", "checking"), True: ("can_be_merged", "mergeable")}
    status, detailed = words.get(mergeable, ("cannot_be_merged", "conflict"))
    iid = iid_of(pull)
    return {
        **_shared(call, pull, "merge_requests"),
        "source_branch": pull.head,
        "target_branch": pull.base,
        "source_project_id": pull.source.id,
        "target_project_id": call.repo.id,
        "sha": pull.head_sha,
        "draft": is_draft(pull),
        "work_in_progress": is_draft(pull),
        "merge_status": status,
        "detailed_merge_status": detailed,
        "merged_at": moment(pull.merged_at),
        "merged_by": user_json(call, pull.merged_by) if pull.merged_by else None,
        "merge_user": user_json(call, pull.merged_by) if pull.merged_by else None,
        "merge_commit_sha": pull.merge_sha,
        "squash_commit_sha": None,
        "reviewers": [user_json(call, user) for user in pull.requested_reviewers.values()],
        "reference": f"!{iid}",
        "references": {"short": f"!{iid}", "relative": f"!{iid}", "full": f"{call.repo.full_name}!{iid}"},
        "has_conflicts": mergeable is False,
    }


def merge_json(call: Call, pull: Pull) -> dict[str, Any]:
    base = pull.fork_point
    return {
        **merge_simple_json(call, pull),
        "changes_count": str(len(pull.files)),
        "diff_refs": {"base_sha": base, "head_sha": pull.head_sha, "start_sha": pull.base_sha},
        "merge_error": None,
    }


def diff_json(_: Call, file: ChangedFile) -> dict[str, Any]:
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


def note_json(call: Call, comment: Comment) -> dict[str, Any]:
    return {
        "id": comment.id,
        "type": None,
        "body": comment.body,
        "author": user_json(call, comment.author),
        "created_at": moment(comment.created),
        "updated_at": moment(comment.updated),
        "system": False,
        "noteable_id": comment.item.id,
        "noteable_iid": iid_of(comment.item),
        "noteable_type": "MergeRequest" if comment.item.is_pull else "Issue",
        "resolvable": False,
        "internal": False,
    }


def system_note_json(call: Call, item: Issue, assignee: User) -> dict[str, Any]:
    note = Comment(item.id, item, item.author, f"assigned to @{assignee.login}", item.created, item.created)
    return {**note_json(call, note), "system": True}


def line_note_json(call: Call, comment: ReviewComment) -> dict[str, Any]:
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
    return {**note_json(call, note), "type": "DiffNote", "position": position, "resolvable": True, "resolved": False}


def discussion_json(call: Call, first: Comment | ReviewComment) -> dict[str, Any]:
    on_line = isinstance(first, ReviewComment)
    note = line_note_json(call, first) if isinstance(first, ReviewComment) else note_json(call, first)
    return {"id": f"{first.id:040x}", "individual_note": not on_line, "notes": [note]}
