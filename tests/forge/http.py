"""What all faces of the forge share: a request that was read, an answer, and the way from a path to a handler."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

if TYPE_CHECKING:
    from forge.people import Access, User
    from forge.state import Repository, World


@dataclass(frozen=True)
class Answer:
    """What is sent: a body that is not bytes is sent as JSON."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        if self.body is None:
            return b""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class Refusal(Exception):
    """Ends a request with an answer that says why not."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        self.answer = Answer(status, body, headers or {})
        super().__init__(f"{status}: {body}")


@dataclass
class Call:
    """A request as it reaches a face; the path is the one below the face's root, as it was sent."""

    world: World
    root: str
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    params: dict[str, str] = field(default_factory=dict)
    access: Access | None = None
    found: Repository | None = None

    @property
    def repo(self) -> Repository:
        assert self.found is not None
        return self.found

    @property
    def bearer(self) -> Access:
        assert self.access is not None
        return self.access

    @property
    def user(self) -> User:
        return self.bearer.user

    @property
    def data(self) -> dict[str, Any]:
        """The JSON object in the body; without one an empty one."""
        return self.json if isinstance(self.json, dict) else {}

    @property
    def json(self) -> Any:
        """What the body says; nothing for no body."""
        return json.loads(self.body) if self.body else None

    @property
    def is_readable(self) -> bool:
        """Whether the body is JSON, or there is none."""
        try:
            json.loads(self.body or b"null")
        except ValueError:
            return False
        return True

    def number(self, name: str) -> int:
        """A whole number out of the path; what is none stands for something that does not exist."""
        return int(self.params[name]) if self.params[name].isdecimal() else -1

    def page(
        self,
        items: list[Any],
        show: Callable[[Any], Any],
        *,
        size: str = "per_page",
        usual: int = 30,
        most: int = 100,
    ) -> Answer:
        """One page of a list, with links to the others."""
        per = min(max(int(self.query.get(size, usual)), 1), most)
        page = max(int(self.query.get("page", 1)), 1)
        last = max(-(-len(items) // per), 1)
        targets = {"prev": page - 1, "next": page + 1, "last": last} if page < last else {"prev": page - 1, "first": 1}
        links = [
            f'<{self.root}{self.path}?{urlencode({**self.query, "page": number})}>; rel="{name}"'
            for name, number in targets.items()
            if 1 <= number <= last and number != page
        ]
        headers = {"link": ", ".join(links)} if links else {}
        return Answer(200, [show(item) for item in items[(page - 1) * per : page * per]], headers)


Handler = Callable[[Call], Answer]


@dataclass(frozen=True)
class Route:
    """A handler with what the bearer needs for it: (kind of thing, read or write)."""

    method: str
    template: str
    pattern: re.Pattern[str]
    handler: Handler
    needs: tuple[str, str] | None


class Router:
    """The routes of a face. The first that fits wins, so `{ref}`, which may hold slashes, comes after the others."""

    def __init__(self, *long: str) -> None:
        self._routes: list[Route] = []
        self._long = long

    def add(self, line: str, needs: str | None = None) -> Callable[[Handler], Handler]:
        """Decorates the handler of "METHOD /template"; `needs` is e.g. "issues:write"."""
        method, template = line.split(" ")
        kind, _, level = (needs or "").partition(":")

        def register(handler: Handler) -> Handler:
            pattern = re.compile(re.sub(r"\{(\w+)\}", self._part, template) + "$")
            self._routes.append(Route(method, template, pattern, handler, (kind, level) if needs else None))
            return handler

        return register

    def include(self, other: Router) -> None:
        self._routes += other._routes

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The route and what the names in its template stand for."""
        for route in self._routes:
            if route.method == method and (match := route.pattern.match(path)):
                return route, match.groupdict()
        return None

    def _part(self, match: re.Match[str]) -> str:
        return f"(?P<{match[1]}>{'.+' if match[1] in self._long else '[^/]+'})"
