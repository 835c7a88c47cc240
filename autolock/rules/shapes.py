"""Questions that several rules ask of a Window."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from autolock.program.decisions import ABSENT
from autolock.program.index import dotted
from autolock.program.trace import is_empty_display

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow

_COLLECTIONS = ("dict", "list", "set")
#: Values that every maker makes alike, so that a second one replaces the first without loss.
_INTERCHANGEABLE = frozenset(
    {
        *_COLLECTIONS,
        "deque",
        "view",
        "sqlalchemy.orm.sessionmaker",
        "sqlalchemy.ext.asyncio.async_sessionmaker",
        "sqlalchemy.create_engine",
        "path",
        "jinja2.Environment",
        "re.compile",
    }
)


def is_element(window: RaceWindow) -> bool:
    """Whether the Location is one entry of a container."""
    fields = window.location.fields
    return bool(fields) and fields[-1].startswith("[")


def is_file(window: RaceWindow) -> bool:
    return window.location.root.kind == "file"


def makes_value(window: RaceWindow) -> bool:
    """Whether what is written was made for the purpose: constructed, fetched or computed by a call."""
    write = window.write
    return (
        write is not None
        and write.kind == "assign"
        and write.made in ("new", "await", "call", "display")
        and window.dependence == "control"
    )


def has_identity(window: RaceWindow) -> bool:
    """Whether two of the value would be two different things: an object with state, a connection, a task."""
    write = window.write
    if write is None:
        return False
    if ":" in write.value_type:
        return not window.plain
    name = write.value_type
    return bool(name) and name not in _INTERCHANGEABLE and "." in name


def is_creation(window: RaceWindow) -> bool:
    """`if x is None: x = make()`: a slot that is filled on first use, with what is there once."""
    if not makes_value(window) or is_element(window) or window.shape not in ABSENT or window.exit == "raise":
        return False
    return not window.dated and not _is_memory_of_answers(window)


def _is_memory_of_answers(window: RaceWindow) -> bool:
    """Whether a slot keeps a copy of what can be had again: it is called a cache, or it gets a list or a part of that.

    An empty list is no answer: others put into it what is lost with it.
    """
    write = window.write
    if write is None or window.between is None:
        return False
    named = (
        "cache" in window.location.fields[-1].lower()
        if window.location.fields
        else "cache" in str(window.location).lower()
    )
    plain = write.value_type in _COLLECTIONS and not _is_empty(write.node)
    plain = plain or (not write.value_type and _is_part(getattr(write.node, "value", None)))
    return plain or (named and not has_identity(window))


def _is_part(value: ast.AST | None) -> bool:
    """Whether an expression takes something out of what is there: `answer.get("url")`, `given or answer["url"]`."""
    if isinstance(value, ast.BoolOp):
        return any(map(_is_part, value.values))
    if isinstance(value, ast.Call):
        return isinstance(value.func, ast.Attribute) and value.func.attr == "get" and 0 < len(value.args) < 3
    return isinstance(value, ast.Subscript)


def _is_empty(node: ast.AST) -> bool:
    """Whether an assignment makes a container without anything in it: `x = []`, `x = dict()`."""
    value = getattr(node, "value", None)
    if isinstance(value, ast.Call):
        return dotted(value.func) in _COLLECTIONS and not value.args
    return is_empty_display(value)


def is_cache_fill(window: RaceWindow) -> bool:
    """`if key not in cache: cache[key] = fetch(key)`, or a value that is fetched again when it is too old."""
    write = window.write
    if (
        write is None
        or write.kind not in ("assign", "insert")
        or window.dependence != "control"
        or window.exit == "raise"
        or window.reckoned
    ):
        return False
    if window.shape in ABSENT and (_is_fetched(window) or _is_memory_of_answers(window)):
        return True
    if is_element(window) and window.shape in ABSENT:
        return write.kind == "assign" and (
            write.made in ("new", "await", "call")
            or (write.made == "display" and not window.exit)
            or (window.exit == "cached" and write.made != "const")
        )
    if _is_renewed(window):
        return True
    return (
        window.shape == "compare"
        and (write.kind == "assign" or window.exit == "cached")
        and (not write.request or window.exit == "cached")
        and (write.made not in ("const", "none") or (window.dated and window.exit == "cached"))
    )


def _is_renewed(window: RaceWindow) -> bool:
    """Whether an entry is made anew because it is too old, or was made from something that is no longer so."""
    write = window.write
    if write is None or write.kind != "assign" or write.made not in ("new", "await", "call", "display"):
        return False
    if window.dated:
        return is_element(window) or window.shape in ABSENT
    if window.exit == "cached" and write.made == "display" and window.shape == "different":
        return True  # one answer is kept together with the question, and returned where that is asked again
    return is_element(window) and window.shape == "different" and not write.request


def _is_fetched(window: RaceWindow) -> bool:
    """Whether what fills a gap is a part of what was waited for: `(await ask(name))["id"]`."""
    write = window.write
    if write is None or window.between is None or write.kind != "assign":
        return False
    return write.made == "expression" and not write.request


def is_harmless(window: RaceWindow) -> bool:
    """Work done twice of which nobody can tell: equal values made by threads, or made at start-up already."""
    if not (is_creation(window) or is_cache_fill(window)):
        return False
    if window.warmed and is_creation(window):
        return True
    if window.shape == "compare":
        return False
    if (
        window.cheap
        and window.between is None
        and window.write is not None
        and window.write.made == "new"
        and not is_element(window)
    ):
        return True
    return window.between is None and not has_identity(window)


def is_counting(window: RaceWindow) -> bool:
    """Whether the write changes a number: what is atomic today is worth a word only then."""
    write = window.write
    if write is None:
        return False
    if window.dependence == "data":
        return write.kind == "augment" or (write.kind == "assign" and write.made == "expression")
    return window.shape == "compare" and write.kind == "augment"


def routes_of(window: RaceWindow) -> str:
    """`POST /purchase and POST /orders`, or what else runs the code."""
    routes = window.routes
    if not routes:
        kinds = sorted({e.kind for e in window.entries})
        return f"two runs of the {' and '.join(kinds)}" if kinds else "two requests"
    if len(routes) == 1:
        return f"two requests to `{routes[0]}`"
    if len(routes) == 2:
        return f"requests to `{routes[0]}` and `{routes[1]}`"
    return f"requests to `{routes[0]}`, `{routes[1]}` and {len(routes) - 2} more"


def rivals_of(window: RaceWindow) -> str:
    """The functions that may come in between, two of them at most; empty where there is none."""
    return " and ".join(sorted({f"`{write.function.name}`" for _, write in window.rivals})[:2])


def gap(window: RaceWindow) -> str:
    """What lies between the read and the write, in words."""
    if window.between is not None and window.between.text and window.context != "thread pool":
        text = window.gap_text
        return f"awaits `{text}`" if len(text) < 60 else "awaits"
    if window.mixed:
        return "runs beside worker threads"
    return "can be interrupted by another thread"


def function_name(window: RaceWindow) -> str:
    return window.function.name
