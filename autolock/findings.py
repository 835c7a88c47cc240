"""The vocabulary of a result: what was found, where, how it breaks and how it is mended.

Everything here is plain, immutable data. The analysis makes it, reports draw it, and
nothing in it depends on how it was found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum


class Certainty(str, Enum):
    """How sure a finding is: an interleaving exists today, or is one `await` away."""

    RACE = "race"
    LATENT = "latent"


class Severity(str, Enum):
    """What is lost when the race happens."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    @property
    def rank(self) -> int:
        """0 for the worst; findings are ordered by it."""
        return ("high", "medium", "low").index(self.value)


class Safety(str, Enum):
    """What applying a fix may change besides ending the race."""

    SAFE = "safe"
    UNSAFE = "unsafe"
    NONE = "none"


class Action(str, Enum):
    """What one step of an interleaving does."""

    READ = "read"
    CHECK = "check"
    WRITE = "write"
    SUSPEND = "suspend"
    SWITCH = "switch"
    ACQUIRE = "acquire"
    RELEASE = "release"
    ITERATE = "iterate"


@dataclass(frozen=True, slots=True)
class Place:
    """A range of source text. Lines and columns count from 1, columns in characters, the end is exclusive."""

    path: str
    line: int
    column: int
    end_line: int
    end_column: int
    function: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of one request (`A` or `B`) in an interleaving, in the order in which it happens."""

    request: str
    action: Action
    place: Place
    code: str
    value: str = ""
    note: str = ""
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Window:
    """A read, what may run after it, and the dependent write, told as an interleaving of two requests."""

    location: str
    context: str
    steps: tuple[Step, ...]
    guards: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fix:
    """What can be done about a finding; `files` are those that the rewrite edits."""

    safety: Safety
    title: str
    reason: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One race (or latent race) at one place of the user's code."""

    rule: str
    name: str
    category: str
    certainty: Certainty
    severity: Severity
    place: Place
    message: str
    location: str
    window: Window
    routes: tuple[str, ...]
    fix: Fix
    fingerprint: str

    def with_fix(self, fix: Fix) -> Finding:
        """The same finding with another fix."""
        return replace(self, fix=fix)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that could not be read or done: which file, what is wrong, what to do about it."""

    path: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.path}: {self.message}" if self.path else self.message
        return f"{text}; {self.hint}" if self.hint else text


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file before and after a rewrite; `path` is relative to the root, with forward slashes."""

    path: str
    before: bytes
    after: bytes


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A fix that was carried out in memory and checked: the findings it ends and the files it changes."""

    title: str
    reason: str
    safety: Safety
    fingerprints: tuple[str, ...]
    changes: tuple[FileChange, ...]


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a run looked at; `seconds` is wall-clock time."""

    files: int = 0
    lines: int = 0
    parsed: int = 0
    cached: int = 0
    functions: int = 0
    routes: int = 0
    suppressed: int = 0
    baselined: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of a run.

    `findings` are ordered by severity, then path and line. `errors` are files that could not be
    handled; `notes` say what stopped the analysis or what a comment suppressed in vain. `rewrites`
    is filled by `fix` only, each one relative to the tree after those before it; `texts` holds the decoded text
    of the files that findings point into.
    """

    root: str
    findings: tuple[Finding, ...] = ()
    errors: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()
    rewrites: tuple[Rewrite, ...] = ()
    statistics: Statistics = field(default_factory=Statistics)
    texts: Mapping[str, str] = field(default_factory=dict)
