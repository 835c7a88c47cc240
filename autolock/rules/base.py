"""What a rule is.

A rule is a class in a file of its own, registered under the entry-point group `autolock.rules`.
Its docstring is its documentation: `autolock explain` prints it and docs/ is made from it. It is
asked about every analysed Window and answers with a `Match` or None.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from autolock.findings import Severity
    from autolock.program.windows import RaceWindow


@dataclass(frozen=True, slots=True)
class Match:
    """A rule's answer: how bad it is, and one sentence in the names of the user's code."""

    severity: Severity
    message: str


class Rule(Protocol):
    """The interface of a rule; rules are constructed without arguments.

    `codemods` names the codemods that mend it, `category` is `memory` or `locks`.
    """

    id: ClassVar[str]
    name: ClassVar[str]
    category: ClassVar[str]
    summary: ClassVar[str]
    codemods: ClassVar[tuple[str, ...]]

    def match(self, window: RaceWindow) -> Match | None:
        """Whether the Window is what this rule is about."""
        ...
