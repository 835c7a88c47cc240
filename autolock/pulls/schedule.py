"""Times of the week at which new pull requests may be opened: "mon-fri 06:00-18:00", "sat", "22:00-06:00", in UTC."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = "(?:mon|tue|wed|thu|fri|sat|sun)"
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d"
_WINDOW = re.compile(rf"(?:({_DAY})(?:-({_DAY}))?)? ?(?:({_TIME})-({_TIME}))?")


def is_window(text: str) -> bool:
    """Whether a text says a time of the week."""
    return bool(text.strip()) and _WINDOW.fullmatch(text.strip().lower()) is not None


def is_open(windows: Sequence[str], now: datetime) -> bool:
    """Whether a time, in UTC, is in one of the windows; any is where there is none.

    A window that ends earlier than it begins ends on the next day.
    """
    return not windows or any(_is_in(window.strip().lower(), now) for window in windows)


def _is_in(window: str, now: datetime) -> bool:
    found = _WINDOW.fullmatch(window)
    assert found is not None
    first, last, start, end = found.groups()
    time = f"{now:%H:%M}"
    today = now.weekday()
    if start is None:
        return _is_day(first, last, today)
    if start <= end:
        return _is_day(first, last, today) and start <= time < end
    return (_is_day(first, last, today) and time >= start) or (_is_day(first, last, (today - 1) % 7) and time < end)


def _is_day(first: str | None, last: str | None, day: int) -> bool:
    if first is None:
        return True
    one = _DAYS.index(first)
    other = _DAYS.index(last) if last else one
    return one <= day <= other if one <= other else day >= one or day <= other
