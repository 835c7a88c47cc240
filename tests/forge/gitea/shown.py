"""What the forge knows in the shape of Gitea's answers."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from forge.git import ChangedFile, Commit
from forge.http import Answer, Call
from forge.people import Role, User
from forge.state import Comment, Issue, Label, Pull, Repository, Review, ReviewComment, Status

_DRAFT = re.compile(r"(WIP:|\[WIP\])", re.IGNORECASE)


def paged(call: Call, found: list[Any], show: Any) -> Answer:
    answer = call.page(found, lambda one: show(call, one), size="limit", usual=30, most=50)
    return replace(answer, headers={**answer.headers, "x-total-count": str(len(found))})


def moment(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def is_draft(pull: Pull) -> bool:
    """Gitea knows a draft by its title."""
    return pull.draft or _DRAFT.match(pull.title) is not None


def user_json(call: Call, user: User) -> dict[str, Any]:
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


def repository_json(call: Call, repo: Repository) -> dict[str, Any]:
    role = repo.role(call.user)
    return {
        "id": repo.id,
        "name": repo.name,
        "full_name": repo.full_name,
        "owner": user_json(call, repo.owner),
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


def label_json(call: Call, label: Label) -> dict[str, Any]:
    return {
        "id": label.id,
        "name": label.name,
        "color": label.color,
        "description": label.description or "",
        "exclusive": False,
        "is_archived": False,
        "url": f"{call.root}/repos/{call.repo.full_name}/labels/{label.id}",
    }


def branch_json(call: Call, name: str) -> dict[str, Any]:
    commit = call.repo.git.commit(call.repo.head(name) or "")
    shown = {
        "id": commit.sha,
        "message": commit.message,
        "author": {"name": commit.author.name, "email": commit.author.email},
        "timestamp": moment(commit.committer.when),
    }
    return {"name": name, "commit": shown, "protected": False, "user_can_push": True, "user_can_merge": True}


def commit_json(call: Call, commit: Commit) -> dict[str, Any]:
    def person(name: str, email: str, when: float) -> dict[str, Any]:
        return {"name": name, "email": email, "date": moment(when)}

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


def status_json(call: Call, status: Status) -> dict[str, Any]:
    return {
        "id": status.id,
        "status": status.state,
        "context": status.context,
        "description": status.description,
        "target_url": status.target_url,
        "creator": user_json(call, status.creator),
        "created_at": moment(status.created),
        "updated_at": moment(status.created),
        "url": f"{call.root}/repos/{call.repo.full_name}/statuses/{status.sha}",
    }


def _shared(call: Call, item: Issue, kind: str) -> dict[str, Any]:
    assignees = [user_json(call, user) for user in item.assignees.values()]
    return {
        "id": item.id,
        "number": item.number,
        "url": f"{call.root}/repos/{call.repo.full_name}/{kind}/{item.number}",
        "html_url": f"{call.world.url}/{call.repo.full_name}/{kind}/{item.number}",
        "title": item.title,
        "body": item.body,
        "state": item.state,
        "user": user_json(call, item.author),
        "labels": [label_json(call, label) for label in item.labels.values()],
        "milestone": None,
        "assignee": assignees[0] if assignees else None,
        "assignees": assignees or None,
        "is_locked": False,
        "comments": len(item.comments),
        "created_at": moment(item.created),
        "updated_at": moment(item.updated),
        "closed_at": moment(item.closed),
    }


def issue_json(call: Call, item: Issue) -> dict[str, Any]:
    kind = "pulls" if item.is_pull else "issues"
    pull = {"merged": item.merged, "merged_at": moment(item.merged_at)} if isinstance(item, Pull) else None
    where = {"id": call.repo.id, "name": call.repo.name, "owner": call.repo.owner.login}
    return {
        **_shared(call, item, kind),
        "pull_request": pull,
        "repository": {**where, "full_name": call.repo.full_name},
    }


def pull_json(call: Call, pull: Pull) -> dict[str, Any]:
    def end(repo: Repository, branch: str, sha: str) -> dict[str, Any]:
        shown = repository_json(call, repo)
        return {"label": branch, "ref": branch, "sha": sha, "repo_id": repo.id, "repo": shown}

    page = f"{call.world.url}/{call.repo.full_name}/pulls/{pull.number}"
    return {
        **_shared(call, pull, "pulls"),
        "draft": is_draft(pull),
        "mergeable": bool(pull.mergeable()),
        "merged": pull.merged,
        "merged_at": moment(pull.merged_at),
        "merged_by": user_json(call, pull.merged_by) if pull.merged_by else None,
        "merge_commit_sha": pull.merge_sha,
        "merge_base": pull.fork_point,
        "head": end(pull.source, pull.head, pull.head_sha),
        "base": end(call.repo, pull.base, pull.base_sha),
        "diff_url": f"{page}.diff",
        "patch_url": f"{page}.patch",
        "requested_reviewers": [user_json(call, user) for user in pull.requested_reviewers.values()],
        "allow_maintainer_edit": False,
        "changed_files": len(pull.files),
        "additions": sum(file.additions for file in pull.files),
        "deletions": sum(file.deletions for file in pull.files),
    }


def file_json(call: Call, file: ChangedFile) -> dict[str, Any]:
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


def comment_json(call: Call, comment: Comment | ReviewComment) -> dict[str, Any]:
    item = comment.pull if isinstance(comment, ReviewComment) else comment.item
    kind = "pulls" if item.is_pull else "issues"
    page = f"{call.world.url}/{call.repo.full_name}/{kind}/{item.number}"
    return {
        "id": comment.id,
        "body": comment.body,
        "user": user_json(call, comment.author),
        "html_url": f"{page}#issuecomment-{comment.id}",
        "issue_url": "" if item.is_pull else page,
        "pull_request_url": page if item.is_pull else "",
        "created_at": moment(comment.created),
        "updated_at": moment(comment.updated),
    }


def review_json(call: Call, pull: Pull, review: Review) -> dict[str, Any]:
    page = f"{call.world.url}/{call.repo.full_name}/pulls/{pull.number}"
    return {
        "id": review.id,
        "user": user_json(call, review.author),
        "team": None,
        "state": review.state,
        "body": review.body,
        "commit_id": review.commit_id,
        "stale": review.commit_id != pull.head_sha,
        "official": False,
        "dismissed": False,
        "comments_count": sum(comment.review == review.id for comment in pull.review_comments),
        "submitted_at": moment(review.submitted),
        "html_url": f"{page}#issuecomment-{review.id}",
        "pull_request_url": page,
    }


def line_comment_json(call: Call, comment: ReviewComment) -> dict[str, Any]:
    """`position` is the line as it was when it was commented on, whatever happened to it since."""
    return {
        **comment_json(call, comment),
        "resolver": None,
        "pull_request_review_id": comment.review,
        "path": comment.path,
        "commit_id": comment.commit_id,
        "original_commit_id": comment.commit_id,
        "diff_hunk": comment.diff_hunk,
        "position": comment.original_line if comment.side == "RIGHT" else 0,
        "original_position": comment.original_line if comment.side == "LEFT" else 0,
    }
