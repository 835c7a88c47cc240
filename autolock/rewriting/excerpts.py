"""The few statements of a file round some of its lines, to be formatted instead of the whole file."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
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
    r"^[ \t]*#(?![ !:#'\n])|^[ \t]*#.*[ \t]$|^[ \t]+$|\n\n\n[ \t\n]|\f|\r|\bfmt: ?\w|yapf: ?\w|\\$|\A\s|\n\n\Z",
    re.MULTILINE,
)
_INDENT = 4
_NESTING = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def by_black(code: str, ranges: list[Range], mode: black.Mode) -> str:
    """What black makes of some lines of a file: it parses all that it gets, so of excerpts where they tell.

    Where black refuses a file for what stands elsewhere in it, excerpts are formatted all the same.

    Raises what black raises.
    """
    import black

    return _by_excerpts(code, ranges, mode) or black.format_str(code, mode=mode, lines=ranges)


def _by_excerpts(code: str, ranges: Sequence[Range], mode: black.Mode) -> str | None:
    """The whole text with its ranges formatted; None where excerpts do not tell."""
    code += "" if code.endswith("\n") else "\n"  # as black does
    try:
        parts = excerpts(code, ranges)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    changes: list[_Change] = []
    for part in parts or ():
        formatted = _formatted(part.text, part.ranges, mode)
        change = None if formatted is None else part.changes(formatted)
        if change is None:
            return None
        changes += change
    lines = lines_of(code)
    for first, stop, new in sorted(changes, reverse=True):
        lines[first:stop] = new
    return "".join(lines) if parts else None


@lru_cache(maxsize=128)
def _formatted(text: str, ranges: tuple[Range, ...], mode: black.Mode) -> str | None:
    """An excerpt formatted; None where that may depend on the rest of the file. Each plan for a file asks again."""
    import black
    from black.mode import TargetVersion
    from black.parsing import InvalidInput

    try:
        formatted = black.format_str(text, mode=mode, lines=ranges)
        if mode.target_versions:
            return formatted
        # Black takes the versions from what the file uses, and the excerpt may use less of it.
        newest = replace(mode, target_versions={list(TargetVersion)[-1]})
        return formatted if black.format_str(text, mode=newest, lines=ranges) == formatted else None
    except (ValueError, SyntaxError, RecursionError, MemoryError, InvalidInput):
        return None


_Change = tuple[int, int, list[str]]
"""The lines that stand in the place of others, from 0, of a text."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Some lines of a text that are a program by themselves, with the numbers that the wanted ranges have in it.

    Only the lines whose numbers in the text are `_inner` are to be formatted; the others are their neighbours.
    """

    text: str
    ranges: tuple[Range, ...]
    _numbers: list[int]
    _inner: set[int]

    def changes(self, formatted: str) -> list[_Change] | None:
        """What formatting changes in the whole text; None where that is more than was to be formatted."""
        made: list[_Change] = []
        new = lines_of(formatted)
        for hunk in hunks(lines_of(self.text), new):
            places = self._numbers[max(hunk.start - (hunk.start == hunk.stop), 0) : hunk.stop]
            if not self._inner.issuperset(places) or places[-1] - places[0] != len(places) - 1:
                return None
            first = places[-1] if hunk.start == hunk.stop else places[0] - 1
            made.append((first, first + hunk.stop - hunk.start, new[hunk.new_start : hunk.new_stop]))
        return made


def excerpts(code: str, ranges: Sequence[Range]) -> list[Excerpt] | None:
    """The statements in which the ranges are, each with those beside it, in the heads of its class and function.

    None where formatting them by themselves may be another thing than formatting the ranges in the whole, or is no
    faster. Raises what `parse` raises.
    """
    lines = lines_of(code)
    if len(lines) < _WORTH_CUTTING or _FAR_REACHING.search(code):
        return None
    body = parse(code).body
    if not body or not _is_indented_by_four(body):
        return None
    cuttings: list[_Cutting] = []
    for first, last in ranges:
        cutting = _Cutting([(first, last)], set(), set())
        cutting.keep(body, (first, last), lines)
        if not cutting.inner.issuperset(range(first, last + 1)):
            return None
        for other in [other for other in cuttings if cutting.meets(other)]:
            cuttings.remove(other)
            cutting = cutting.with_other(other)
        cuttings.append(cutting)
    if any(len(cutting.kept) > len(lines) // 2 for cutting in cuttings):
        return None
    return [cutting.excerpt(lines) for cutting in cuttings]


@dataclass(frozen=True, slots=True)
class _Cutting:
    """Ranges with the numbers of the lines that are kept for them, and of those among them that may be formatted."""

    ranges: list[Range]
    kept: set[int]
    inner: set[int]

    def meets(self, other: _Cutting) -> bool:
        """Whether what is formatted for one is kept for the other."""
        return not (self.inner.isdisjoint(other.kept) and other.inner.isdisjoint(self.kept))

    def with_other(self, other: _Cutting) -> _Cutting:
        return _Cutting(sorted(self.ranges + other.ranges), self.kept | other.kept, self.inner | other.inner)

    def excerpt(self, lines: Sequence[str]) -> Excerpt:
        numbers = sorted(self.kept)
        places = {number: place for place, number in enumerate(numbers, 1)}
        ranges = tuple((places[first], places[last]) for first, last in self.ranges)
        return Excerpt("".join(lines[number - 1] for number in numbers), ranges, numbers, self.inner)

    def keep(self, body: Sequence[ast.stmt], wanted: Range, lines: Sequence[str]) -> bool:
        """Keep what is to be kept for a range in the statements of a module, a class or a function.

        Says whether that goes to the end of the statements, so that what follows them is a neighbour.
        """
        first, last = wanted
        spans = [(first_line(statement), statement.end_lineno or statement.lineno) for statement in body]
        begin = next((n for n, (_, stop) in enumerate(spans) if stop >= first), len(spans) - 1)
        end = max(begin, next((n for n in reversed(range(len(spans))) if spans[n][0] <= last), 0))
        low, high = max(begin - 1, 0), min(end + 1, len(spans) - 1)
        only = body[begin]
        if begin == end and isinstance(only, _NESTING) and _is_inside(wanted, only.body, lines):
            self._keep_lines(spans[begin][0], first_line(only.body[0]) - 1)
            at_end = self.keep(only.body, wanted, lines)
            if at_end:
                self._keep_lines(spans[begin][1] + 1, spans[high][1])
            return at_end and high == end
        self._keep_lines(spans[low][0], spans[high][1])
        self.inner.update(
            range(
                spans[low][1] + 1 if low < begin else spans[low][0],
                spans[high][0] if high > end else spans[high][1] + 1,
            )
        )
        return high == end

    def _keep_lines(self, first: int, last: int) -> None:
        self.kept.update(range(first, last + 1))


def first_line(statement: ast.stmt) -> int:
    """The number of the first line of a statement, decorators included."""
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(decorator.lineno for decorator in decorators)])


def _is_inside(wanted: Range, body: Sequence[ast.stmt], lines: Sequence[str]) -> bool:
    """Whether lines are among the statements of a body, which begin below its head."""
    first = first_line(body[0])
    below = not lines[first - 1][: body[0].col_offset].strip()
    return below and first <= wanted[0] and wanted[1] <= (body[-1].end_lineno or 0)


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
