"""What a report format is given, and what it has to offer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autolock.findings import Report


@dataclass(frozen=True, slots=True)
class RuleInfo:
    """What a report says about a rule: `summary` is one sentence, `explanation` is Markdown."""

    id: str
    name: str
    summary: str
    explanation: str
    category: str
    help_uri: str = ""


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """How a report is drawn.

    `color`, `width`, `quiet` and `unicode` are read by formats for people: `width` is that of the
    terminal in cells, `unicode` is false where the output's encoding has no line-drawing
    characters. `verbose` adds the notes of the run where a format doesn't always have them.
    `version` is autolock's own, `rules` describes every rule by its id.
    """

    color: bool = False
    width: int = 100
    verbose: bool = False
    quiet: bool = False
    version: str = ""
    unicode: bool = True
    rules: Mapping[str, RuleInfo] = field(default_factory=dict)


class Reporter(Protocol):
    """A report format; found through the entry-point group `autolock.reports`, made without arguments."""

    name: str

    def render(self, report: Report, options: RenderOptions) -> str:
        """The whole report as text that ends with a newline, or an empty string where there is nothing to say."""
        ...
