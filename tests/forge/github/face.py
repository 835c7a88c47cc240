"""GitHub's face: who asks, whether they may, which handler answers, and the headers that every answer has."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import unquote

from forge.description import description
from forge.github import apps, checks, git_data, issues, pulls, repositories, reviews
from forge.github.errors import not_found, refuse
from forge.http import Answer, Call, Refusal, Route, Router

_LIMIT = 5000
_SIGNED = "app"
"""What a route needs where an App shows its own signature instead of a token."""

_ROUTES = Router("ref", "path", "branch")
for _module in (apps, repositories, issues, reviews, pulls, git_data, checks):
    _ROUTES.include(_module.ROUTES)


class GitHub:
    """The REST API below /api/v3, as GitHub Enterprise Server has it."""

    name = "github"
    prefix = "/api/v3"
    free: tuple[str, ...] = ("/rate_limit",)

    def answer(self, call: Call) -> Answer:
        """Let the request take effect."""
        found = _ROUTES.find(call.method, call.path)
        try:
            if found is None:
                raise not_found()
            route, params = found
            call.params = {name: unquote(value) for name, value in params.items()}
            answer = self._permitted(call, route)
        except Refusal as refusal:
            answer = refusal.answer
        return self._headed(call, answer)

    def violations(self, call: Call, answer: Answer) -> Iterator[str]:
        """How the request or the answer breaks GitHub's description."""
        found = _ROUTES.find(call.method, call.path)
        if found is None:
            yield f"{call.method} {call.path}: the forge does not have it"
            return
        route, params = found
        call.params = {name: unquote(value) for name, value in params.items()}
        for error in description().request_errors(call, route):
            yield f"{call.method} {call.path}, request: {error}"
        for error in description().answer_errors(call, route, answer):
            yield f"{call.method} {call.path}, answer of {answer.status}: {error}"

    def limited(self, call: Call) -> Answer:
        """The answer while the bearer's primary rate limit is used up."""
        error = refuse(403, "API rate limit exceeded for user ID 1.")
        return self._headed(call, error.answer)

    def secondary_limit(self, status: int, retry_after: int | None) -> Answer:
        """The answer to who asks too much at once."""
        message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
        headers = {} if retry_after is None else {"retry-after": str(retry_after)}
        return replace(refuse(status, message).answer, headers=headers)

    def _permitted(self, call: Call, route: Route) -> Answer:
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        if route.needs and route.needs[0] == _SIGNED:
            return route.handler(call)
        call.access = call.world.access(token) if scheme.lower() in ("bearer", "token") else None
        if call.access is None:
            if scheme:
                raise refuse(401, "Bad credentials")
            raise refuse(401, "Requires authentication") if "owner" not in call.params else not_found()
        if "owner" in call.params:
            call.found = call.world.repository(call.params["owner"], call.params["repo"])
            if call.found is None or not call.access.sees(call.found):
                raise not_found()
            call.found.follow()
            if "/git/" in route.template and not call.found.git.refs():
                raise refuse(409, "Git Repository is empty.")
            if route.needs and not _may(call, *route.needs):
                who = "integration" if call.access.installation else "personal access token"
                raise refuse(403, f"Resource not accessible by {who}")
        if not call.is_readable:
            raise refuse(400, "Problems parsing JSON")
        return route.handler(call)

    def _headed(self, call: Call, answer: Answer) -> Answer:
        world = call.world
        reset = world.limited_until or world.time() + 3600
        remaining = 0 if world.limited_until else max(_LIMIT - world.spent, 0)
        headers = {
            **answer.headers,
            "x-github-request-id": f"{world.number():X}",
            "x-ratelimit-limit": str(_LIMIT),
            "x-ratelimit-remaining": str(remaining),
            "x-ratelimit-used": str(_LIMIT - remaining),
            "x-ratelimit-reset": str(math.ceil(reset)),
            "x-ratelimit-resource": "core",
        }
        if call.method == "GET" and answer.status == 200:
            etag = f'"{hashlib.sha256(answer.content).hexdigest()}"'
            headers["etag"] = etag
            if call.headers.get("if-none-match") in (etag, f"W/{etag}"):
                return Answer(304, None, headers)
        return replace(answer, headers=headers)


def _may(call: Call, what: str, level: str) -> bool:
    """Whether the bearer may; what a pull request has as an issue is also allowed to Apps that write pull requests."""
    kinds = [what]
    if what in ("issues", "triage") and call.bearer.installation:
        number = call.params.get("issue_number", "")
        item = call.repo.items.get(int(number)) if number.isdecimal() else None
        if "comment_id" in call.params or (item and item.is_pull):
            kinds.append("pull_requests")
    return any(call.bearer.may(call.repo, kind, level) for kind in kinds)
