"""What a request to Gitea names, and its refusals as Gitea words them."""

from __future__ import annotations

from typing import Any

from forge.http import Call, Refusal
from forge.people import Role, User
from forge.state import Issue, Pull

REPO = "/repos/{owner}/{repo}"
PULLS = f"{REPO}/pulls"
PULL = f"{PULLS}/{{index}}"
ISSUES = f"{REPO}/issues"
ISSUE = f"{ISSUES}/{{index}}"
COMMENT = f"{ISSUES}/comments/{{comment_id}}"
_TITLE_LIMIT = 255
HIDDEN = "The target couldn't be found."


def refuse(status: int, message: str) -> Refusal:
    errors = {"errors": None} if message is HIDDEN else {}
    return Refusal(status, {**errors, "message": message, "url": "https://gitea.example.com/api/swagger"})


def known_user(call: Call, login: str) -> User:
    user = call.world.users.get(login.lower())
    if user is None:
        raise refuse(404, f"user does not exist [uid: 0, name: {login}]")
    return user


def asked_item(call: Call) -> Issue:
    item = call.repo.items.get(call.number("index"))
    if item is None:
        raise refuse(404, HIDDEN)
    return item


def asked_pull(call: Call) -> Pull:
    item = asked_item(call)
    if not isinstance(item, Pull):
        raise refuse(404, HIDDEN)
    return item


def check_title(data: dict[str, Any]) -> None:
    if len(data.get("title") or "") > _TITLE_LIMIT:
        raise refuse(422, f"[Title]: MaxSize {_TITLE_LIMIT}")


def edit_item(call: Call, item: Issue) -> None:
    data = call.data
    if item.author is not call.user and call.repo.role(call.user) < Role.WRITE:
        raise refuse(403, "must be poster or have write access")
    check_title(data)
    item.title = data.get("title") or item.title
    if data.get("body") is not None:
        item.body = data["body"]
    if "assignees" in data:
        item.assignees = {}
    assign(call, item, data)
    if data.get("state") == "closed" and item.state == "open":
        call.repo.close(item.number, call.user)
    elif data.get("state") == "open" and item.state == "closed":
        if isinstance(item, Pull) and item.merged:
            raise refuse(412, "cannot change state of this pull request, it was already merged")
        call.repo.reopen(item.number)
    item.updated = call.world.time()


def assign(call: Call, item: Issue, data: dict[str, Any]) -> None:
    for login in data.get("assignees") or []:
        user = known_user(call, login)
        if call.repo.role(user) < Role.READ:
            raise refuse(422, f"Assignee does not exist: [name: {login}]")
        item.assignees[user.login] = user
