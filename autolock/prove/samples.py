"""Values for the parameters and bodies of requests, from the OpenAPI document and from what the application holds.

A schema's own examples come first, then values which are in the state already (a row's id, a key of a dictionary), then
the smallest value that fits the schema (https://json-schema.org/draft/2020-12/json-schema-validation).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from autolock.prove.patterns import shortest_match

_FORMATS = {
    "email": "ada@example.com",
    "uuid": "00000000-0000-4000-8000-000000000001",
    "date": "2030-01-01",
    "date-time": "2030-01-01T00:00:00Z",
    "time": "12:00:00",
    "uri": "https://example.com/",
    "password": "correct-horse-1",
}
_AMOUNT = re.compile(r"amount|quantity|qty|count|number|price|points|cents|size|limit|units|copies|nights|seats")
_SECRET = re.compile(r"token|key|secret|session|credential")
_MOST_CANDIDATES = 4
_MOST_HINTS = 8

#: The key that is made for an object whose keys are free.
FREE_KEY = "first"


@dataclass
class Known:
    """Plain values of the application's state, by the name of the column, attribute or dictionary that holds them.

    `hints` are texts that the code which takes a value compares with.
    """

    by_name: dict[str, list[Any]] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    hints: tuple[str, ...] = ()

    @classmethod
    def of(cls, state: dict[str, Any], told: Sequence[Any] = (), path: str = "") -> Known:
        """Collect what was just sent and answered, then what a picture of the state shows.

        What a route's path names comes first: `/coupons/{code}` wants a key of `coupons`.
        """
        known = cls()
        for message in told:
            known._collect("", message if isinstance(message, list) else [message])
        names = {title: title.rpartition(".")[2].removeprefix("table ") for title in state}
        for title in sorted(state, key=lambda title: names[title].lower() not in path.lower()):
            known._collect(names[title], state[title])
        return known

    def _collect(self, name: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inside in value.items():
                if not key.isidentifier() or not isinstance(inside, dict):
                    self._add(key, inside)
                self.keys.append(key)
                self._collect(key, inside)
        elif isinstance(value, list):
            for row in value:
                if isinstance(row, dict):
                    for column, inside in row.items():
                        self._add(f"{_singular(name)}_{column}", inside)
                        self._add(column, inside)
                        self._collect(column, inside)
                else:
                    self._add(name, row)
                    self.keys.extend([row] if isinstance(row, str) and not row.startswith("<") else [])

    def _add(self, name: str, value: Any) -> None:
        if isinstance(value, str) and (not value or value.startswith("<")):
            return  # nothing that a path could name; how a picture names what it cannot show
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            values = self.by_name.setdefault(name.lower(), [])
            if value not in values:
                values.append(value)

    def secrets(self) -> list[str]:
        """Texts that may be keys or tokens, those whose names say so first."""
        named = [value for name, values in self.by_name.items() if _SECRET.search(name) for value in values]
        return [value for value in dict.fromkeys([*named, *self.keys]) if isinstance(value, str)]

    def candidates(self, name: str, kind: str) -> list[Any]:
        """Values that a parameter of this name may want, best first."""
        wanted = name.lower().replace("-", "_")
        found = [*self.by_name.get(wanted, ()), *self.by_name.get(f"{wanted}_id", ())]
        if kind == "integer":
            found += self.by_name.get(wanted.rpartition("_")[2], []) if not wanted.endswith("_id") else []
            found += [int(key) for key in self.keys if key.isdigit()]
            found += self.by_name.get("id", []) if not is_amount(wanted) else []
        if kind == "string":
            found += self.by_name.get("id", []) if wanted.endswith("id") else []
            found += [value for key, values in self.by_name.items() if key.startswith(f"{wanted}_") for value in values]
            found += self.keys
        fitting = [
            value for value in found if isinstance(value, {"integer": int, "string": str}.get(kind, (int, float)))
        ]
        told = self.hints[:_MOST_HINTS] if kind == "string" else ()
        return list(dict.fromkeys([*list(dict.fromkeys(fitting))[:_MOST_CANDIDATES], *told]))


def is_amount(name: str) -> bool:
    """Whether a name is that of a quantity rather than of a thing."""
    return bool(_AMOUNT.search(name.lower()))


def _singular(name: str) -> str:
    return name.removesuffix("s")


@dataclass
class Sampler:
    """Makes values for schemas of one OpenAPI document. `choices` counts the values that could be taken for
    each name.
    """

    document: dict[str, Any]
    known: Known
    picks: dict[str, int] = field(default_factory=dict)
    choices: dict[str, int] = field(default_factory=dict)

    def value(self, schema: dict[str, Any], name: str) -> Any:
        """A value that fits a schema, for the parameter or property of this name."""
        schema = self.resolve(schema)
        for key in ("example", "const", "default"):
            if schema.get(key) is not None:
                return schema[key]
        if schema.get("examples"):
            examples = schema["examples"]
            return examples[0] if isinstance(examples, list) else next(iter(examples.values()))
        if schema.get("enum"):
            return schema["enum"][0]
        kind = _kind(schema)
        if kind == "object":
            return self._object(schema)
        if kind == "array":
            return [self.value(schema.get("items", {}), name.removesuffix("s"))]
        return self._scalar(schema, kind, name)

    def resolve(self, schema: dict[str, Any]) -> dict[str, Any]:
        """A schema with its reference followed, and the first of its alternatives that is not null."""
        seen = 0
        while seen < 20:
            seen += 1
            if "$ref" in schema:
                found: Any = self.document
                for part in schema["$ref"].removeprefix("#/").split("/"):
                    found = found[part]
                schema = found
                continue
            options = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
            if not options:
                return schema
            schema = next((option for option in options if option.get("type") != "null"), options[0])
        return schema

    def _object(self, schema: dict[str, Any]) -> dict[str, Any]:
        properties = schema.get("properties", {})
        wanted = schema.get("required") or list(properties)
        made = {name: self.value(properties.get(name, {}), name) for name in wanted}
        if not properties and schema.get("additionalProperties"):
            inside = schema["additionalProperties"]
            made[FREE_KEY] = self.value(inside, FREE_KEY) if isinstance(inside, dict) else 1
        return made

    def _scalar(self, schema: dict[str, Any], kind: str, name: str) -> Any:
        if kind == "boolean":
            return True
        known = [value for value in self.known.candidates(name, kind) if fits(value, schema)]
        options = [*known, *_smallest(schema, kind, name)]
        self.choices[name] = len(options)
        return options[self.picks.get(name, 0) % len(options)]


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a value keeps to the bounds and the pattern of a schema."""
    if isinstance(value, str):
        size = schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))
        return size and ("pattern" not in schema or re.search(schema["pattern"], value) is not None)
    above = value >= schema.get("minimum", value) and value > schema.get("exclusiveMinimum", value - 1)
    return bool(above and value <= schema.get("maximum", value))


def _kind(schema: dict[str, Any]) -> str:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    return str(next((one for one in kind if one != "null"), "string") if isinstance(kind, list) else kind)


def _smallest(schema: dict[str, Any], kind: str, name: str) -> Iterator[Any]:
    if kind in {"integer", "number"}:
        lowest = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1 if "exclusiveMinimum" in schema else 1)
        yield max(lowest, 1) if schema.get("maximum", 1) >= 1 else lowest
        yield (max(lowest, 1)) + 1
        return
    if "pattern" in schema and (matching := shortest_match(schema["pattern"])) is not None:
        yield matching.ljust(int(schema.get("minLength", 0)), matching[-1:] or "x")
    elif schema.get("format") in _FORMATS:
        yield _FORMATS[schema["format"]]
    elif "email" in name.lower():
        yield _FORMATS["email"]
    else:
        text = name.lower() or "text"
        yield text.ljust(int(schema.get("minLength", 0)), "x")[: int(schema.get("maxLength", 200))]
        if schema.get("minLength", 0) <= 1:
            yield "1"  # a text in which the code looks for a number
