"""The shortest text that matches a regular expression, as a schema's `pattern` gives it."""

from __future__ import annotations

import importlib
import re
import string
import sys
from collections.abc import Callable, Iterable
from typing import Any

# Python 3.11 has renamed the parser of `re`, of which there is no public one.
_parser = importlib.import_module("re._parser" if sys.version_info >= (3, 11) else "sre_parse")
_PICKED = string.ascii_lowercase + string.digits + string.ascii_uppercase + "-_ ." + string.punctuation
_CLASSES = {
    f"CATEGORY_{negation}{name}": f"\\{letter.upper() if negation else letter}"
    for name, letter in (("DIGIT", "d"), ("WORD", "w"), ("SPACE", "s"))
    for negation in ("", "NOT_")
}


def shortest_match(pattern: str) -> str | None:
    """A short text which the pattern finds; None where it is more than literals, classes, groups and repetitions."""
    try:
        text = _text_of(_parser.parse(pattern))
    except (re.error, KeyError, TypeError):
        return None
    return text if re.search(pattern, text) else None


def _text_of(parts: Iterable[Any]) -> str:
    return "".join(_part(str(kind), value) for kind, value in parts)


def _part(kind: str, value: Any) -> str:
    """One part of a parsed pattern. Raises KeyError for a kind that is not known."""
    if kind in {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}:
        least, _, inside = value
        return _text_of(inside) * int(least)
    makers: dict[str, Callable[[Any], str]] = {
        "LITERAL": chr,
        "NOT_LITERAL": lambda code: next(one for one in _PICKED if ord(one) != code),
        "ANY": lambda _: "a",
        "AT": lambda _: "",
        "ASSERT": lambda _: "",
        "ASSERT_NOT": lambda _: "",
        "SUBPATTERN": lambda group: _text_of(group[-1]),
        "ATOMIC_GROUP": _text_of,
        "BRANCH": lambda branches: _text_of(branches[1][0]),
        "IN": _one_of,
    }
    return makers[kind](value)


def _one_of(options: list[tuple[Any, Any]]) -> str:
    """A character of a class: letters and digits come first."""
    negated = str(options[0][0]) == "NEGATE"
    inside = options[1:] if negated else options
    fitting = (one for one in _PICKED if any(_holds(option, one) for option in inside) is not negated)
    return next(fitting, None) or chr(int(options[0][1]))


def _holds(option: tuple[Any, Any], character: str) -> bool:
    kind, value = str(option[0]), option[1]
    if kind == "RANGE":
        return bool(value[0] <= ord(character) <= value[1])
    if kind == "CATEGORY":
        return re.match(_CLASSES[str(value)], character) is not None
    return bool(ord(character) == value)
