"""Formats the lines that a rewrite changed, and no others, as the project formats its code."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from autolock.rewriting.excerpts import Range, by_black, first_line
from autolock.rewriting.style import Style, style_for
from autolock.rewriting.text import Text, TextError, hunks, lines_of
from codemods.parsing import parse

if TYPE_CHECKING:
    from pathlib import Path

_NARROWEST, _WIDEST = 88, 120


def format_changed(path: Path, before: bytes, after: bytes) -> bytes:
    """`after` with its changed lines formatted by black in the configuration of the file's project.

    `path` is where the file is on disk. Where the project uses neither black nor ruff's formatter only
    new lines that are longer than any of the file's own are broken. No range of changed lines is
    formatted where that would change what the code means, or touch a line outside of it, unless the
    statements that were changed kept to the style before. Never raises for odd input: the worst is
    `after` as it is.
    """
    style = style_for(path)
    try:
        old, new = Text.read(before), Text.read(after)
        newline = _newline(new.code)
        if newline is None:
            return after
        origin, text = old.code.replace("\r\n", "\n"), new.code.replace("\r\n", "\n")
        ranges, is_pyi, kept = _changed_ranges(origin, text), path.suffix == ".pyi", False
        if style is None:
            style = _as_wide_as(old.code)
            ranges = _too_long(text, ranges, style.line_length)
        else:
            kept = _keeps_to(style, origin, text, is_pyi=is_pyi)
        text = _formatted(text, ranges, style, is_pyi=is_pyi, whole=kept)
        return new.written(text.replace("\n", newline))
    except TextError:
        return after


def _as_wide_as(code: str) -> Style:
    """The style of a file that nothing formats: its own longest line, within reason, and its own quotes."""
    longest = max((len(line.rstrip("\r\n")) for line in lines_of(code)), default=0)
    return Style(line_length=min(max(longest, _NARROWEST), _WIDEST), string_normalization=False)


def _too_long(code: str, ranges: list[Range], width: int) -> list[Range]:
    """The lines of some ranges that are longer than that."""
    lines = lines_of(code)
    return [
        (number, number)
        for first, last in ranges
        for number in range(first, last + 1)
        if len(lines[number - 1].rstrip("\r\n")) > width
    ]


def _newline(code: str) -> str | None:
    """The one line end of the code; None where it has several kinds."""
    ends = {line[len(line.rstrip("\r\n")) :] for line in lines_of(code)} - {""}
    if ends <= {"\n"}:
        return "\n"
    return "\r\n" if ends == {"\r\n"} else None


def _changed_ranges(before: str, after: str) -> list[Range]:
    """The first and last number, from 1, of each run of lines that `before` does not have."""
    found = hunks(lines_of(before), lines_of(after))
    return [(hunk.new_start + 1, hunk.new_stop) for hunk in found if hunk.new_start < hunk.new_stop]


def _keeps_to(style: Style, before: str, after: str, *, is_pyi: bool) -> bool:
    """Whether the statements that were changed were formatted in the style before."""
    from black.parsing import InvalidInput

    found = hunks(lines_of(before), lines_of(after))
    count = len(lines_of(before))
    changed = [(min(h.start + 1, count), min(max(h.stop, h.start + 1), count)) for h in found]
    try:
        return bool(changed) and by_black(before, changed, style.mode(is_pyi=is_pyi)) == before
    except (ValueError, SyntaxError, RecursionError, MemoryError, InvalidInput):
        return False


def _formatted(code: str, ranges: list[Range], style: Style, *, is_pyi: bool, whole: bool) -> str:
    """The code with the ranges formatted: all at once, or else those that can be, last to first.

    With `whole`, what is round a range in its statement is formatted with it.
    """
    if not ranges:
        return code
    together = _with_ranges(code, ranges, style, is_pyi=is_pyi, whole=whole)
    if together is not None:
        return together
    for one in reversed(ranges):
        code = _with_ranges(code, [one], style, is_pyi=is_pyi, whole=whole) or code
    return code


def _with_ranges(code: str, ranges: list[Range], style: Style, *, is_pyi: bool, whole: bool) -> str | None:
    """The code with these ranges formatted, None where that would do more than format them."""
    from black.parsing import InvalidInput

    try:
        result = by_black(code, ranges, style.mode(is_pyi=is_pyi))
        result = result if whole else _with_its_blank_lines(code, result)
        same = _is_same_program(code, result)
    except (ValueError, SyntaxError, RecursionError, MemoryError, InvalidInput):
        return None
    return result if same and (whole or _touches_only(code, result, ranges)) else None


def _is_same_program(code: str, other: str) -> bool:
    """Whether two texts parse to the same. Statements of the same text do. Raises what `parse` raises."""
    if code == other:
        return True
    old, new = parse(code).body, parse(other).body
    old_lines, new_lines = lines_of(code), lines_of(other)
    return len(old) == len(new) and all(
        old_lines[first_line(one) - 1 : one.end_lineno] == new_lines[first_line(two) - 1 : two.end_lineno]
        or ast.dump(one) == ast.dump(two)
        for one, two in zip(old, new, strict=True)
    )


def _with_its_blank_lines(code: str, result: str) -> str:
    """The result with the blank lines of the code, whose white space black takes away wherever they are."""
    old, new = lines_of(code), lines_of(result)
    made: list[str] = []
    done = 0
    for hunk in hunks(old, new):
        before, after = old[hunk.start : hunk.stop], new[hunk.new_start : hunk.new_stop]
        blank = len(before) == len(after) and not any(line.strip() for line in (*before, *after))
        made += [*old[done : hunk.start], *(before if blank else after)]
        done = hunk.stop
    return "".join([*made, *old[done:]])


def _touches_only(code: str, result: str, ranges: list[Range]) -> bool:
    """Whether two texts differ in those lines only; lines added at the edge of a range are outside of it."""
    return all(
        any(first - 1 + (hunk.start == hunk.stop) <= hunk.start and hunk.stop <= last for first, last in ranges)
        and not any(hunk.start == hunk.stop == last for _, last in ranges)
        for hunk in hunks(lines_of(code), lines_of(result))
    )
