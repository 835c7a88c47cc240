"""The few statements of a file round some of its lines, to be formatted instead of the whole file."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from autolock.rewriting.text import hunks, lines_of
from codemods.parsing import parse

if TYPE_CHECKING:
    import black

Range = tuple[int, int]
"""The first and the last number, from 1, of some lines."""

#: Lines below which a file is formatted as fast as a whole.
_WORTH_CUTTING = 150
#: What black may change far from the lines that it is given, or what changes how it treats lines far away: comments
#: without a space and such that end in one, comments that switch formatting off, blank lines with spaces and too many
#: blank lines.
_FAR_REACHING = re.compile(
    r"^[ \t]*#(?![ !:#'\n])|^[ \t]*#.*[ \t]$|^[ \t]+$|\n\n\n[ \t\n]|\f|\r|\bfmt: ?\w|yapf: ?\w|\\$|\A\s|\n\n\Z|[^\n]\Z",
    re.MULTILINE,
)
_INDENT = 4


def by_black(code: str, ranges: list[Range], mode: black.Mode) -> str:
    """What black makes of some lines of a file: it parses all that it gets, so of an excerpt where that tells.

    Raises what black raises.
    """
    import black

    return _by_excerpt(code, ranges, mode) or black.format_str(code, mode=mode, lines=ranges)


def _by_excerpt(code: str, ranges: list[Range], mode: black.Mode) -> str | None:
    """The whole text with its ranges formatted; None where an excerpt does not tell."""
    import black
    from black.mode import TargetVersion
    from black.parsing import InvalidInput

    try:
        part = excerpt(code, ranges)
        if part is None:
            return None
        formatted = black.format_str(part.text, mode=mode, lines=part.ranges)
        if not mode.target_versions:
            # Black takes the versions from what the file uses, and the excerpt may use less of it.
            newest = replace(mode, target_versions={list(TargetVersion)[-1]})
            if black.format_str(part.text, mode=newest, lines=part.ranges) != formatted:
                return None
        return part.put_back(formatted)
    except (ValueError, SyntaxError, RecursionError, MemoryError, InvalidInput):
        return None


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Some lines of a text that are a program by themselves, with the numbers that the wanted ranges have in it.

    Only the lines whose numbers in the text are `_inner` are to be formatted; the others are their neighbours.
    """

    text: str
    ranges: list[Range]
    _lines: list[str]
    _numbers: list[int]
    _inner: frozenset[int]

    def put_back(self, formatted: str) -> str | None:
        """The whole text with the excerpt as it is formatted; None where more has changed than was to be formatted."""
        lines, new = list(self._lines), lines_of(formatted)
        for hunk in reversed(list(hunks(lines_of(self.text), new))):
            places = self._numbers[max(hunk.start - (hunk.start == hunk.stop), 0) : hunk.stop]
            if not self._inner.issuperset(places) or places[-1] - places[0] != len(places) - 1:
                return None
            first = places[-1] if hunk.start == hunk.stop else places[0] - 1
            lines[first : first + hunk.stop - hunk.start] = new[hunk.new_start : hunk.new_stop]
        return "".join(lines)


def excerpt(code: str, ranges: Sequence[Range]) -> Excerpt | None:
    """The statements in which the ranges are, with the one before and after, in the heads of their classes.

    None where formatting that by itself may be another thing than formatting the ranges in the whole, or is no faster.
    Raises what `parse` raises.
    """
    lines = lines_of(code)
    if len(lines) < _WORTH_CUTTING or _FAR_REACHING.search(code):
        return None
    body = parse(code).body
    if not body or not _is_indented_by_four(body):
        return None
    cutting = _Cutting(set(), set())
    for one in ranges:
        cutting.keep(body, one)
    if not all(cutting.inner.issuperset(range(first, last + 1)) for first, last in ranges):
        return None
    numbers = sorted(cutting.kept)
    if len(numbers) > len(lines) // 2:
        return None
    places = {number: place for place, number in enumerate(numbers, 1)}
    moved = [(places[first], places[last]) for first, last in ranges]
    text = "".join(lines[number - 1] for number in numbers)
    return Excerpt(text, moved, lines, numbers, frozenset(cutting.inner))


@dataclass(frozen=True, slots=True)
class _Cutting:
    """The numbers of the lines that are kept, and of those among them that may be formatted."""

    kept: set[int]
    inner: set[int]

    def keep(self, body: Sequence[ast.stmt], wanted: Range) -> None:
        """Keep what is to be kept for a range in the statements of a module or a class."""
        first, last = wanted
        spans = [(_first_line(statement), statement.end_lineno or statement.lineno) for statement in body]
        begin = next((n for n, (_, stop) in enumerate(spans) if stop >= first), len(spans) - 1)
        end = max(begin, next((n for n in reversed(range(len(spans))) if spans[n][0] <= last), 0))
        low, high = max(begin - 1, 0), min(end + 1, len(spans) - 1)
        only = body[begin]
        if begin == end and isinstance(only, ast.ClassDef) and _is_inside(wanted, only):
            self._keep_lines(spans[low][0], _first_line(only.body[0]) - 1)
            self._keep_lines(spans[begin][1] + 1, spans[high][1])
            self.keep(only.body, wanted)
            return
        self._keep_lines(spans[low][0], spans[high][1])
        self.inner.update(
            range(
                spans[low][1] + 1 if low < begin else spans[low][0],
                spans[high][0] if high > end else spans[high][1] + 1,
            )
        )

    def _keep_lines(self, first: int, last: int) -> None:
        self.kept.update(range(first, last + 1))


def _first_line(statement: ast.stmt) -> int:
    """The number of the first line of a statement, decorators included."""
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(decorator.lineno for decorator in decorators)])


def _is_inside(wanted: Range, cls: ast.ClassDef) -> bool:
    """Whether lines are among the statements of a class, which begin below its head."""
    start = _first_line(cls.body[0])
    head = max([cls.lineno, *(base.end_lineno or 0 for base in (*cls.bases, *(k.value for k in cls.keywords)))])
    return head < start <= wanted[0] and wanted[1] <= (cls.body[-1].end_lineno or 0)


def _is_indented_by_four(body: Sequence[ast.stmt]) -> bool:
    """Whether all blocks in some statements are indented as black does it, or on the line of their head."""
    todo = list(body)
    for statement in todo:
        for block in _blocks(statement):
            todo += block
            if block[0].lineno != statement.lineno and not _is_elif(statement, block):
                step = 2 * _INDENT if isinstance(statement, ast.Match) else _INDENT
                if block[0].col_offset != statement.col_offset + step:
                    return False
    return True


def _is_elif(statement: ast.stmt, block: list[ast.stmt]) -> bool:
    return isinstance(statement, ast.If) and block is statement.orelse and isinstance(block[0], ast.If)


def _blocks(statement: ast.AST) -> Iterator[list[ast.stmt]]:
    """The blocks of statements that a statement has."""
    for field in ("body", "orelse", "finalbody"):
        if block := getattr(statement, field, None):
            yield block
    for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
        yield from _blocks(part)
