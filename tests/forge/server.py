"""The server: reads a request, lets faults have their way, lets a face answer, and writes down what happened."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote

import uvicorn
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from forge import git_http
from forge.faults import Fault, Kind
from forge.http import Answer, Call
from forge.state import World


class Face(Protocol):
    """One forge's API on the state that all share."""

    name: str
    prefix: str
    free: tuple[str, ...]
    """The paths that no limit is for."""

    def answer(self, call: Call) -> Answer:
        """Let the request take effect."""

    def limited(self, call: Call) -> Answer:
        """The answer while the primary rate limit is used up."""

    def violations(self, call: Call, answer: Answer) -> Iterator[str]:
        """How the request or its answer breaks the face's description."""


@dataclass
class Exchange:
    """A request that the forge saw and what it answered; a status of None is no answer at all."""

    face: str
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    status: int | None = None
    answer: Any = field(default=None, repr=False)
    fault: Fault | None = None

    @property
    def json(self) -> Any:
        """What the request's body says."""
        return json.loads(self.body) if self.body else None

    @property
    def is_write(self) -> bool:
        """Whether it means to change something; asking for a token does not."""
        if self.face == "git":
            return self.path.endswith("/git-receive-pack")
        return self.method not in ("GET", "HEAD") and not self.path.endswith("/access_tokens")


@dataclass(frozen=True)
class _Sent:
    """An answer and how much of it leaves the server: everything, a half, or nothing."""

    answer: Answer
    part: str = "all"
    delay: float = 0.0


class Server:
    """The ASGI application."""

    def __init__(self, world: World, faces: tuple[Face, ...]) -> None:
        self.exchanges: list[Exchange] = []
        self.violations: list[str] = []
        self.faults: list[Fault] = []
        self._world = world
        self._faces = faces
        self._lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        sent = await run_in_threadpool(self._handle, request, body)
        await asyncio.sleep(sent.delay)
        await _send(send, sent)

    def _handle(self, request: Request, body: bytes) -> _Sent:
        path = request.scope["raw_path"].decode()
        face = next((face for face in self._faces if path.startswith(f"{face.prefix}/")), None)
        below = path.removeprefix(face.prefix) if face else path
        exchange = Exchange(
            face=face.name if face else "git",
            method=request.method,
            path=unquote(below),
            query=dict(parse_qsl(request.url.query, keep_blank_values=True)),
            headers=dict(request.headers),
            body=body,
        )
        with self._lock:
            self.exchanges.append(exchange)
            fault = next((one for one in self.faults if one.takes(exchange.method, exchange.path)), None)
        exchange.fault = fault
        if fault is None:
            return self._keep(exchange, self._effect(face, below, request, exchange))
        return self._faulty(fault, face, below, request, exchange)

    def _faulty(self, fault: Fault, face: Face | None, below: str, request: Request, exchange: Exchange) -> _Sent:
        if fault.action and not fault.after:
            fault.action()
        takes_effect = fault.after or fault.kind in (Kind.CUT, Kind.SLOW, Kind.MEANWHILE)
        answer = self._effect(face, below, request, exchange) if takes_effect else Answer(500)
        if fault.action and fault.after:
            fault.action()
        if fault.kind is Kind.DROP:
            return _Sent(answer, "nothing")
        if fault.kind is Kind.CUT:
            return _Sent(answer, "half")
        if fault.kind is Kind.ANSWER:
            answer = Answer(fault.status, fault.body, fault.headers)
        return self._keep(exchange, answer, delay=fault.seconds)

    def _effect(self, face: Face | None, below: str, request: Request, exchange: Exchange) -> Answer:
        if face is None:
            answer = git_http.serve(
                self._world, exchange.method, exchange.path, request.url.query, exchange.headers, exchange.body
            )
            return answer or Answer(404, b"Not Found\n")
        root = f"{self._world.url}{face.prefix}"
        call = Call(self._world, root, exchange.method, below, exchange.query, exchange.headers, exchange.body)
        with self._world.lock:
            if below not in face.free:
                self._world.spent += 1
                if self._world.limited_until:
                    return face.limited(call)
            try:
                answer = face.answer(call)
            except Exception:
                self.violations.append(f"{call.method} {call.path}: the forge itself broke\n{traceback.format_exc()}")
                return Answer(500, {"message": "the forge of the tests broke"})
            self.violations += face.violations(call, answer)
        return answer

    def _keep(self, exchange: Exchange, answer: Answer, *, delay: float = 0.0) -> _Sent:
        exchange.status, exchange.answer = answer.status, answer.body
        return _Sent(answer, delay=delay)


async def _send(send: Send, sent: _Sent) -> None:
    content = sent.answer.content
    if sent.part != "nothing":
        is_text = isinstance(sent.answer.body, bytes)
        headers = {
            "content-type": "text/plain; charset=utf-8" if is_text else "application/json; charset=utf-8",
            **({} if sent.answer.status in (204, 304) else {"content-length": str(len(content))}),
            **sent.answer.headers,
        }
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": sent.answer.status, "headers": pairs})
        whole = sent.part == "all"
        half = content if whole else content[: len(content) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": not whole})
    if sent.part != "all":
        _connection(send).close()
        await asyncio.sleep(0.01)


def _connection(send: Send) -> asyncio.Transport:
    """The connection below an ASGI `send`: ASGI itself has no word for closing it without an answer."""
    transport: asyncio.Transport = send.__self__.transport  # type: ignore[attr-defined]
    return transport


@contextmanager
def running(world: World, application: Server) -> Iterator[None]:
    """Serve on a free port of the loopback, in a thread of its own."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=64)
    world.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    config = uvicorn.Config(
        application, http="h11", ws="none", lifespan="off", log_config=None, proxy_headers=False, loop="asyncio"
    )
    server = uvicorn.Server(config)
    threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True).start()
    try:
        yield
    finally:
        # It looks at this ten times a second, and then closes the socket; who waited would wait in every test.
        server.should_exit = True
