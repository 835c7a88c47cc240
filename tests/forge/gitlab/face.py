"""GitLab's face: who asks, whether they may, and which handler answers."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote

from forge.gitlab import issues, merges, notes, projects
from forge.gitlab.asked import asked_project, refuse
from forge.http import Answer, Call, Refusal, Router

_ROUTES = Router()
for _module in (projects, merges, notes, issues):
    _ROUTES.include(_module.ROUTES)


class GitLab:
    """The REST API below /api/v4."""

    name = "gitlab"
    prefix = "/api/v4"
    free: tuple[str, ...] = ()

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
        if _ROUTES.find(call.method, call.path) is None:
            yield f"{call.method} {call.path}: the forge does not have it (GitLab)"

    def _answer(self, call: Call) -> Answer:
        found = _ROUTES.find(call.method, call.path)
        if found is None:
            raise refuse(404, "404 Not Found")
        route, params = found
        call.params = {name: unquote(value) for name, value in params.items()}
        scheme, _, bearer = call.headers.get("authorization", "").partition(" ")
        token = call.headers.get("private-token") or (bearer if scheme.lower() == "bearer" else "")
        call.access = call.world.access(token)
        if call.access is None:
            raise refuse(401, "401 Unauthorized")
        if "id" in call.params:
            call.found = asked_project(call)
            if route.needs and not call.access.may(call.found, *route.needs):
                raise refuse(403, "403 Forbidden")
        if not call.is_readable:
            raise refuse(400, "400 Bad request")
        return route.handler(call)
