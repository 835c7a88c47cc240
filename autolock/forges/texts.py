"""What is compared in the texts that forges give back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from autolock.report.markdown import fence_round

_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")


@dataclass(frozen=True, slots=True)
class NewLines:
    """The lines on the new side of one file's diff, by number: all that it shows, and those that it adds.

    `old` is the number on the old side of those that are on both.
    """

    shown: frozenset[int]
    added: frozenset[int]
    old: Mapping[int, int]


def new_lines(patch: str) -> NewLines:
    """The new side of a unified diff of one file; the lines of it that stand before the first hunk are passed over."""
    shown: set[int] = set()
    added: set[int] = set()
    old: dict[int, int] = {}
    line = old_line = 0
    for text in patch.splitlines():
        hunk = _HUNK.match(text)
        if hunk:
            old_line, line = int(hunk[1]), int(hunk[2])
        elif line and text.startswith("-"):
            old_line += 1
        elif line and text[:1] in ("+", " ", ""):
            shown.add(line)
            if text.startswith("+"):
                added.add(line)
            else:
                old[line] = old_line
                old_line += 1
            line += 1
    return NewLines(frozenset(shown), frozenset(added), old)


def same_text(one: str, other: str) -> bool:
    """Whether two bodies are the same once a forge has changed the line ends and cut the blanks round them."""
    return one.replace("\r\n", "\n").strip() == other.replace("\r\n", "\n").strip()


def block(kind: str, text: str) -> str:
    """A code block, with a fence longer than any in the text."""
    fence = fence_round(text)
    return f"{fence}{kind}\n{text if text.endswith(chr(10)) else text + chr(10)}{fence}"


def seconds(time: str | None) -> float:
    """A time as forges write it, in seconds since 1970; 0 for none."""
    if not time:
        return 0.0
    return datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp()
