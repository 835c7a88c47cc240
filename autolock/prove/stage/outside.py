"""The world outside of the process: refused, or answered by a stub with a suspension point.

A proof must not send mail, charge cards or pay for tokens. HTTP clients get an answer that
clients of language models can read; other connections than to this machine are refused.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from typing import Any

_USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2, "input_tokens": 1, "output_tokens": 1}

#: Reads as an empty success, as a chat completion of OpenAI, and as a message of Anthropic.
ANSWER = {
    "id": "stub",
    "object": "chat.completion",
    "type": "message",
    "role": "assistant",
    "created": 0,
    "model": "stub",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "stub"}, "finish_reason": "stop"}],
    "content": [{"type": "text", "text": "stub"}],
    "stop_reason": "end_turn",
    "usage": _USAGE,
}


#: What the stubs were asked for in the current run, by method and address.
SENT: list[str] = []


class Refused(OSError):
    """The application wanted to leave the machine. The message names the address."""


def stub_clients(allowed: frozenset[str]) -> None:
    """Let the HTTP clients that the application has imported answer by themselves, except for the `allowed` hosts."""
    _stub_httpx(allowed)
    _stub_requests(allowed)


def _stub_httpx(allowed: frozenset[str]) -> None:
    httpx: Any = sys.modules.get("httpx")
    if httpx is None:
        return
    really_async, really = httpx.AsyncHTTPTransport.handle_async_request, httpx.HTTPTransport.handle_request

    async def handle_async_request(self: Any, request: Any) -> Any:
        if request.url.host in allowed:
            return await really_async(self, request)
        SENT.append(f"{request.method} {request.url}")
        await asyncio.sleep(0)
        return httpx.Response(200, json=ANSWER)

    def handle_request(self: Any, request: Any) -> Any:
        if request.url.host in allowed:
            return really(self, request)
        SENT.append(f"{request.method} {request.url}")
        return httpx.Response(200, json=ANSWER)

    httpx.AsyncHTTPTransport.handle_async_request = handle_async_request
    httpx.HTTPTransport.handle_request = handle_request


def _stub_requests(allowed: frozenset[str]) -> None:
    if "requests" not in sys.modules:
        return
    from requests import Response, adapters  # type: ignore[import-untyped, unused-ignore]

    really = adapters.HTTPAdapter.send

    def send(self: Any, request: Any, *args: Any, **options: Any) -> Any:
        if any(f"//{host}" in request.url for host in allowed):
            return really(self, request, *args, **options)
        SENT.append(f"{request.method} {request.url}")
        answer = Response()
        answer.status_code, answer.url, answer.request = 200, request.url, request
        answer._content = json.dumps(ANSWER).encode()
        return answer

    adapters.HTTPAdapter.send = send  # type: ignore[method-assign, unused-ignore]


def close_the_door(allowed: frozenset[str]) -> None:
    """Refuse connections to hosts other than this one and the `allowed`. Before the application is imported."""
    connect = socket.socket.connect

    def connect_inside(self: socket.socket, address: Any, /) -> None:
        _check(self.family, address, allowed)
        connect(self, address)

    socket.socket.connect = connect_inside  # type: ignore[method-assign, assignment]


def _check(family: int, address: Any, allowed: frozenset[str]) -> None:
    if family not in {socket.AF_INET, socket.AF_INET6}:
        return
    host = str(address[0])
    if host not in allowed and not host.startswith("127.") and host not in {"localhost", "::1"}:
        raise Refused(
            f"autolock keeps the application from connecting to {host}:{address[1]}; allow it in the scenario"
        )
