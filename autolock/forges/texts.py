"""What is compared in the texts that forges give back."""

from __future__ import annotations

import re
from datetime import datetime

_HUNK = re.compile(r"@@ -\d+(?:,\d+)? \+(\d+)(?:,(\d+))? @@")


def new_lines(patch: str) -> frozenset[int]:
    """The numbers of the lines on the new side of one file's unified diff: added ones, and those round them."""
    found: set[int] = set()
    line = 0
    for text in patch.splitlines():
        hunk = _HUNK.match(text)
        if hunk:
            line = int(hunk[1])
        elif line and text[:1] in ("+", " ", ""):
            found.add(line)
            line += 1
    return frozenset(found)


def same_text(one: str, other: str) -> bool:
    """Whether two bodies are the same once a forge has changed the line ends and cut the blanks round them."""
    return one.replace("\r\n", "\n").strip() == other.replace("\r\n", "\n").strip()


def seconds(time: str) -> float:
    """A time as forges write it, in seconds since 1970."""
    return datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp()
