"""Speaks ASGI with the application in this process: its lifespan, and one request at a time or many.

The protocol: https://asgi.readthedocs.io/en/latest/specs/main.html
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import unquote, urlencode

#: What an earlier request was answered, in a later one: `{login.body.token}`, `{login.cookies}`.
_REFERENCE = re.compile(r"\{(\w+)\.(body|cookies)((?:\.[\w-]+)*)\}")

#: What a body is of which nothing is said but that a route reads it.
RAW_BODY = "application/octet-stream"


@dataclass(frozen=True)
class Request:
    """What a client sends: `path` percent-encoded, `body` as JSON unless it is text, which is sent as it is.

    With the method WEBSOCKET it opens a connection, sends the messages that `body` lists, and stays. Later requests may
    refer to what it is answered, by its `name`.
    """

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    name: str = ""

    def filled(self, answers: Mapping[str, Response]) -> Request:
        """The request with what earlier ones were answered in the places of their names."""
        parts = {part: _filled(getattr(self, part), answers) for part in ("path", "query", "headers", "body")}
        return replace(self, **parts) if answers else self

    @property
    def title(self) -> str:
        """The first line of the request, for people."""
        return f"{self.method} {self.path}" + (f"?{urlencode(self.query, doseq=True)}" if self.query else "")


@dataclass(frozen=True)
class Response:
    """What came back: `body` is parsed where it is JSON, text otherwise. Status 500 where the application raised."""

    status: int
    body: Any
    error: str = ""
    cookies: dict[str, str] = field(default_factory=dict)


def _filled(value: Any, answers: Mapping[str, Response]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(inside, answers) for name, inside in value.items()}
    if isinstance(value, list):
        return [_filled(inside, answers) for inside in value]
    if not isinstance(value, str):
        return value
    whole = _REFERENCE.fullmatch(value)
    if whole is not None:
        return _referred(whole, answers)
    return _REFERENCE.sub(lambda found: str(_referred(found, answers)), value)


def _referred(found: re.Match[str], answers: Mapping[str, Response]) -> Any:
    """What a reference stands for; its own text where there is no such thing."""
    name, part, path = found.groups()
    if name not in answers:
        return found[0]
    value: Any = getattr(answers[name], part)
    for step in path.split(".")[1:]:
        inside = value if isinstance(value, dict) else dict(enumerate(value)) if isinstance(value, list) else {}
        value = inside.get(int(step) if isinstance(value, list) and step.isdigit() else step, found[0])
    return cookie_header(value) if part == "cookies" and isinstance(value, dict) else value


def cookie_header(cookies: Mapping[str, str]) -> str:
    """Cookies as a client sends them back."""
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


def scope_of(request: Request, app: Any) -> dict[str, Any]:
    """The ASGI scope of a request, as a server on localhost would make it."""
    headers = {"host": "testserver", **{name.lower(): value for name, value in request.headers.items()}}
    if request.body is not None:
        headers.setdefault("content-type", "application/json")
        headers["content-length"] = str(len(payload(request)))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method.upper(),
        "scheme": "http",
        "path": unquote(request.path),
        "raw_path": request.path.encode(),
        "query_string": urlencode(request.query, doseq=True).encode(),
        "root_path": "",
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
        "client": ("127.0.0.1", 50000),
        "server": ("testserver", 80),
        "app": app,
    }


def payload(request: Request) -> bytes:
    """The bytes of a request's body."""
    if request.body is None:
        return b""
    return request.body.encode() if isinstance(request.body, str) else json.dumps(request.body).encode()


