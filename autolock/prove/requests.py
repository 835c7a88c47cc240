"""Requests that drive a route: made from the OpenAPI document and tried until one succeeds and changes something."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from autolock.prove.samples import Known, Sampler

RequestDoc = dict[str, Any]

#: Sends requests in turn, undoes what they did, and tells the answers and what changed.
Try = Callable[[list[RequestDoc]], dict[str, Any]]

_MOST_TRIES = 40


@dataclass(frozen=True)
class Driven:
    """A request that can drive a route, or what is missing to make one."""

    request: RequestDoc | None
    missing: str = ""


def drive(route: str, document: dict[str, Any], state: dict[str, Any], attempt: Try) -> Driven:
    """Find a request for `METHOD /path` that succeeds; one that changes the state before one that does not."""
    method, _, path = route.partition(" ")
    operation = document.get("paths", {}).get(path, {}).get(method.lower())
    if operation is None:
        return Driven(None, f"{route} is not in the application's OpenAPI document")
    fallback: RequestDoc | None = None
    refusal = ""
    for request in itertools.islice(_requests(method, path, operation, document, state), _MOST_TRIES):
        answer = attempt([request])
        response = answer["responses"][0] or {"status": 0, "body": answer.get("stuck", ""), "error": ""}
        if response["status"] in {401, 403}:
            return Driven(None, f"{route} wants authentication (status {response['status']})")
        if 200 <= response["status"] < 400:
            if answer["changed"]:
                return Driven(request)
            fallback = fallback or request
        else:
            refusal = refusal or f"{route} answers {response['status']}: {_short(response)}"
    return Driven(fallback, "" if fallback else refusal or f"no request could be made for {route}")


def _short(response: dict[str, Any]) -> str:
    text = response.get("error") or str(response.get("body"))
    return str(text)[:160]


def _requests(
    method: str, path: str, operation: dict[str, Any], document: dict[str, Any], state: dict[str, Any]
) -> Iterator[RequestDoc]:
    """Requests for one operation: the likeliest values first, then others in place of one value after the other."""
    sampler = Sampler(document, Known.of(state))
    first = _request(method, path, operation, sampler)
    yield first
    made = [first]
    names = [name for name, count in sampler.choices.items() if count > 1]
    ranges = [range(sampler.choices[name]) for name in names]
    picked = sorted(itertools.islice(itertools.product(*ranges), 4096), key=lambda picks: (sum(picks), max(picks, default=0)))
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
    body = operation.get("requestBody", {}).get("content", {})
    if "application/json" in body:
        media = body["application/json"]
        request["body"] = media.get("example", sampler.value(media.get("schema", {}), "body"))
    elif "application/x-www-form-urlencoded" in body:
        fields = sampler.value(body["application/x-www-form-urlencoded"].get("schema", {}), "body")
        request["body"] = "&".join(f"{quote(str(name))}={quote(str(value))}" for name, value in fields.items())
        headers["content-type"] = "application/x-www-form-urlencoded"
    return request


def variant(request: RequestDoc) -> RequestDoc | None:
    """The same request with other contents, as another user would send it to the same things; None where there is none.

    Numbers and texts of the body change, and names of free-form keys; what is in the path and looks like an id stays.
    """
    body = request.get("body")
    if not isinstance(body, dict):
        return None
    changed = {name: _other(name, value) for name, value in body.items()}
    return {**request, "body": changed} if changed != body else None


def _other(name: str, value: Any) -> Any:
    if isinstance(value, bool) or name == "id" or name.endswith("_id"):
        return value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str) and not value[:4].isdigit():
        return value.replace("@", "2@") if "@" in value else f"{value}2"
    if isinstance(value, dict):
        return {f"{key}2": inside for key, inside in value.items()}
    return value
