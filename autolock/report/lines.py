"""Lines of source text: counted as Python's parser counts them, and made safe to print."""

from __future__ import annotations

import re
import unicodedata

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")

# Joiners and selectors make the width of a string differ from the sum of its characters, and
# terminals disagree on it; without them every terminal draws what we measured.
_INVISIBLE = dict.fromkeys(map(ord, "\u200d\ufe0e\ufe0f\ufeff"))


def split_lines(text: str) -> list[str]:
    """The lines of `text` with their endings.

    Only `\\n`, `\\r\\n` and `\\r` end a line: `str.splitlines` also breaks at form feeds and the
    like, and every line number after one would be wrong.
    """
    return _LINE.findall(text)


def clean(text: str) -> str:
    """`text` with everything escaped that a terminal would obey instead of show.

    Control characters, bidirectional overrides and lone surrogates in somebody's source can
    recolour the screen or reorder a line.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_shown, text.translate(_INVISIBLE)))


def one_line(text: str) -> str:
    """`text` cleaned, its line breaks and the indentation round them each made one space."""
    return clean(re.sub(r"\s*[\r\n]+\s*", " ", text).strip())


def _shown(character: str) -> str:
    # Python calls the wider and the unbreakable spaces unprintable, yet they are just spaces.
    if character.isprintable() or unicodedata.category(character) == "Zs":
        return character
    return character.encode("unicode_escape").decode("ascii")
