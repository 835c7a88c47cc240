"""The parameters that a driver fills into SQL text, written so that every dialect's parser takes them."""

from __future__ import annotations

import re
from dataclasses import dataclass

#: What cannot hold a parameter comes first, so that it is skipped as a whole.
_PIECES = re.compile(
    r"""
      '(?:[^']|'')*' | "(?:[^"]|"")*" | `[^`]*`          # strings and quoted names
    | --[^\n]* | /\*.*?\*/                               # comments
    | \$(?P<tag>[A-Za-z_]\w*|)\$.*?\$(?P=tag)\$          # dollar-quoted strings
    | (?P<percent>%%)
    | (?P<escaped>\\:)
    | %\((?P<pyformat>\w+)\)s
    | (?P<format>%s)
    | (?P<number>\$\d+)
    | (?<![:\w\\])[:$](?P<named>[A-Za-z_]\w*)
    | \?(?P<position>\d*)
    """,
    re.VERBOSE | re.DOTALL,
)
_MARK = "autolock_"
_WRITTEN_MARK = re.compile(rf":{_MARK}(\d+)|%\({_MARK}(\d+)\)s|[$@]{_MARK}(\d+)")


@dataclass(frozen=True, slots=True)
class Marked:
    """SQL whose parameters are all written `:autolock_0`, `:autolock_1`, ..., and what each of them was."""

    text: str
    labels: tuple[str, ...]

    def label(self, name: str) -> str:
        """What the parameter `name` of the text was called; empty for one that was not marked."""
        number = name.removeprefix(_MARK)
        known = name.startswith(_MARK) and number.isdecimal() and int(number) < len(self.labels)
        return self.labels[int(number)] if known else ""

    def restored(self, text: str) -> str:
        """A piece of the SQL, as a parser wrote it, with the parameters' own names."""
        return _WRITTEN_MARK.sub(lambda found: self.labels[int(found[1] or found[2] or found[3])], text)


def mark(text: str) -> Marked:
    """Give every parameter of the text a name of one kind.

    A label is `:name` however the driver writes names (`:name`, `%(name)s`, `$name`), `$1` for
    numbers, and `%s#0`, `?#0` for the first of those that go by their order.
    """
    labels: list[str] = []
    counts = {"%s": 0, "?": 0}

    def replaced(found: re.Match[str]) -> str:
        if found["percent"]:
            return "%"
        if found["escaped"]:
            return ":"
        label = _label(found, counts)
        if not label:
            return found[0]
        labels.append(label)
        return f" :{_MARK}{len(labels) - 1} "

    return Marked(_PIECES.sub(replaced, text), tuple(labels))


def _label(found: re.Match[str], counts: dict[str, int]) -> str:
    name = found["pyformat"] or found["named"]
    if name:
        return f":{name}"
    if found["number"] or found["position"]:
        return found[0]
    style = found[0]
    if style not in counts:
        return ""
    counts[style] += 1
    return f"{style}#{counts[style] - 1}"
