"""Requests that drive a route: made from the OpenAPI document and tried until one succeeds and changes something."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from autolock.prove.credentials import proof_in, registrations, signed, texts_of
from autolock.prove.samples import FREE_KEY, Known, Sampler, is_amount
from autolock.prove.stage.asgi import RAW_BODY

RequestDoc = dict[str, Any]

#: Sends requests in turn, undoes what they did, and tells the answers and what changed.
Try = Callable[[list[RequestDoc]], dict[str, Any]]

_MOST_TRIES = 40
_MOST_AMOUNTS = 8
_MOST_REPEATS = 12
#: What may be said over a WebSocket, in place of the messages that only its code knows.
_SPOKEN: tuple[list[Any], ...] = (
    [],
    ["hello"],
    [dict.fromkeys(("type", "action", "text", "message", "content", "data"), "hello")],
)
_MESSAGES = "(messages)"
#: What Starlette's paths say of the kind of a part, and OpenAPI's do not: `{number:int}`.
_CONVERTER = re.compile(r":\w+\}")
_NUMBER = re.compile(r"\d+(\.\d+)?")
_UNKNOWN = 401
_REFUSED = frozenset([_UNKNOWN, 403])
#: Headers that say what a request is in, or who may send it: another text there is refused.
_PROVES = re.compile(r"^content-|^accept|authorization|cookie|token|key|secret|signature")


@dataclass(frozen=True)
class Driven:
    """A request that can drive a route, after others that prepare for it; or what is missing to make one.

    `refused` are requests that were answered, with an error.
    """

    request: RequestDoc | None
    prelude: tuple[RequestDoc, ...] = ()
    missing: str = ""
    changes: bool = False
    refused: tuple[RequestDoc, ...] = ()


@dataclass(frozen=True)
class _Sent:
    """A request as it was sent in the end, what was sent before it, its answer, and whether it changed anything."""

    request: RequestDoc
    prelude: tuple[RequestDoc, ...]
    response: dict[str, Any]
    changes: bool


class Drivers:
    """Finds requests for the routes of one application. `state` is what it holds at the start, `hints` are texts that
    the code which a route depends on compares with.
    """

    def __init__(
        self, document: dict[str, Any], state: dict[str, Any], attempt: Try, hints: Mapping[str, list[str]]
    ) -> None:
        self._document = document
        self._hints = hints
        self._state = state
        self._attempt = attempt
        self._found: dict[str, Driven] = {}
        self._accepted: dict[str, tuple[tuple[RequestDoc, ...], RequestDoc]] = {}

    def drive(self, route: str) -> Driven:
        """A request for `METHOD /path` that succeeds, one that changes something if there is one."""
        if route not in self._found:
            self._found[route] = self._prepared(route, self._alone(route, (), self._state))
        return self._found[route]

    def _prepared(self, route: str, alone: Driven) -> Driven:
        """Where a route refuses all alone, or has nothing to change, another request may make what it looks for."""
        if alone.changes or _CONVERTER.sub("}", route) not in self.routes():
            return alone
        for other in self.routes():
            if other.startswith(("POST", "PUT")) and other != route:
                first = self._alone(other, (), self._state)
                if first.request is not None and first.changes:
                    after = self._attempt([first.request])
                    told = (first.request.get("body"), _last(after)["body"])
                    then = self._alone(route, (first.request,), after["state"], told)
                    if then.changes or (then.request is not None and alone.request is None):
                        return then
        return alone

    def routes(self) -> list[str]:
        """All routes of the application's document."""
        return routes_of(self._document)

    def _alone(
        self, route: str, prelude: tuple[RequestDoc, ...], state: dict[str, Any], said: tuple[Any, ...] = ()
    ) -> Driven:
        method, _, path = _CONVERTER.sub("}", route).partition(" ")
        path = self._documented(method, path)
        operation = self._document.get("paths", {}).get(path, {}).get(method.lower())
        if operation is None:
            return Driven(None, missing=f"{route} is not in the application's OpenAPI document")
        fallback: Driven | None = None
        forbidden = False
        refusal = ""
        refused: list[RequestDoc] = []
        for made in itertools.islice(
            _requests(method, path, operation, Sampler(self._document, self._known(state, said, method, path))),
            _MOST_TRIES,
        ):
            sent = self._send(made, prelude, state, operation, f"{method} {path}", signing=not forbidden)
            request, response, steps = sent.request, sent.response, sent.prelude
            if response["status"] in _REFUSED:
                told = f"{route} wants authentication (status {response['status']}); override it in a scenario"
                if response["status"] == _UNKNOWN:
                    return Driven(None, missing=told, refused=(request,))
                forbidden = True  # what another value names may be open to everybody
                refused.append(request)
                refusal = refusal or told
            elif 100 <= response["status"] < 400:
                if sent.changes:
                    return Driven(request, steps, changes=True, refused=tuple(refused))
                fallback = fallback or Driven(request, steps)
            else:
                refused.append(request)
                refusal = refusal or f"{route} answers {response['status']}: {_short(response)}"
        if fallback is not None:
            return replace(fallback, refused=tuple(refused))
        return Driven(None, prelude, refusal or f"no request could be made for {route}", refused=tuple(refused))

    def _documented(self, method: str, path: str) -> str:
        """A path as the document has it: with the prefix of its router, where that is known at run time only."""
        paths = self._document.get("paths", {})
        longer = [one for one, methods in paths.items() if one.endswith(path) and method.lower() in methods]
        return longer[0] if path not in paths and len(longer) == 1 else path

    def _known(self, state: dict[str, Any], said: tuple[Any, ...], method: str, path: str) -> Known:
        return replace(Known.of(state, said, path), hints=tuple(self._hints.get(f"{method} {path}", ())))

    def _send(
        self,
        request: RequestDoc,
        prelude: tuple[RequestDoc, ...],
        state: dict[str, Any],
        operation: dict[str, Any],
        route: str,
        *,
        signing: bool,
    ) -> _Sent:
        """Send a request; where it is refused, and `signing` is wanted, with credentials."""
        answer = self._attempt([*prelude, request])
        if signing and _last(answer)["status"] in _REFUSED:
            for steps, other in self._signed(request, prelude, operation, route):
                start = self._attempt(list(steps))["state"] if steps != prelude else state
                after = self._attempt([*steps, other])
                if _last(after)["status"] not in _REFUSED:
                    self._accept(request, steps[: len(steps) - len(prelude)], other)
                    return _Sent(other, steps, _last(after), after["state"] != start)
        return _Sent(request, prelude, _last(answer), answer["state"] != state)

    def _accept(self, request: RequestDoc, steps: tuple[RequestDoc, ...], signed: RequestDoc) -> None:
        """Keep what has proved who sends a request, for those of other routes."""
        shown = {part: _added(request[part], signed[part]) for part in ("headers", "query")}
        self._accepted.setdefault(repr((steps, shown)), (steps, shown))

    def _signed(
        self, request: RequestDoc, prelude: tuple[RequestDoc, ...], operation: dict[str, Any], route: str
    ) -> Iterator[tuple[tuple[RequestDoc, ...], RequestDoc]]:
        """Ways to prove who sends the request: what is sent before, and the request itself. What was accepted elsewhere
        comes first.
        """
        for before, shown in self._accepted.values():
            yield (*before, *prelude), {**request, **{part: {**request[part], **shown[part]} for part in shown}}
        for one in signed(request, operation, self._document, texts_of(self._state, self._hints.get(route, []))):
            yield prelude, one
        sampler = Sampler(self._document, Known.of(self._state))
        for steps in registrations(self._document, sampler):
            proof = proof_in(self._attempt(steps)["responses"][-1])
            if proof:
                headers = {**request["headers"], **proof}
                yield (*steps, *prelude), {**request, "headers": headers}


