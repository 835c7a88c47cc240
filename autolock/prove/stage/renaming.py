"""Ids that a database gives out: two outcomes are the same if they only differ in who got which.

New rows of a table take numbers in the order in which they happen to be inserted, which no client may rely on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice, permutations, product
from typing import Any

_TABLE = "table "
_MOST_RENAMINGS = 64

#: For each name of a column: which number stands for which; under `id`, what the plain ids of answers stand for.
Names = dict[str, dict[Any, Any]]


def renamings(start: dict[str, Any], state: dict[str, Any]) -> Iterator[Names]:
    """Ways to give the rows that were added to `start` each other's ids; leaving them as they are comes first.

    A plain `id` in an answer may be of any of the tables, or of none.
    """
    tables = [(title, new) for title in state if len(new := _new_ids(title, start, state)) > 1]
    choices = [[dict(zip(new, order, strict=True)) for order in permutations(new)] for _, new in tables]
    for picked in islice(product(*choices), _MOST_RENAMINGS):
        names = {_foreign_key(title): numbers for (title, _), numbers in zip(tables, picked, strict=True)}
        yield names
        meant = [ids for ids in names.values() if any(number != other for number, other in ids.items())]
        yield from ({**names, "id": ids} for ids in meant)


def compacted(start: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    """The state with the ids of new rows counted from one: a failure uses up ids, which is no trace that matters."""
    names = {}
    for title in state:
        new = sorted(_new_ids(title, start, state))
        names[_foreign_key(title)] = {number: -rank for rank, number in enumerate(new, start=1)}
    return renamed_state(state, names)


def _new_ids(title: str, start: dict[str, Any], state: dict[str, Any]) -> list[Any]:
    if not title.startswith(_TABLE) or not isinstance(state[title], list):
        return []
    before = {row.get("id") for row in start.get(title, ()) if isinstance(row, dict)}
    now = [row.get("id") for row in state[title] if isinstance(row, dict)]
    return [number for number in now if isinstance(number, int) and number not in before]


def _foreign_key(title: str) -> str:
    name = title.removeprefix(_TABLE).rpartition(".")[2]
    return f"{name.removesuffix('es') if name.endswith(('ches', 'shes', 'xes')) else name.removesuffix('s')}_id"


def in_order(state: dict[str, Any]) -> dict[str, Any]:
    """A state whose tables are in the order in which renamed ones are."""
    return renamed_state(state, {})


def renamed_state(state: dict[str, Any], names: Names) -> dict[str, Any]:
    """The state with ids renamed, rows again in the order of their text."""
    return {title: _renamed_rows(title, value, names) for title, value in state.items()}


def _renamed_rows(title: str, value: Any, names: Names) -> Any:
    if not title.startswith(_TABLE) or not isinstance(value, list):
        return value
    own = {**names, "id": names.get(_foreign_key(title), {})}
    rows = [{column: _renamed(own, column, inside) for column, inside in row.items()} for row in value]
    return sorted(rows, key=lambda row: json.dumps(row, default=str))


def _renamed(names: Names, column: str, value: Any) -> Any:
    return names.get(column, {}).get(value, value) if isinstance(value, int) else value


def renamed_answer(body: Any, names: Names) -> Any:
    """An answer with ids renamed."""
    if isinstance(body, list):
        return [renamed_answer(inside, names) for inside in body]
    if not isinstance(body, dict):
        return body
    return {
        key: renamed_answer(inside, names) if isinstance(inside, (dict, list)) else _renamed(names, key, inside)
        for key, inside in body.items()
    }
