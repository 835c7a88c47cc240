"""The picture of a window: two lanes, request A and request B, and time running down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

from autolock.findings import Action, Finding, Step
from autolock.report.lines import one_line
from autolock.report.typeset import Glyphs, fit, fold, python, wrap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LANES = ("A", "B")
_COLORS = ("cyan", "magenta")
_WORDS = {
    Action.READ: "read",
    Action.CHECK: "check",
    Action.WRITE: "write",
    Action.SUSPEND: "await",
    Action.SWITCH: "switch",
    Action.ACQUIRE: "lock",
    Action.RELEASE: "unlock",
    Action.ITERATE: "loop",
}
_WORD_WIDTH = max(map(len, _WORDS.values()))

_LOST = "LOST"

# Between the lanes, between code and its value, and the least and most that a lane is given.
_GAP = 3
_SPACE = 2
_NARROWEST = 27
_WIDEST = 84


def picture(finding: Finding, width: int, glyphs: Glyphs, color: bool) -> list[Text]:
    """The lanes of the finding's window, no line wider than `width` cells (57 at the least).

    The lanes are as wide as their contents need. Long code goes on in a second line and is cut
    there; values are never pushed out by it, they take a line of their own.
    """
    place = finding.place
    return lanes(finding.window.steps, (place.path, place.function), width, glyphs, color)


def lanes(steps: Sequence[Step], owner: tuple[str, str], width: int, glyphs: Glyphs, color: bool) -> list[Text]:
    """Steps of two requests side by side; `owner` is the path and the function that need not be named again."""
    stops = list(_stops(steps, glyphs))
    widest = min((width - _GAP) // 2, _WIDEST)
    digits = max((len(stop.number) for stop in stops), default=0)
    natural = max((cell_len(stop.code) + stop.value_width for stop in stops), default=0) + 3 + digits
    # Words for what each step does are a help, but the code comes first.
    words = natural + _WORD_WIDTH + 1 <= widest
    lane = max(min(natural + words * (_WORD_WIDTH + 1), widest), _NARROWEST)
    return list(_Drawing(_Cells(lane, digits, words, glyphs, color), owner, stops).lines())


@dataclass(frozen=True, slots=True)
class _Stop:
    """A step made ready to be drawn: in which lane, with which mark, its texts on one line each.

    `switch` says why it is this request's turn, where the window has a step of its own for that.
    """

    lane: int
    step: Step
    mark: str
    number: str
    code: str
    value: str
    switch: str

    @classmethod
    def of(cls, step: Step, switch: str, glyphs: Glyphs) -> _Stop:
        marks = {
            Action.READ: glyphs.read,
            Action.CHECK: glyphs.check,
            Action.WRITE: glyphs.write,
            Action.SUSPEND: glyphs.suspend,
            Action.SWITCH: glyphs.suspend,
            Action.ACQUIRE: glyphs.acquire,
            Action.RELEASE: glyphs.release,
            Action.ITERATE: glyphs.iterate,
        }
        return cls(
            lane=0 if step.request == _LANES[0] else 1,
            step=step,
            mark=glyphs.cross if step.lost else marks[step.action],
            number=str(step.place.line),
            code=one_line(step.code),
            value=f"{glyphs.gives} {one_line(step.value)}" if step.value else "",
            switch=switch,
        )

    @property
    def value_width(self) -> int:
        return _SPACE + cell_len(self.value) if self.value else 0

    @property
    def owner(self) -> tuple[str, str]:
        return self.step.place.path, self.step.place.function


def _stops(steps: Sequence[Step], glyphs: Glyphs) -> Iterator[_Stop]:
    switch = ""
    for step in steps:
        # A switch without code is not a place in anybody's program: it becomes the arrow's label.
        if step.action is Action.SWITCH and not step.code:
            switch = one_line(step.note)
        else:
            yield _Stop.of(step, switch, glyphs)
            switch = ""


@dataclass(frozen=True, slots=True)
class _Cells:
    """What is written beside the rail of a lane that is `width` cells wide, rail included."""

    width: int
    digits: int
    words: bool
    glyphs: Glyphs
    color: bool

    @property
    def indent(self) -> int:
        """Cells before the code: mark, line number, and the word for the action where there is room."""
        return 3 + self.digits + self.words * (_WORD_WIDTH + 1)

    def of(self, stop: _Stop) -> Iterator[Text]:
        """The lines of one step: code, value, then what happened to it."""
        room = self.width - self.indent
        code = fold(stop.code, room, self.glyphs.ellipsis)
        value = fit(stop.value, room, self.glyphs.ellipsis)
        if value and cell_len(code[-1]) + _SPACE + cell_len(value) > room:
            code.append("")
        for index, line in enumerate(code):
            text = self._head(stop) if index == 0 else Text(" " * (self.indent - 2))
            text.append_text(self._code(line, stop.step.lost))
            if value and index == len(code) - 1:
                text.append(" " * (_SPACE if line else 0))
                text.append(value, "bold yellow")
            yield text
        yield from self._notes(stop.step)

    def place(self, stop: _Stop) -> Text:
        """Says that the lane goes on in another function or file."""
        path, function = map(one_line, stop.owner)
        text = f"in {function}, {path}" if function else f"in {path}"
        return Text(fit(text, self.width - 2, self.glyphs.ellipsis), style="dim italic")

    def _head(self, stop: _Stop) -> Text:
        text = Text()
        text.append(f"{stop.number:>{self.digits}} ", "dim")
        if self.words:
            text.append(f"{_WORDS[stop.step.action]:<{_WORD_WIDTH}} ", "bold red" if stop.step.lost else "")
        return text

    def _code(self, code: str, lost: bool) -> Text:
        if lost:
            return Text.assemble((code, "bold red"))
        return python(code) if self.color else Text(code)

    def _notes(self, step: Step) -> Iterator[Text]:
        room = self.width - self.indent
        lead = f"{self.glyphs.note} "
        note, style = (f"{_LOST} {step.note}", "bold red") if step.lost else (step.note, "dim")
        for index, line in enumerate(wrap(note, room - len(lead))):
            text = Text.assemble(" " * (self.indent - 2), (lead if index == 0 else " " * len(lead), style))
            if step.lost and index == 0:
                text.append(_LOST, "bold white on red")
                line = line.removeprefix(_LOST)
            yield text.append(line, style)


class _Drawing:
    """Puts the two lanes side by side, a step a row, with an arrow wherever the other request goes on."""

    def __init__(self, cells: _Cells, owner: tuple[str, str], stops: Sequence[_Stop]) -> None:
        self._cells = cells
        self._glyphs = cells.glyphs
        self._stops = stops
        self._started = [False, False]
        self._left = [sum(stop.lane == lane for stop in stops) for lane in (0, 1)]
        self._owners = [owner] * 2

    def lines(self) -> Iterator[Text]:
        yield self._titles()
        previous: _Stop | None = None
        for stop in self._stops:
            if previous is not None and previous.lane != stop.lane:
                yield self._crossing(previous, stop)
            yield from self._stop(stop)
            previous = stop

    def _titles(self) -> Text:
        texts = [Text(f"request {name}", style=f"bold {color}") for name, color in zip(_LANES, _COLORS, strict=True)]
        return self._beside(texts[0], texts[1])

    def _stop(self, stop: _Stop) -> Iterator[Text]:
        self._started[stop.lane] = True
        if stop.owner != self._owners[stop.lane]:
            self._owners[stop.lane] = stop.owner
            yield self._row(stop.lane, self._glyphs.running, self._cells.place(stop))
        self._left[stop.lane] -= 1
        mark = stop.mark
        for text in self._cells.of(stop):
            yield self._row(stop.lane, mark, text)
            mark = self._glyphs.running if self._left[stop.lane] else " "

    def _row(self, lane: int, mark: str, text: Text) -> Text:
        style = "bold red" if mark == self._glyphs.cross else _COLORS[lane]
        own = Text.assemble((mark, style), " ", text)
        other = self._rail(1 - lane)
        return self._beside(own, other) if lane == 0 else self._beside(other, own)

    def _rail(self, lane: int) -> Text:
        waiting = self._started[lane] and self._left[lane]
        return Text(self._glyphs.waiting if waiting else " ", style=f"dim {_COLORS[lane]}")

    def _beside(self, left: Text, right: Text) -> Text:
        line = Text.assemble(left, " " * (self._cells.width + _GAP - left.cell_len), right)
        line.rstrip()
        return line

    def _crossing(self, leaving: _Stop, entering: _Stop) -> Text:
        """The arrow from one rail to the other, with the reason written on it."""
        glyphs, length = self._glyphs, self._cells.width + _GAP - 1
        label = self._label(leaving, entering)
        done = not self._left[leaving.lane]
        if leaving.lane == 0:
            tail, head = glyphs.end_left if done else glyphs.leave_left, glyphs.to_right
        else:
            tail, head = glyphs.end_right if done else glyphs.leave_right, glyphs.to_left
        text = fit(f" {label} ", length - 2, glyphs.ellipsis)
        flow = glyphs.flow * (length - cell_len(text) - 1)
        leaving_color, entering_color = _COLORS[leaving.lane], _COLORS[entering.lane]
        if leaving.lane == 0:
            return Text.assemble(
                (tail + glyphs.flow, leaving_color), (text, "italic"), (flow, "dim"), (head, entering_color)
            )
        return Text.assemble(
            (head, entering_color), (flow, "dim"), (text, "italic"), (glyphs.flow + tail, leaving_color)
        )

    def _label(self, leaving: _Stop, entering: _Stop) -> str:
        goes_on = "resumes" if self._started[entering.lane] else "runs"
        return f"{entering.switch or self._pause(leaving)}, {_LANES[entering.lane]} {goes_on}"

    def _pause(self, leaving: _Stop) -> str:
        name = _LANES[leaving.lane]
        if not self._left[leaving.lane]:
            return f"{name} is done"
        if leaving.step.action is Action.SUSPEND:
            return f"{name} is suspended"
        return f"{name} is interrupted"