def _added(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in after.items() if before.get(name) != value}


def routes_of(document: dict[str, Any]) -> list[str]:
    """All routes of an OpenAPI document, method and path."""
    paths = document.get("paths", {})
    return [f"{method.upper()} {path}" for path, methods in paths.items() for method in methods]


def _last(answer: dict[str, Any]) -> dict[str, Any]:
    nothing = {"status": 0, "body": answer.get("stuck", ""), "error": ""}
    return answer["responses"][-1] or nothing


def _short(response: dict[str, Any]) -> str:
    text = response.get("error") or str(response.get("body"))
    return str(text)[:160]


def _requests(method: str, path: str, operation: dict[str, Any], sampler: Sampler) -> Iterator[RequestDoc]:
    """Requests for one operation: the likeliest values first, then others in place of one value after the other."""
    first = _request(method, path, operation, sampler)
    yield first
    made = [first]
    names = [name for name, count in sampler.choices.items() if count > 1]
    ranges = [range(sampler.choices[name]) for name in names]
    picked = sorted(
        itertools.islice(itertools.product(*ranges), 4096), key=lambda picks: (sum(picks), max(picks, default=0))
    )
    for picks in picked:
        sampler.picks = dict(zip(names, picks, strict=True))
        request = _request(method, path, operation, sampler)
        if request not in made:
            made.append(request)
            yield request


