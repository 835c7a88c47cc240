"""Whose code a suspended task stands in.

A task is a chain of coroutines that await each other. Whether its next step is a choice for the
schedule depends on the innermost function of the project in that chain and on what lies below it:
a driver that waits for its socket must run on undisturbed, a framework's own plumbing is no step
that a user would know.
"""

from __future__ import annotations

import gc
import os
import sys
import sysconfig
from dataclasses import dataclass, field
from enum import Enum
from types import CodeType, CoroutineType, FrameType
from typing import Any


class Owner(Enum):
    """Who wrote a function."""

    PROJECT = "project"
    DRIVER = "driver"
    FRAMEWORK = "framework"
    LIBRARY = "library"


#: Top-level packages which talk to a database: a task inside one of them waits for a socket or a thread.
DRIVERS = frozenset(
    [
        "aiomysql",
        "aioodbc",
        "aiopg",
        "aiosqlite",
        "asyncmy",
        "asyncpg",
        "beanie",
        "databases",
        "edgy",
        "gino",
        "motor",
        "odmantic",
        "ormar",
        "peewee",
        "piccolo",
        "prisma",
        "psycopg",
        "psycopg2",
        "psycopg_pool",
        "pymongo",
        "pymysql",
        "redis",
        "saffier",
        "sqlalchemy",
        "sqlite3",
        "sqlmodel",
        "tortoise",
    ]
)
_LONGEST_CHAIN = 200
FRAMEWORKS = frozenset(["fastapi", "starlette"])


@dataclass(frozen=True)
class Spot:
    """A line of the project: `path` relative to its root, with forward slashes; lines count from 1."""

    path: str
    line: int
    function: str


#: The functions of the project that have led to a point, outermost first, each with its line.
Trail = tuple[tuple[CodeType, int], ...]


@dataclass
class Project:
    """The tree of the application, to tell its files from those of installed packages."""

    root: str
    _owners: dict[CodeType, Owner] = field(default_factory=dict)
    _paths: dict[str, str] = field(default_factory=dict)
    _installed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.root = os.path.join(os.path.realpath(self.root), "")
        own = os.path.dirname(os.path.realpath(__file__))
        places = {sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
        places.update(path for path in sys.path if path.endswith(("site-packages", "dist-packages")))
        self._installed = (own, *(os.path.realpath(place) for place in places))

    def owner(self, code: CodeType) -> Owner:
        """Who wrote a function; kept, as it is asked at every step."""
        known = self._owners.get(code)
        if known is None:
            known = self._owners[code] = self._look(code.co_filename)
        return known

    def _look(self, filename: str) -> Owner:
        path = os.path.realpath(filename) if os.path.isabs(filename) else filename  # Cython names files as it likes
        installed = path.startswith(self._installed) or "site-packages" in path
        if path.startswith(self.root) and not installed:
            return Owner.PROJECT
        packages = set(path.removesuffix(".py").split(os.sep))
        if packages & DRIVERS:
            return Owner.DRIVER
        plumbing = packages & FRAMEWORKS and "concurrency" not in packages  # run_in_threadpool is a step of its caller
        return Owner.FRAMEWORK if plumbing else Owner.LIBRARY

    def has_file(self, filename: str) -> bool:
        """Whether a file belongs to the project and not to an installed package."""
        return self._look(filename) is Owner.PROJECT

    def spot(self, frame: FrameType) -> Spot:
        """The line at which a frame of the project stands."""
        return self.at(frame.f_code, frame.f_lineno)

    def at(self, code: CodeType, line: int) -> Spot:
        """A line of a function of the project."""
        name = code.co_filename
        path = self._paths.get(name)
        if path is None:
            path = self._paths[name] = os.path.relpath(os.path.realpath(name), self.root).replace(os.sep, "/")
        return Spot(path, line, getattr(code, "co_qualname", code.co_name))

    def trail(self, frames: list[FrameType]) -> Trail:
        """Where each function of the project in a chain stands."""
        return tuple((f.f_code, f.f_lineno) for f in frames if self.owner(f.f_code) is Owner.PROJECT)

    def innermost(self, frames: list[FrameType]) -> FrameType | None:
        """The last frame of the project in a chain, if any."""
        for frame in reversed(frames):
            if self.owner(frame.f_code) is Owner.PROJECT:
                return frame
        return None

    def stops_user_code(self, frames: list[FrameType]) -> FrameType | None:
        """The frame of the project that goes on when a task is resumed; None where a driver or the framework does."""
        for frame in reversed(frames):
            owner = self.owner(frame.f_code)
            if owner is Owner.PROJECT:
                return frame
            if owner is not Owner.LIBRARY:
                return None
        return None

    def in_driver(self, frames: list[FrameType]) -> bool:
        """Whether a chain leads into a database driver, which waits for a socket or for a thread of its own."""
        return any(self.owner(frame.f_code) is Owner.DRIVER for frame in frames)


def await_chain(awaitable: Any) -> list[FrameType]:
    """The frames of a suspended coroutine and of what it awaits, outermost first.

    Past asynchronous generators, whose `__anext__` objects do not say which generator they stand for.
    """
    frames: list[FrameType] = []
    for _ in range(_LONGEST_CHAIN):
        kind = type(awaitable)
        if kind is CoroutineType:  # nearly all are, and this is asked at every step
            frame, below = awaitable.cr_frame, awaitable.cr_await
        elif awaitable is None:
            break
        else:
            frame, below = _parts(awaitable)
        if frame is not None:
            frames.append(frame)
        awaitable = below
    return frames


def _parts(awaitable: Any) -> tuple[FrameType | None, Any]:
    """The frame of something that is no plain coroutine, and what it awaits."""
    for prefix in ("cr", "gi", "ag"):
        frame = getattr(awaitable, f"{prefix}_frame", None)
        if frame is not None:
            return frame, getattr(awaitable, "gi_yieldfrom" if prefix == "gi" else f"{prefix}_await")
    return None, _wrapped(awaitable)


def _wrapped(awaitable: Any) -> Any:
    """What an `anext()`, `asend()` or coroutine wrapper stands for; None for a future and for all else."""
    if type(awaitable).__name__ not in {"async_generator_asend", "async_generator_athrow", "coroutine_wrapper"}:
        return None
    for inside in gc.get_referents(awaitable):
        if any(hasattr(inside, name) for name in ("ag_frame", "cr_frame", "gi_frame")):
            return inside
    return None


def stack(frame: FrameType | None) -> list[FrameType]:
    """A running frame and its callers, outermost first."""
    frames = []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames[::-1]
