"""What the bot answers to `@autolock explain`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autolock import registry
from autolock.report.markdown import code, html_text, prose

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def explained(rules: Sequence[str]) -> str:
    """What rules are about: a sentence each, and folded away all that `autolock explain` says."""
    return "\n".join(line for rule in rules for line in _lines(rule))


def _lines(rule: str) -> Iterator[str]:
    info = registry.rule_infos().get(rule)
    if info is None:  # a plugin's, which this bot does not have
        yield f"{code(rule)} is no rule that this bot knows."
        return
    yield f"**{code(rule)} {prose(info.name)}**: {prose(info.summary)}"
    yield ""
    yield "<details>"
    yield f"<summary>{html_text(f'More about {info.name}')}</summary>"
    yield ""
    yield info.explanation
    yield ""
    yield "</details>"
    yield ""
