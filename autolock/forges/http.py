"""HTTP for the forges: what is tried again, for how long, and what an error says without saying the token.

Reads are tried again after dropped connections, 5xx and rate limits. What changes something is tried again only where
the forge says that it has done nothing (429, a secondary rate limit), or by a caller who has looked whether the first
try took effect.
"""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import urljoin

import httpx

from autolock import __version__
from autolock.forges.base import ForgeError

_T = TypeVar("_T")

_SAFE = frozenset({"GET", "HEAD"})
_BUSY = frozenset({500, 502, 503, 504})
_NEXT = re.compile(r'<([^>]*)>;\s*rel="next"')


class Client:
    """A session with one forge's interface.

    `patience` is how many seconds all waiting within one call may take together; a wait that would be longer ends the
    call at once, with what the forge said.
    """

    def __init__(
        self,
        base: str,
        headers: Mapping[str, str],
        *,
        patience: float = 120.0,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._base = base.rstrip("/")
        self._patience = patience
        self._sleep = sleep
        self._clock = clock
        self._client = httpx.Client(
            headers={"User-Agent": f"autolock/{__version__}", **headers},
            timeout=httpx.Timeout(30.0),
            follow_redirects=False,
            transport=transport,
        )

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def get(self, path: str, **query: object) -> Any:
        """The JSON of an answer. Raises ForgeError."""
        return _json(self.ask("GET", path, query=query))

    def pages(self, path: str, **query: object) -> Iterator[Any]:
        """The elements of a list, page by page."""
        answer = self.ask("GET", path, query={"per_page": 100, **query})
        while True:
            yield from _json(answer)
            following = _NEXT.search(answer.headers.get("link", ""))
            if following is None:
                return
            answer = self.ask("GET", self._below(following[1]))

    def send(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """The JSON of the answer to something that may be done twice without harm; None where there is none.

        Raises ForgeError.
        """
        answer = self.ask(method, path, body=body, again=True)
        return _json(answer) if answer.content else None

    def make(self, path: str, body: Mapping[str, object], look: Callable[[], _T | None]) -> Any | _T:
        """POST what must not be made twice: after a failure that leaves it open, `look` tells whether it is there.

        Returns the forge's answer, or what `look` found. Raises ForgeError.
        """
        for left in (True, True, False):
            try:
                return _json(self.ask("POST", path, body=body))
            except ForgeError as error:
                found = look() if error.taken or error.status == 0 or error.status in _BUSY else None
                if found is not None:
                    return found
                if error.taken or not left or not (error.status == 0 or error.status in _BUSY):
                    raise
                self._sleep(1.0)
        raise AssertionError("the last try returns or raises")

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
        again: bool = False,
    ) -> httpx.Response:
        """The forge's answer, after waits where it asked for them. Raises ForgeError for every refusal."""
        waited, tries = 0.0, 0
        again = again or method in _SAFE
        while True:
            tries += 1
            answer = self._once(method, path, query, body)
            if isinstance(answer, httpx.Response) and answer.is_success:
                return answer
            wait = self._wait(answer, tries, again)
            if wait is None or waited + wait > self._patience:
                raise self._refused(method, path, answer, wait)
            waited += wait
            self._sleep(wait)

    def _once(
        self, method: str, path: str, query: Mapping[str, object] | None, body: Mapping[str, object] | None
    ) -> httpx.Response | httpx.HTTPError:
        url = path if path.startswith(f"{self._base}/") else f"{self._base}/{path.lstrip('/')}"
        parameters = {key: str(value) for key, value in (query or {}).items() if value not in (None, "")}
        try:
            answer = self._client.request(method, url, params=parameters or None, json=body)
            # A repository that has been renamed is elsewhere on the same host. What must stay a POST stays one.
            while answer.is_redirect and (method in _SAFE or answer.status_code in (307, 308)):
                there = urljoin(str(answer.url), answer.headers["location"])
                if not there.startswith(f"{self._base}/") or len(answer.history) > 5:
                    return answer
                before = [*answer.history, answer]
                answer = self._client.request(method, there, json=body)
                answer.history = before
            return answer
        except httpx.HTTPError as error:
            return error

    def _wait(self, answer: httpx.Response | httpx.HTTPError, tries: int, again: bool) -> float | None:
        """Seconds until another try; None where there is to be none."""
        backoff = float(min(2 ** (tries - 1), 30))
        if isinstance(answer, httpx.HTTPError):
            return backoff if again and tries < 4 else None
        if _is_limit(answer):
            return self._asked_for(answer, backoff * 5)
        if answer.status_code in _BUSY:
            return self._asked_for(answer, backoff) if again and tries < 4 else None
        return None

    def _asked_for(self, answer: httpx.Response, otherwise: float) -> float:
        """How long the forge says to wait."""
        after = answer.headers.get("retry-after", "")
        if after.isdigit():
            return float(after)
        when = email.utils.parsedate_tz(after) if after else None
        if when is not None:
            return max(0.0, email.utils.mktime_tz(when) - self._clock())
        reset = answer.headers.get("x-ratelimit-reset") or answer.headers.get("ratelimit-reset") or ""
        if reset.isdigit() and answer.headers.get("x-ratelimit-remaining", "0") == "0":
            return max(0.0, float(reset) - self._clock()) + 1
        return otherwise

    def _below(self, url: str) -> str:
        """The next page, which must be the forge's own: the token goes nowhere else. Raises ForgeError."""
        if not url.startswith(f"{self._base}/"):
            raise ForgeError("the forge names a next page on another host", "check its base URL")
        return url

    def _refused(
        self, method: str, path: str, answer: httpx.Response | httpx.HTTPError, wait: float | None
    ) -> ForgeError:
        what = f"{method} {path.removeprefix(self._base)}"
        if isinstance(answer, httpx.HTTPError):
            return ForgeError(f"{what}: no answer from the forge ({type(answer).__name__})", "check its address")
        status, said = answer.status_code, _said(answer)
        hint = ""
        if _is_limit(answer):
            status = 429  # a 403 would be taken for too little permission
        if wait is not None:
            hint = f"it asks to wait {round(wait)} s: run again later"
        elif status == 401:
            hint = "the token is wrong or has ended"
        elif answer.is_redirect:
            hint = "it is somewhere else now: give the remote its new URL"
        elif status in (403, 404):
            hint = "check the repository's name and what the token may do (docs/pull-requests.md)"
        taken = status == 409 or (status == 422 and "already exists" in said)
        return ForgeError(f"{what}: the forge answered {status}: {said}", hint, status=status, taken=taken)


def _json(answer: httpx.Response) -> Any:
    """What an answer holds. Raises ForgeError for one that a forge would not give, as a page to log in."""
    try:
        return answer.json()
    except ValueError:
        what = f"{answer.request.url.path}: the answer is no JSON"
        raise ForgeError(what, "check the forge's base URL", status=answer.status_code) from None


def _is_limit(answer: httpx.Response) -> bool:
    """Whether an answer means too many requests; a 403 may also mean too little permission."""
    if answer.status_code != 403:
        return answer.status_code == 429
    limited = answer.headers.get("x-ratelimit-remaining") == "0" or "retry-after" in answer.headers
    return limited or "rate limit" in answer.text.lower()


def _said(answer: httpx.Response) -> str:
    """What the forge says went wrong, on one line."""
    try:
        data = answer.json()
    except ValueError:
        return answer.reason_phrase or "no reason"
    parts: list[str] = []
    if isinstance(data, dict):
        parts = [_text(data.get(key)) for key in ("message", "error", "error_description") if data.get(key)]
        for error in data["errors"] if isinstance(data.get("errors"), list) else []:
            parts.append(_text(error.get("message") or error.get("code") if isinstance(error, dict) else error))
    return " ".join(": ".join(filter(None, parts)).split())[:300] or answer.reason_phrase or "no reason"


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    return " ".join(map(_text, value)) if isinstance(value, list) else str(value or "")
