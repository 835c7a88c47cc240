"""Whether a witness is of one window: while a request stood in it, another one moved.

A route may have several races, and the first that is met need not be the one that somebody asks about.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

#: A file, and the first and the last line of a window in it, or of the part that one function has in it.
Span = tuple[str, int, int]


def stands_in(trail: Iterable[Sequence[Any]], spans: Iterable[Span]) -> bool:
    """Whether one of the places that led to a point, each a path and a line, is inside one of the spans."""
    places = [tuple(place) for place in trail]
    return any(path == file and first <= line <= last for path, line in places for file, first, last in spans)


def goes_through(steps: Sequence[dict[str, Any]], spans: Iterable[Span]) -> bool:
    """Whether, in the steps of a run, a request is left at a point inside one of the spans and goes on later."""
    inside = tuple(spans)
    before: dict[int, int] = {}
    for index, step in enumerate(steps):
        was_left = index - before.get(step["lane"], index) > 1
        if was_left and stands_in(step["trail"], inside):
            return True
        before[step["lane"]] = index
    return False