def _request(method: str, path: str, operation: dict[str, Any], sampler: Sampler) -> RequestDoc:
    query: dict[str, Any] = {}
    headers: dict[str, str] = {}
    for parameter in operation.get("parameters", ()):
        if not parameter.get("required"):
            continue
        name, place = parameter["name"], parameter["in"]
        value = parameter.get("example", sampler.value(parameter.get("schema", {}), name))
        if place == "path":
            path = path.replace("{" + name + "}", quote(str(value), safe=""))
        elif place == "query":
            query[name] = value
        elif place == "header":
            headers[name] = str(value)
    request: RequestDoc = {"method": method, "path": path, "query": query, "headers": headers}
    if method == "WEBSOCKET":
        sampler.choices[_MESSAGES] = len(_SPOKEN)
        return {**request, "body": _SPOKEN[sampler.picks.get(_MESSAGES, 0)]}
    body = operation.get("requestBody", {}).get("content", {})
    if "application/json" in body:
        media = body["application/json"]
        request["body"] = media.get("example", sampler.value(media.get("schema", {}), "body"))
    elif "application/x-www-form-urlencoded" in body:
        fields = sampler.value(body["application/x-www-form-urlencoded"].get("schema", {}), "body")
        request["body"] = "&".join(f"{quote(str(name))}={quote(str(value))}" for name, value in fields.items())
        headers["content-type"] = "application/x-www-form-urlencoded"
    elif RAW_BODY in body:
        request["body"] = "hello"
        headers["content-type"] = RAW_BODY
    return request


def to_the_limit(
    request: RequestDoc, state: dict[str, Any], attempt: Try
) -> tuple[list[RequestDoc], RequestDoc] | None:
    """Requests to send first, and one of which only one more is answered alike then: the last seat, the rest of the
    stock, the last wrong password.

    Looks among amounts that the state holds, then sends the request again and again. None where it never
    comes to an end.
    """
    for amount in _amounts_of(state):
        asking = _asking_for(request, amount)
        if asking is not None and asking != request and _served(attempt([asking, asking])) == 1:
            return [], asking
    responses = attempt([request] * _MOST_REPEATS)["responses"]
    if None in responses:
        return None  # one that waits for ever alone is no measure of two
    alike = _alike(responses)
    return ([request] * (alike - 1), request) if 1 < alike < _MOST_REPEATS else None


def _alike(responses: list[dict[str, Any]]) -> int:
    """How many requests were answered like the first, before the first that was not.

    Where the statuses do not tell, the answers may: all say one thing up to a point and another one from then on.
    """
    first, *rest = (response["status"] if response["status"] >= 400 else 200 for response in responses)
    alike = 1 + len(list(itertools.takewhile(lambda status: status == first, rest)))
    if alike < len(responses):
        return alike
    said = [_NUMBER.sub("0", str(response["body"])) for response in responses]
    same = len(list(itertools.takewhile(lambda one: one == said[0], said)))
    return same if len(set(said[same:])) == 1 and len(said) - same > 1 else alike


def _served(answer: dict[str, Any]) -> int:
    """How many requests were served before the first that was not."""
    statuses = [response["status"] if response else 500 for response in answer["responses"]]
    refused = (number for number, status in enumerate(statuses) if status >= 400)
    return next(refused, len(statuses))


def _amounts_of(state: dict[str, Any]) -> list[float]:
    values = [value for values in Known.of(state).by_name.values() for value in values]
    return list(dict.fromkeys(value for value in values if isinstance(value, (int, float)) and value > 1))[
        :_MOST_AMOUNTS
    ]


