"""How a request may prove who sends it: texts that the application holds, or tokens that it gives to who registers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from autolock.prove.samples import Known, Sampler, fits
from autolock.prove.stage.asgi import cookie_header

RequestDoc = dict[str, Any]

_MOST_TEXTS = 30
_TOKENS = ("access_token", "token", "jwt", "auth_token", "session_token", "id_token")
_NAMES = ("username", "email", "login", "user")
#: Passwords, of which everybody here has the first that keeps to all the patterns.
_PASSWORDS = ("correct-horse-1", "CorrectHorse1", "Correct-Horse-1!")
_URLENCODED = "application/x-www-form-urlencoded"


def signed(
    request: RequestDoc, operation: dict[str, Any], document: dict[str, Any], texts: list[str]
) -> Iterator[RequestDoc]:
    """The request with each of the texts in each place that its operation, or the document's security, names."""
    for text in texts[:_MOST_TEXTS]:
        for kind, name, form in _places(operation, document):
            if kind == "header" and text.isascii() and text.isprintable():
                yield {**request, "headers": {**request["headers"], name: form.format(text)}}
            elif kind == "query":
                yield {**request, "query": {**request["query"], name: text}}


def _places(operation: dict[str, Any], document: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Where a credential may stand: in what, under which name, written how."""
    found = []
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "header":
            found.append(("header", parameter["name"], "{}"))
        elif parameter["in"] == "cookie":
            found.append(("header", "cookie", parameter["name"] + "={}"))
    for scheme in document.get("components", {}).get("securitySchemes", {}).values():
        place, name = scheme.get("in"), str(scheme.get("name"))
        if place in {"header", "query"}:
            found.append((place, name, "{}"))
        elif place == "cookie":
            found.append(("header", "cookie", name + "={}"))
    return list(dict.fromkeys([*found, ("header", "Authorization", "Bearer {}")]))


def texts_of(state: dict[str, Any], hints: list[str]) -> list[str]:
    """Texts that may be credentials, likeliest first: those which the code that decides compares with, those whose
    names say so, then all others that the application holds.
    """
    known = Known.of(state)
    held = [value for values in known.by_name.values() for value in values if isinstance(value, str)]
    likely = [text for text in (*hints, *known.secrets(), *held) if text and not any(map(str.isspace, text))]
    return list(dict.fromkeys(likely))


def registrations(document: dict[str, Any], sampler: Sampler) -> Iterator[list[RequestDoc]]:
    """Requests that sign in, or register and sign in, of which the last may be answered with a token."""
    forms = [form for path in document.get("paths", {}) for form in _forms(document, path)]
    password = _password_for(forms, sampler)
    for form in forms:
        yield [form.filled(sampler, password)]
    for first in forms:
        registered = first.filled(sampler, password)
        body = registered["body"]
        names = [body[name] for name in _NAMES if isinstance(body, dict) and name in body]
        for second in forms:
            if second.path != first.path:
                yield from ([registered, second.filled(sampler, password, name)] for name in names)


def _password_for(forms: Sequence[_Form], sampler: Sampler) -> str:
    """The one password that everybody has here: it keeps to what each form says of one."""
    schemas = [sampler.resolve(form.schema["properties"]["password"]) for form in forms]
    fitting = (one for one in _PASSWORDS if all(fits(one, schema) for schema in schemas))
    made = (sampler.value(schema, "password") for schema in schemas if not fits(_PASSWORDS[0], schema))
    return next(fitting, None) or next(made, _PASSWORDS[0])


def _token_in(answer: dict[str, Any] | None) -> str:
    """The token that an answer gives; empty where it gives none."""
    body = answer["body"] if answer is not None and answer["status"] < 400 else None
    inside = [body, *body.values()] if isinstance(body, dict) else []
    tables = [one for one in inside if isinstance(one, dict)]
    return next((str(one[name]) for one in tables for name in _TOKENS if isinstance(one.get(name), str)), "")


def proof_in(answer: dict[str, Any] | None) -> dict[str, str]:
    """The headers with which later requests prove who sends them: the token of an answer, or the cookies it sets."""
    token = _token_in(answer)
    if token:
        return {"Authorization": f"Bearer {token}"}
    cookies = answer["cookies"] if answer is not None and answer["status"] < 400 else {}
    return {"cookie": cookie_header(cookies)} if cookies else {}


@dataclass(frozen=True)
class _Form:
    """A POST route that takes a password."""

    path: str
    schema: dict[str, Any]
    kind: str

    def filled(self, sampler: Sampler, password: str, name: str = "") -> RequestDoc:
        """A request with a password, and the name of who has registered."""
        fields = {**sampler.value(self.schema, "body"), "password": password}
        if name:
            fields.update((one, name) for one in _NAMES if one in fields)
        request: RequestDoc = {"method": "POST", "path": self.path, "query": {}, "headers": {}, "body": fields}
        if self.kind == _URLENCODED:
            plain = {one: value for one, value in fields.items() if value is not None}
            request.update(headers={"content-type": _URLENCODED}, body=urlencode(plain))
        return request


def _forms(document: dict[str, Any], path: str) -> Iterator[_Form]:
    contents = document["paths"][path].get("post", {}).get("requestBody", {}).get("content", {})
    for kind in ("application/json", _URLENCODED):
        schema = Sampler(document, Known()).resolve(contents.get(kind, {}).get("schema", {}))
        if "{" not in path and "password" in schema.get("properties", {}):
            yield _Form(path, schema, kind)
