"""Titles and commit messages, written as the repository writes its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from autolock.pulls.settings import CommitStyle
from autolock.report.lines import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autolock.pulls.groups import Group

#: By this line a commit is known as one that autolock has made for a group.
TRAILER = "Autolock-Group"

#: https://www.conventionalcommits.org/en/v1.0.0/
_CONVENTIONAL = re.compile(r"[a-z]+(\([^()\s]+\))?!?: \S")
_LONGEST = 72
_WRAP = 72
#: Of how many commits the habit is read from, the share that shows one.
_HABIT = 0.5


def is_conventional(subjects: Sequence[str], style: CommitStyle) -> bool:
    """Whether the first line of a commit is to be `fix: ...`."""
    if style is not CommitStyle.AUTO:
        return style is CommitStyle.CONVENTIONAL
    fitting = sum(1 for subject in subjects if _CONVENTIONAL.match(subject))
    return bool(subjects) and fitting >= _HABIT * len(subjects)


def title_of(group: Group, *, conventional: bool) -> str:
    """The title of a group's pull request, and the first line of its commit: at most 72 characters."""
    rules = list(dict.fromkeys(finding.name for finding in group.findings))
    what = f"against {' and '.join(rules) if len(rules) < 3 else 'race conditions'}"
    names = list(dict.fromkeys(" ".join(one_line(finding.location).split()) for finding in group.findings))
    verb = "fix: guard" if conventional else "Guard"
    candidates = [f"{verb} {' and '.join(names)} {what}"] if len(names) < 3 else []
    candidates += [f"{verb} {names[0]} and {len(names) - 1} more {what}"] if len(names) > 1 else []
    candidates += [f"{verb} shared state {what}", f"{verb} shared state against race conditions"]
    return next(title for title in candidates if len(title) <= _LONGEST or title is candidates[-1])


def message_of(group: Group, title: str, author: str, *, sign_off: bool, co_authors: Sequence[str]) -> str:
    """The message of a group's commit."""
    parts = [title, ""]
    for rewrite in group.rewrites:
        parts += [*_wrapped(f"{one_line(rewrite.title)}. {one_line(rewrite.reason)}"), ""]
    parts += [f"{TRAILER}: {group.name}"]
    parts += [f"Co-authored-by: {name}" for name in co_authors]
    parts += [f"Signed-off-by: {author}"] if sign_off else []
    return "\n".join(parts) + "\n"


def is_own(message: str, group: Group) -> bool:
    """Whether a commit's message is one that `message_of` made for the group."""
    return f"{TRAILER}: {group.name}" in message.splitlines()


def _wrapped(text: str) -> list[str]:
    from textwrap import wrap

    # Nothing that git or a forge would take for a comment or a trailer at the start of a line.
    return wrap(text, _WRAP, break_long_words=False, break_on_hyphens=False)