async def send(app: Any, request: Request, state: dict[str, Any], at_answer: Callable[[], object] = bool) -> Response:
    """Send one request and wait until the application has done with it, background tasks included.

    `state` is what the lifespan left for requests; `at_answer` is called when the client has the whole answer. An
    exception that the application does not handle is the status 500, as with a server; its text is in `error`.
    """
    parts: list[bytes] = []
    status = 500
    cookies: dict[str, str] = {}
    messages = [{"type": "http.request", "body": payload(request), "more_body": False}]

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop()
        await asyncio.get_running_loop().create_future()  # a client that stays connected
        raise AssertionError

    async def take(message: dict[str, Any]) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            cookies.update(_cookies_in(message.get("headers", ())))
        elif message["type"] == "http.response.body":
            parts.append(bytes(message.get("body", b"")))
            if not message.get("more_body"):
                at_answer()

    error = ""
    try:
        await app({**scope_of(request, app), "state": dict(state)}, receive, take)
    except Exception as raised:
        error = f"{type(raised).__name__}: {raised}"
        status = 500 if not parts else status
    return Response(status, _read(b"".join(parts)), error, cookies)


def _cookies_in(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Cookies as they were set, their values as they are written."""
    found: dict[str, str] = {}
    for name, value in headers:
        if name.lower() == b"set-cookie":
            found.update((one.key, one.coded_value) for one in SimpleCookie(value.decode("latin-1")).values())
    return found


async def converse(
    app: Any,
    request: Request,
    state: dict[str, Any],
    pause: Callable[[str], Awaitable[None]],
    at_rest: Callable[[Response], None],
) -> Response:
    """Open a WebSocket and send its messages. Returns when the application closes it; else `at_rest` is called when it
    waits for more. `pause` is where others may go on: after what the application sends, before it hears a message.

    The status is 101 for a connection that was accepted, the body all that was received.
    """
    heard: list[Any] = []
    answer = Response(403, heard)
    messages = [{"type": "websocket.connect"}, *(_spoken(message) for message in request.body or ())]

    async def receive() -> dict[str, Any]:
        if messages:
            if messages[0]["type"] == "websocket.receive":
                await pause("before a message")
            return messages.pop(0)
        at_rest(answer)
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    async def take(message: dict[str, Any]) -> None:
        nonlocal answer
        if message["type"] == "websocket.accept":
            answer = Response(101, heard)
        elif message["type"] == "websocket.send":
            heard.append(_read(message["bytes"] if message.get("bytes") is not None else message["text"].encode()))
        elif message["type"] == "websocket.close" and answer.status == 101:
            heard.append({"closed": message.get("code", 1000)})
        await pause(f"after {message['type']}")

    scope = {**scope_of(replace(request, body=None), app), "type": "websocket", "scheme": "ws", "subprotocols": []}
    try:
        await app({**scope, "state": dict(state)}, receive, take)
    except Exception as raised:
        answer = Response(500, heard, f"{type(raised).__name__}: {raised}")
    return answer


def _spoken(message: Any) -> dict[str, Any]:
    return {"type": "websocket.receive", "text": message if isinstance(message, str) else json.dumps(message)}


def _read(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")


class Lifespan:
    """The start and the end of an application, `app`. `state` is what its lifespan yields."""

    def __init__(self, app: Any) -> None:
        self.state: dict[str, Any] = {}
        self.app = app
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Run the application's start-up.

        Raises RuntimeError with the application's message when it fails to start.
        """
        self._task = asyncio.create_task(self._run())
        await self._tell("startup")

    async def stop(self) -> None:
        """Run the application's shutdown."""
        if self._task is not None and not self._task.done():
            await self._tell("shutdown")
            await self._task

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": self.state, "app": self.app}
        try:
            await self.app(scope, self._inbox.get, self._heard.put)
        except Exception as raised:
            message = f"{type(raised).__name__}: {raised}"
            await self._heard.put({"type": "lifespan.unsupported", "message": message})

    async def _tell(self, what: str) -> None:
        await self._inbox.put({"type": f"lifespan.{what}"})
        heard = await self._heard.get()
        if heard["type"].endswith(".failed"):
            raise RuntimeError(f"the application's {what} failed: {heard.get('message', '')}")
        if heard["type"] == "lifespan.unsupported" and what == "startup" and heard.get("message"):
            raise RuntimeError(f"the application's startup failed: {heard['message']}")
