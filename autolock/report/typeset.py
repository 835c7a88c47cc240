"""Setting text in terminal cells: how wide it is, how it is cut, wrapped and coloured."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from rich.cells import cell_len
from rich.style import Style
from rich.syntax import ANSISyntaxTheme, Syntax
from rich.text import Text

from autolock.report.lines import one_line

_HANGING = "  "
_BACKTICKED = r"`[^`]+`"

# The sixteen colours of the terminal's own palette, so that code is readable on any background.
_PYTHON = ANSISyntaxTheme(
    {
        ("Comment",): Style(dim=True, italic=True),
        ("Keyword",): Style(color="magenta"),
        ("Keyword", "Constant"): Style(color="yellow"),
        ("Operator", "Word"): Style(color="magenta"),
        ("Name", "Function"): Style(color="blue"),
        ("Name", "Class"): Style(color="blue"),
        ("Name", "Decorator"): Style(color="cyan"),
        ("Name", "Builtin"): Style(color="cyan"),
        ("Literal", "String"): Style(color="green"),
        ("Literal", "Number"): Style(color="yellow"),
    }
)


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The marks that drawings are made of, each one cell wide except `ellipsis`."""

    rule: str
    bar: str
    pointer: str
    underline: str
    skipped: str
    ellipsis: str
    gives: str
    note: str
    dot: str
    cross: str
    tick: str
    warn: str
    read: str
    check: str
    write: str
    suspend: str
    acquire: str
    release: str
    iterate: str
    running: str
    waiting: str
    flow: str
    leave_left: str
    leave_right: str
    end_left: str
    end_right: str
    to_left: str
    to_right: str


_UNICODE = Glyphs(
    rule="─",
    bar="│",
    pointer="❱",
    underline="━",
    skipped="┊",
    ellipsis="…",
    gives="→",
    note="↳",
    dot="·",
    cross="✗",
    tick="✓",
    warn="▲",
    read="○",
    check="◇",
    write="●",
    suspend="◌",
    acquire="▣",
    release="□",
    iterate="↻",
    running="│",
    waiting="┊",
    flow="╌",
    leave_left="├",
    leave_right="┤",
    end_left="╰",
    end_right="╯",
    to_left="◀",
    to_right="▶",
)

_ASCII = Glyphs(
    rule="-",
    bar="|",
    pointer=">",
    underline="^",
    skipped=":",
    ellipsis="...",
    gives="=",
    note="-",
    dot="-",
    cross="x",
    tick="+",
    warn="!",
    read="o",
    check="?",
    write="*",
    suspend="~",
    acquire="[",
    release="]",
    iterate="@",
    running="|",
    waiting=":",
    flow="-",
    leave_left="+",
    leave_right="+",
    end_left="+",
    end_right="+",
    to_left="<",
    to_right=">",
)


def glyphs(unicode: bool) -> Glyphs:
    """Line-drawing glyphs, or their ASCII stand-ins for encodings that have none."""
    return _UNICODE if unicode else _ASCII


def fit(text: str, width: int, ellipsis: str) -> str:
    """`text`, or its beginning and an ellipsis, in at most `width` cells."""
    # A character can have no width at all, but a line of thousands is cut all the same.
    if len(text) <= 4 * width and cell_len(text) <= width:
        return text
    room = width - len(ellipsis)
    if room < 0:
        return ellipsis[: max(width, 0)]
    return _beginning(text[: 4 * width], room).rstrip() + ellipsis


def fold(text: str, width: int, ellipsis: str) -> list[str]:
    """Code in at most two lines of `width` cells, the second one indented, and cut if need be."""
    if cell_len(text) <= width:
        return [text]
    head = _beginning(text, width)
    pause = max(head.rfind(mark) + 1 for mark in " ([{,")
    # A break far left would leave most of the first line empty.
    if pause > len(head) // 2:
        head = head[:pause]
    return [head.rstrip(), _HANGING + fit(text[len(head) :].lstrip(), width - len(_HANGING), ellipsis)]


def wrap(text: str, width: int) -> list[str]:
    """The words of `text` in lines of at most `width` cells; a word that is wider is broken."""
    lines: list[str] = []
    line = ""
    for word in one_line(text).split():
        joined = f"{line} {word}" if line else word
        if cell_len(joined) <= width:
            line = joined
            continue
        if line:
            lines.append(line)
        line = word
        while cell_len(line) > width:
            # One character more than fits nowhere, a wide one in a single cell, is let through.
            head = _beginning(line, width) or line[0]
            lines.append(head)
            line = line[len(head) :]
    return [*lines, line] if line else lines


def prose(text: str, width: int, style: str = "") -> list[Text]:
    """`text` wrapped, with what stands in backticks shown as code."""
    if not text.strip():
        return []
    whole = Text("\n".join(wrap(text, width)), style=style)
    whole.highlight_regex(_BACKTICKED, "bold cyan")
    return list(whole.split("\n"))


def python(code: str) -> Text:
    """Cleaned Python code, one line or several, in colours."""
    # The highlighter may end the text with a newline of its own.
    return _highlighter().highlight(code)[: len(code)]


@lru_cache(maxsize=1)
def _highlighter() -> Syntax:
    return Syntax("", "python", theme=_PYTHON)


def _beginning(text: str, width: int) -> str:
    used = 0
    for index, character in enumerate(text):
        used += cell_len(character)
        if used > width:
            return text[:index]
    return text
