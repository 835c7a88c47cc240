"""GitHub's own OpenAPI description: what is asked and answered is held against it, and objects are completed by it."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from werkzeug.datastructures import Headers, ImmutableMultiDict

from forge.http import Answer, Call, Route

_FILE = Path(__file__).with_name("github.json")
_EVERYWHERE = {401, 403, 404, 422, 429, 500, 502, 503}
"""Statuses that GitHub answers with whether or not the operation's description has them."""


@dataclass
class _Request:
    """A call in the form that openapi-core reads; the path's values are escaped, so that each is one segment."""

    host_url: str
    path: str
    method: str
    content_type: str
    body: bytes
    parameters: RequestParameters


@dataclass
class _Response:
    status_code: int
    content_type: str
    headers: Mapping[str, str]
    data: bytes


class Description:
    """The excerpt of the description; read once a session, as reading it takes a while."""

    def __init__(self) -> None:
        self._document = json.loads(_FILE.read_text())
        self._requests = OpenAPI.from_dict(
            self._document, config=Config(spec_validator_cls=None, additional_properties_default_policy="forbid")
        )
        self._responses = OpenAPI.from_dict(self._document, config=Config(spec_validator_cls=None))
        self._server = self._document["servers"][0]["url"]
        self._templates: dict[str, dict[str, Any]] = {}
        self._known_good: set[Hashable] = set()

    def request_errors(self, call: Call, route: Route) -> list[str]:
        """What is wrong with a request: also a parameter or property that the description does not know."""
        numbers = tuple(value.isdecimal() for value in call.params.values())
        seen = (route.method, route.template, numbers, tuple(call.query.items()), call.body)
        if seen in self._known_good:
            return []
        errors = list(self._request_errors(call, route))
        if not errors:
            self._known_good.add(seen)
        return errors

    def _request_errors(self, call: Call, route: Route) -> Iterator[str]:
        known = {parameter["name"] for parameter in self._parameters(route) if parameter["in"] == "query"}
        for name in set(call.query) - known:
            yield f"the query has {name}, which is unknown"
        for error in self._requests.iter_request_errors(self._request(call, route)):
            yield from _reasons(error)

    def answer_errors(self, call: Call, route: Route, answer: Answer) -> Iterator[str]:
        """What is wrong with an answer."""
        documented = self._operation(route)["responses"]
        if answer.status in _EVERYWHERE and str(answer.status) not in documented:
            if not isinstance(answer.body, dict) or not isinstance(answer.body.get("message"), str):
                yield f"an error of {answer.status} without a message"
            return
        response = _Response(answer.status, "application/json", answer.headers, answer.content)
        for error in self._responses.iter_response_errors(self._request(call, route), response):
            yield from _reasons(error)

    def complete(self, schema: str, base: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """An object with everything that the schema requires: what is not given is null, false, 0, empty, or a URL
        below `base`."""
        if schema not in self._templates:
            self._templates[schema] = dict(self._required(self._document["components"]["schemas"][schema]))
        template = {
            name: value.replace("{base}", base) if isinstance(value, str) else value
            for name, value in self._templates[schema].items()
        }
        return {**template, **values}

    def _required(self, schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        for name in schema.get("required", ()):
            yield name, self._default(name, schema["properties"][name])

    def _default(self, name: str, schema: Mapping[str, Any]) -> Any:
        if "$ref" in schema:
            schema = self._document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        if schema.get("nullable"):
            return None
        kind = schema.get("type")
        if kind == "string":
            if schema.get("format") == "date-time":
                return "2020-01-01T00:00:00Z"
            is_url = schema.get("format") == "uri" or name.endswith("url")
            usual = schema.get("enum", [""])[0]
            return f"{{base}}/{name.removesuffix('_url')}" if is_url else usual
        if kind == "object":
            return dict(self._required(schema))
        return {"boolean": False, "integer": 0, "number": 0, "array": []}.get(str(kind))

    def _operation(self, route: Route) -> dict[str, Any]:
        operation: dict[str, Any] = self._document["paths"][route.template][route.method.lower()]
        return operation

    def _parameters(self, route: Route) -> Iterator[dict[str, Any]]:
        named = self._document["components"]["parameters"]
        for parameter in self._operation(route).get("parameters", ()):
            yield named[parameter["$ref"].rpartition("/")[2]] if "$ref" in parameter else parameter

    def _request(self, call: Call, route: Route) -> _Request:
        path = route.template
        for name, value in call.params.items():
            path = path.replace(f"{{{name}}}", quote(value, safe=""))
        return _Request(
            host_url=self._server,
            path=path,
            method=call.method.lower(),
            content_type=call.headers.get("content-type", "application/json").partition(";")[0],
            body=call.body,
            parameters=RequestParameters(
                query=ImmutableMultiDict(call.query), header=Headers(dict(call.headers)), path=dict(call.params)
            ),
        )


def _reasons(error: BaseException) -> Iterator[str]:
    """What openapi-core found, the innermost reasons rather than their wrapping."""
    cause = error.__cause__
    details = getattr(cause, "schema_errors", ()) if cause else getattr(error, "schema_errors", ())
    for detail in details:
        yield f"{'.'.join(map(str, detail.absolute_path)) or 'the body'}: {detail.message[:300]}"
    if not details:
        yield f"{error}{f': {cause}' if cause else ''}"


@cache
def description() -> Description:
    """The one description of a session."""
    return Description()