def _asking_for(request: RequestDoc, amount: float) -> RequestDoc | None:
    for place in ("body", "query"):
        contents = request.get(place)
        if isinstance(contents, dict):
            name = next(
                (name for name, value in contents.items() if is_amount(name) and isinstance(value, (int, float))), ""
            )
            if name:
                return {**request, place: {**contents, name: amount}}
    return None


def variant(request: RequestDoc) -> RequestDoc | None:
    """The same request with other contents, as another user would send it to the same things; None where there is none.

    Numbers and texts of the body change, and names of free-form keys; what is in the path and looks like an id stays.
    """
    body = request.get("body")
    if not isinstance(body, dict):
        return None
    changed = {_other_key(name): _other(name, value) for name, value in body.items()}
    return {**request, "body": changed} if changed != body else None


def another_sender(request: RequestDoc) -> RequestDoc | None:
    """The same request with other texts in its query and headers, as for another user; None where it has none."""
    query = {name: _other(name, value) if isinstance(value, str) else value for name, value in request["query"].items()}
    headers = {
        name: _other(name, value) if not _PROVES.search(name.lower()) else value
        for name, value in request["headers"].items()
    }
    made = {**request, "query": query, "headers": headers}
    return made if made != request else None


def crossings(request: RequestDoc, known: Known) -> Iterator[tuple[RequestDoc, RequestDoc]]:
    """Pairs of requests which name two things in either order, as money is sent there and back."""
    for place in ("body", "query"):
        contents = request.get(place)
        if not isinstance(contents, dict):
            continue
        named = [name for name, value in contents.items() if type(value) in (int, str) and not is_amount(name)]
        for one, other in itertools.combinations(named, 2):
            first = contents[one]
            kind = "integer" if isinstance(first, int) else "string"
            others = (value for value in (contents[other], *known.candidates(other, kind)) if value != first)
            second = next(others, None)
            if type(second) is type(first):
                there = {**request, place: {**contents, one: first, other: second}}
                yield there, {**request, place: {**contents, one: second, other: first}}


def larger(request: RequestDoc) -> RequestDoc | None:
    """The same request with numbers that a share or a rounding does not make nothing of; None where it has none."""
    body = request.get("body")
    if not isinstance(body, dict):
        return None
    changed = {name: value * 100 if _is_number(name, value) else value for name, value in body.items()}
    return {**request, "body": changed} if changed != body else None


def several(request: RequestDoc) -> RequestDoc | None:
    """The same request with more to do: three where it names one, and lists of two; None where it has neither."""
    changed = dict(request)
    for place in ("body", "query"):
        contents = request.get(place)
        if isinstance(contents, dict):
            changed[place] = {name: _more(name, value) for name, value in contents.items()}
        elif isinstance(contents, list):
            changed[place] = _more("", contents)
    return changed if changed != request else None


def _more(name: str, value: Any) -> Any:
    if isinstance(value, list) and len(value) == 1:
        return [value[0], _other("", value[0])]
    return 3 if value == 1 and _is_number(name, value) else value


def _is_number(name: str, value: Any) -> bool:
    return type(value) in (int, float) and not _names_one(name)


def _names_one(name: str) -> bool:
    return name == "id" or name.endswith("_id")


def elsewhere(request: RequestDoc, route: str) -> RequestDoc | None:
    """The same request for another thing, where its path or its query names one by a word; None where it does not."""
    template, path = route.partition(" ")[2].split("/"), request["path"].split("/")
    if len(template) != len(path):
        return None
    parts = [
        f"{part}2" if name.startswith("{") and not part.isdigit() else part
        for name, part in zip(template, path, strict=True)
    ]
    query = {name: _other(name, value) for name, value in request.get("query", {}).items()}
    made = {**request, "path": "/".join(parts), "query": query}
    return made if made != request else None


def _other_key(name: str) -> str:
    return f"{name}2" if name == FREE_KEY else name


def _other(name: str, value: Any) -> Any:
    if isinstance(value, bool) or _names_one(name):
        return value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str) and not value[:4].isdigit():
        return value.replace("@", "2@") if "@" in value else f"{value}2"
    if isinstance(value, dict):
        return {f"{key}2": inside for key, inside in value.items()}
    return value
