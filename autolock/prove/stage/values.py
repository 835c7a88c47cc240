"""Values as a person reads them, and as they are compared."""

from __future__ import annotations

from types import FrameType
from typing import Any

_SHORT = 60
_SHOWN = (bool, int, float, str, bytes, type(None))


def plain_locals(frame: FrameType) -> dict[str, str]:
    """The local variables of a function which hold plain values, as text; cut where they are long."""
    if frame.f_lasti < 0:
        return {}
    return {name: shown(value) for name, value in frame.f_locals.items() if _is_plain(value, 2)}


def _is_plain(value: Any, depth: int) -> bool:
    if isinstance(value, _SHOWN):
        return True
    if depth and type(value) in {dict, list, tuple, set}:
        inside = [*value, *value.values()] if isinstance(value, dict) else list(value)
        return len(inside) <= 8 and all(_is_plain(item, depth - 1) for item in inside)
    return False


def shown(value: Any) -> str:
    """The `repr` of a value in at most 60 characters."""
    try:
        text = repr(value)
    except Exception as error:
        text = f"<{type(value).__name__}, whose repr raises {type(error).__name__}>"
    return text if len(text) <= _SHORT else text[: _SHORT - 3] + "..."
