"""The smallest runs of lines that turn one text into another."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import takewhile
from typing import TYPE_CHECKING

from autolock.report.lines import split_lines

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Hunk:
    """Replaces the text from a position up to (not with) another by `inserted`; lines and columns count from 1."""

    line: int
    column: int
    end_line: int
    end_column: int
    inserted: str


def hunks(before: str, after: str) -> Iterator[Hunk]:
    """What changes, by whole lines, from the top down; positions are those of `before`."""
    old, new = split_lines(before), split_lines(after)
    # A rewrite touches a few lines of a long file: what is the same at both ends needs no matching.
    head = _common(old, new)
    tail = min(_common(old[::-1], new[::-1]), len(old) - head, len(new) - head)
    middle_old, middle_new = old[head : len(old) - tail], new[head : len(new) - tail]
    matcher = SequenceMatcher(None, middle_old, middle_new, autojunk=False)
    for tag, start, stop, new_start, new_stop in matcher.get_opcodes():
        if tag != "equal":
            line, column = _position(old, head + start)
            end_line, end_column = _position(old, head + stop)
            yield Hunk(line, column, end_line, end_column, "".join(middle_new[new_start:new_stop]))


def _common(old: list[str], new: list[str]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))


def _position(lines: list[str], index: int) -> tuple[int, int]:
    """Where the line at `index` begins; for the end of a text without a final line break, after its last character."""
    if index == len(lines) and lines and not lines[-1].endswith(("\n", "\r")):
        return index, len(lines[-1]) + 1
    return index + 1, 1
