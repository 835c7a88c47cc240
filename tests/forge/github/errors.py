"""Refusals as GitHub words them."""

from __future__ import annotations

from typing import Any

from forge.http import Refusal
from forge.state import BODY_LIMIT

_DOCUMENTATION = "https://docs.github.com/rest"
_TITLE_LIMIT = 256


def refuse(status: int, message: str, **more: Any) -> Refusal:
    """An error with a message."""
    return Refusal(status, {"message": message, **more, "documentation_url": _DOCUMENTATION, "status": str(status)})


def not_found() -> Refusal:
    """Also for what the bearer may not see."""
    return refuse(404, "Not Found")


def invalid(resource: str, field: str | None, code: str, message: str | None = None) -> Refusal:
    """A validation error about a field, or about the whole where there is none."""
    error = {"resource": resource, "code": code, "field": field, "message": message}
    return refuse(422, "Validation Failed", errors=[{key: value for key, value in error.items() if value}])


def require(data: dict[str, Any], resource: str, *fields: str) -> None:
    """Refuses a body in which one of the fields is missing or empty."""
    for field in fields:
        if not data.get(field):
            raise invalid(resource, field, "missing_field")


def check_text(data: dict[str, Any], resource: str) -> None:
    """Refuses a title or body that is longer than GitHub takes."""
    for field, limit in (("title", _TITLE_LIMIT), ("body", BODY_LIMIT)):
        if len(data.get(field) or "") > limit:
            raise invalid(resource, field, "custom", f"{field} is too long (maximum is {limit} characters)")
