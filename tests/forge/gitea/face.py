"""Gitea's and Forgejo's face: who asks, whether they may, and which handler answers."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote

from forge.gitea import issues, pulls, repositories
from forge.gitea.asked import HIDDEN, refuse
from forge.http import Answer, Call, Refusal, Router

_ROUTES = Router()
for _module in (repositories, pulls, issues):
    _ROUTES.include(_module.ROUTES)


class Gitea:
    """The REST API below /api/v1."""

    name = "gitea"
    prefix = "/api/v1"
    free: tuple[str, ...] = ()

    def answer(self, call: Call) -> Answer:
        """Let the request take effect."""
        try:
            return self._answer(call)
        except Refusal as refusal:
            return refusal.answer

    def limited(self, call: Call) -> Answer:
        """Gitea itself has no limit; what stands before it answers so."""
        until = call.world.limited_until or call.world.time()
        wait = max(int(until - call.world.time()) + 1, 1)
        return Answer(429, b"Too Many Requests\n", {"retry-after": str(wait)})

    def violations(self, call: Call, answer: Answer) -> Iterator[str]:
        """There is no description of Gitea's to hold it against: only what the forge does not have is told."""
        if _ROUTES.find(call.method, call.path) is None:
            yield f"{call.method} {call.path}: the forge does not have it (Gitea)"

    def _answer(self, call: Call) -> Answer:
        found = _ROUTES.find(call.method, call.path)
        if found is None:
            raise refuse(404, HIDDEN)
        route, params = found
        call.params = {name: unquote(value) for name, value in params.items()}
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        call.access = call.world.access(token) if scheme.lower() in ("token", "bearer") else None
        if call.access is None:
            raise refuse(401, "invalid username, password or token" if scheme else "token is required")
        if "owner" in call.params:
            call.found = call.world.repository(call.params["owner"], call.params["repo"])
            if call.found is None or not call.access.sees(call.found):
                raise refuse(404, HIDDEN)
            call.found.follow()
            if route.needs and not call.access.may(call.found, *route.needs):
                raise refuse(403, "user should have a permission to write to a repo")
        if not call.is_readable:
            raise refuse(422, "[]: invalid character")
        return route.handler(call)
