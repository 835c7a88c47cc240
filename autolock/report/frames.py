"""The code frame of a finding: its lines, a few around them, and a mark at the place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

from autolock.report.lines import clean
from autolock.report.typeset import Glyphs, fit, python

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from autolock.findings import Place

_CONTEXT = 2
_LONGEST = 9
_TAB = 4


def frame(lines: Sequence[str], place: Place, width: int, glyphs: Glyphs, color: bool) -> list[Text]:
    """The frame in at most `width` cells, or nothing where `place` lies outside `lines`, those of the whole file."""
    if not 1 <= place.line <= len(lines):
        return []
    numbers = _shown_lines(place, lines)
    code = {number: _expanded(lines[number - 1]) for number in numbers if number is not None}
    margin = min((_indent(text) for text in code.values() if text), default=0)
    gutter = _Gutter(len(str(max(code))), glyphs)
    room = width - gutter.width
    drawn: list[Text] = []
    for number in numbers:
        if number is None:
            drawn.append(gutter.skip())
            continue
        text = fit(code[number][margin:], room, glyphs.ellipsis)
        marked = place.line <= number <= place.end_line
        drawn.append(Text.assemble(gutter.before(number, marked), python(text) if color else text))
        if marked and place.line == place.end_line:
            drawn.extend(_underline(lines[number - 1], place, margin, room, gutter))
    return drawn


@dataclass(frozen=True, slots=True)
class _Gutter:
    """What stands left of the code: a pointer, the line's number, a bar."""

    digits: int
    glyphs: Glyphs

    @property
    def width(self) -> int:
        return self.digits + 5

    def before(self, number: int, marked: bool) -> Text:
        pointer = f"{self.glyphs.pointer} " if marked else "  "
        return Text.assemble(
            (pointer, "bold red"),
            (f"{number:>{self.digits}}", "bold" if marked else "dim"),
            (f" {self.glyphs.bar} ", "dim"),
        )

    def below(self) -> Text:
        return Text(" " * (self.digits + 2) + f" {self.glyphs.bar} ", style="dim")

    def skip(self) -> Text:
        return Text(" " * (self.digits + 2) + f" {self.glyphs.skipped}", style="dim")


def _shown_lines(place: Place, lines: Sequence[str]) -> list[int | None]:
    """The numbers of the lines to draw; None stands for lines left out of the middle of a long place."""
    first = max(place.line - _CONTEXT, 1)
    last = min(max(place.end_line, place.line) + _CONTEXT, len(lines))
    while first < place.line and not lines[first - 1].strip():
        first += 1
    while last > max(place.end_line, place.line) and not lines[last - 1].strip():
        last -= 1
    numbers = list(range(first, last + 1))
    if len(numbers) <= _LONGEST:
        return [*numbers]
    return [*numbers[: _LONGEST - 4], None, *numbers[-3:]]


def _expanded(line: str) -> str:
    return clean(line.rstrip().expandtabs(_TAB))


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip(" "))


def _underline(line: str, place: Place, margin: int, room: int, gutter: _Gutter) -> Iterator[Text]:
    before = cell_len(_expanded_part(line, place.column - 1)) - margin
    after = cell_len(_expanded_part(line, place.end_column - 1)) - margin
    length = min(after, room) - before
    if before >= 0 and length > 0:
        yield Text.assemble(gutter.below(), " " * before, (gutter.glyphs.underline * length, "bold red"))


def _expanded_part(line: str, end: int) -> str:
    return clean(line[:end].expandtabs(_TAB))
