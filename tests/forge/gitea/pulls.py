"""Pull requests and their reviews. What they show is asked of git at the time of the request."""

from __future__ import annotations

from typing import Any

from forge.git import GitError
from forge.gitea.asked import HIDDEN, PULL, PULLS, asked_pull, assign, check_title, edit_item, known_user, refuse
from forge.gitea.shown import commit_json, file_json, is_draft, line_comment_json, paged, pull_json, review_json
from forge.http import Answer, Call, Router
from forge.people import Role
from forge.state import Pull, Review, ReviewComment

ROUTES = Router()
_EVENTS = {"APPROVED": "APPROVED", "REQUEST_CHANGES": "REQUEST_CHANGES", "COMMENT": "COMMENT", "PENDING": "PENDING"}


@ROUTES.add(f"GET {PULLS}")
def list_pulls(call: Call) -> Answer:
    state, by_change = call.query.get("state", "open"), call.query.get("sort") == "recentupdate"
    found = [pull for pull in call.repo.pulls.values() if state in (pull.state, "all")]
    found.sort(key=lambda pull: (pull.updated if by_change else 0, pull.number), reverse=True)
    return paged(call, found, pull_json)


@ROUTES.add(f"POST {PULLS}", "pull_requests:write")
def create_pull(call: Call) -> Answer:
    """As on Gitea, a branch without commits of its own is none too many."""
    data, repo = call.data, call.repo
    if not data.get("title"):
        raise refuse(422, "[Title]: Required")
    check_title(data)
    owner, _, head = (data.get("head") or "").rpartition(":")
    source, base = repo.source(owner), data.get("base") or ""
    if source is None or source.head(head) is None or repo.head(base) is None:
        raise refuse(404, HIDDEN)
    if known := repo.opened(head, base, source):
        raise refuse(
            409,
            f"pull request already exists for these targets [id: {known.id}, issue_id: {known.id}, head_repo_id: "
            f"{source.id}, base_repo_id: {repo.id}, head_branch: {head}, base_branch: {base}]",
        )
    pull = repo.open_pull(
        head, base=base, title=data["title"], body=data.get("body") or "", by=call.user, source=source
    )
    assign(call, pull, data)
    return Answer(201, pull_json(call, pull))


@ROUTES.add("GET " + PULL + ".diff")
def get_diff(call: Call) -> Answer:
    pull = asked_pull(call)
    return Answer(200, call.repo.git.diff(pull.fork_point, pull.head_sha).encode(errors="surrogateescape"))


@ROUTES.add(f"GET {PULL}")
def get_pull(call: Call) -> Answer:
    return Answer(200, pull_json(call, asked_pull(call)))


@ROUTES.add(f"PATCH {PULL}", "pull_requests:write")
def update_pull(call: Call) -> Answer:
    pull = asked_pull(call)
    edit_item(call, pull)
    if call.data.get("base"):
        pull.base = call.data["base"]
        call.repo.follow()
    return Answer(201, pull_json(call, pull))


@ROUTES.add(f"GET {PULL}/files")
def list_files(call: Call) -> Answer:
    return paged(call, list(asked_pull(call).files), file_json)


@ROUTES.add(f"GET {PULL}/commits")
def list_commits(call: Call) -> Answer:
    return paged(call, asked_pull(call).commits[::-1], commit_json)


@ROUTES.add(f"GET {PULL}/merge")
def is_merged(call: Call) -> Answer:
    if not asked_pull(call).merged:
        raise refuse(404, HIDDEN)
    return Answer(204)


@ROUTES.add(f"POST {PULL}/merge", "contents:write")
def merge_pull(call: Call) -> Answer:
    pull = asked_pull(call)
    if pull.state == "closed" or is_draft(pull):
        raise refuse(405, "The PR is not mergeable")
    if call.data.get("head_commit_id", pull.head_sha) != pull.head_sha:
        raise refuse(409, "head out of date")
    try:
        call.repo.merge(pull.number, call.user, method=call.data.get("Do") or "merge")
    except GitError:
        raise refuse(409, "merge conflict") from None
    return Answer(200)


@ROUTES.add(f"POST {PULL}/requested_reviewers", "contents:write")
def request_reviewers(call: Call) -> Answer:
    pull = asked_pull(call)
    users = [known_user(call, login) for login in call.data.get("reviewers") or []]
    teams = call.data.get("team_reviewers") or []
    if call.repo.owner.kind != "Organization" and teams:
        raise refuse(422, "Only an organization's repository has teams")
    if set(teams) - call.world.teams:
        raise refuse(404, HIDDEN)
    if pull.author in users or any(call.repo.role(user) < Role.READ for user in users):
        raise refuse(422, "Reviewer can't be requested")
    pull.requested_reviewers |= {user.login: user for user in users}
    pull.requested_teams |= dict.fromkeys(teams, "")
    shown = [review_json(call, pull, Review(0, user, "", "REQUEST_REVIEW", pull.head_sha, None)) for user in users]
    return Answer(201, shown)


@ROUTES.add(f"GET {PULL}/reviews")
def list_reviews(call: Call) -> Answer:
    pull = asked_pull(call)
    return paged(call, pull.reviews, lambda call, review: review_json(call, pull, review))


@ROUTES.add(f"POST {PULL}/reviews", "pull_requests:write")
def create_review(call: Call) -> Answer:
    """Gitea takes a line that the diff does not show, and shows no code above the comment."""
    data, pull = call.data, asked_pull(call)
    state = _EVENTS.get(data.get("event") or "PENDING")
    if state is None:
        raise refuse(422, "review type is unknown")
    if state in ("APPROVED", "REQUEST_CHANGES") and pull.author is call.user:
        raise refuse(
            422,
            "approve your own pull is not allowed" if state == "APPROVED" else "reject your own pull is not allowed",
        )
    comments: list[dict[str, Any]] = data.get("comments") or []
    if state == "COMMENT" and not (data.get("body") or comments):
        raise refuse(422, "body is required")
    commit = data.get("commit_id") or pull.head_sha
    review = Review(call.world.number(), call.user, data.get("body") or "", state, commit, call.world.time())
    pull.reviews.append(review)
    pull.review_comments += [_line_comment(call, pull, review, comment) for comment in comments]
    return Answer(200, review_json(call, pull, review))


@ROUTES.add(f"DELETE {PULL}/reviews/{{review_id}}", "pull_requests:write")
def delete_review(call: Call) -> Answer:
    """With its comments on lines."""
    pull, wanted = asked_pull(call), call.number("review_id")
    pull.reviews[:] = [review for review in pull.reviews if review.id != wanted]
    pull.review_comments[:] = [comment for comment in pull.review_comments if comment.review != wanted]
    return Answer(204)


@ROUTES.add(f"GET {PULL}/reviews/{{review_id}}/comments")
def list_review_comments(call: Call) -> Answer:
    pull, wanted = asked_pull(call), call.number("review_id")
    if wanted not in [review.id for review in pull.reviews]:
        raise refuse(404, HIDDEN)
    return Answer(200, [line_comment_json(call, one) for one in pull.review_comments if one.review == wanted])


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
