"""A Python file as text and back, without losing a byte."""

from __future__ import annotations

import io
import re
import tokenize
from codecs import BOM_UTF8
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")


class TextError(ValueError):
    """A file is not text, or a change cannot be carried into it; the message says why."""


@dataclass(frozen=True, slots=True)
class Text:
    """The text of a file and what is needed to write it again."""

    code: str
    encoding: str
    marked: bool

    @classmethod
    def read(cls, source: bytes) -> Text:
        """Decode a file by its byte order mark and encoding cookie; raises TextError."""
        try:
            encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
            encoding = encoding.removesuffix("-sig")
            marked = source.startswith(BOM_UTF8)
            text = cls(source.removeprefix(BOM_UTF8).decode(encoding), encoding, marked)
        except (SyntaxError, LookupError, ValueError) as error:
            raise TextError(f"the file cannot be decoded: {error}") from error
        if text.written(text.code) != source:
            raise TextError(f"the file does not survive being decoded from {encoding}")
        return text

    def written(self, code: str) -> bytes:
        """Encode other code in the way of this file; raises TextError."""
        try:
            return (BOM_UTF8 if self.marked else b"") + code.encode(self.encoding)
        except UnicodeEncodeError as error:
            raise TextError(f"the encoding {self.encoding} of the file has no {error.object[error.start]!r}") from error


class Hunk(NamedTuple):
    """Lines `start:stop` of one text, and `new_start:new_stop` of another that stand in their place."""

    start: int
    stop: int
    new_start: int
    new_stop: int


def lines_of(code: str) -> list[str]:
    """The lines of Python code with their ends: only LF, CRLF and CR end one."""
    return _LINE.findall(code)


def hunks(before: Sequence[str], after: Sequence[str]) -> Iterator[Hunk]:
    """Where two texts differ, line by line."""
    head = 0
    shorter = min(len(before), len(after))
    while head < shorter and before[head] == after[head]:
        head += 1
    tail = 0
    while tail < shorter - head and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    old, new = before[head : len(before) - tail], after[head : len(after) - tail]
    for tag, start, stop, new_start, new_stop in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            yield Hunk(head + start, head + stop, head + new_start, head + new_stop)


def carried(original: str, printed: str, edited: str) -> str:
    """The change from `printed` to `edited`, made in `original`.

    `printed` is what a printer makes of the unchanged tree of `original`: the same lines, but for
    some small loss such as a form feed. Raises TextError where the change touches a lost place.
    """
    if original == printed:
        return edited
    kept, plain, changed = lines_of(original), lines_of(printed), lines_of(edited)
    if len(kept) != len(plain):
        raise TextError("libcst does not keep the lines of the file")
    result: list[str] = []
    done = 0
    for hunk in hunks(plain, changed):
        if kept[hunk.start : hunk.stop] != plain[hunk.start : hunk.stop]:
            raise TextError("the change touches a line that libcst does not keep as it is")
        result += kept[done : hunk.start] + changed[hunk.new_start : hunk.new_stop]
        done = hunk.stop
    return "".join(result + kept[done:])
