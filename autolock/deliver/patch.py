"""Unified diffs of bytes, in the form that `git apply` and `patch -p1` take.

A line ends at a line feed and nowhere else: carriage returns, form feeds, the Unicode separators and bytes that are
no UTF-8 are content like any other, so that the patched file is the rewritten one to the byte.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, NamedTuple

from autolock.findings import FileChange, Rewrite

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_NO_NEWLINE = b"\n\\ No newline at end of file\n"

_ESCAPES = {byte: b"\\%03o" % byte for byte in (*range(0x20), *range(0x7F, 0x100))} | {
    ord("\a"): b"\\a",
    ord("\b"): b"\\b",
    ord("\t"): b"\\t",
    ord("\n"): b"\\n",
    ord("\v"): b"\\v",
    ord("\f"): b"\\f",
    ord("\r"): b"\\r",
    ord('"'): b'\\"',
    ord("\\"): b"\\\\",
}


class _Edit(NamedTuple):
    """Lines `before[start:end]` become lines `after[new_start:new_end]`; nothing between two edits differs."""

    start: int
    end: int
    new_start: int
    new_end: int


def unified_diff(changes: Sequence[FileChange], context: int = 3) -> bytes:
    """The changes as one patch, in the order given, with `context` unchanged lines round each.

    Files that do not differ are left out. The names have no `diff --git` line above them, on purpose: git then takes
    them relative to the folder it runs in, and the patch applies from a subfolder of the repository as well as from
    its top. With `context` 0, `git apply` needs `--unidiff-zero`.
    """
    return b"".join(_file_diff(change, context) for change in changes if change.before != change.after)


def combine(rewrites: Iterable[Rewrite]) -> tuple[FileChange, ...]:
    """The rewrites of a run as one change a file, files in order of their first change.

    Each rewrite continues where the earlier ones ended: its `before` is their `after`. A file that ends as it began
    is left out. Raises ValueError where a `before` is not what the chain so far has made of the file.
    """
    combined: dict[str, FileChange] = {}
    for change in (change for rewrite in rewrites for change in rewrite.changes):
        earlier = combined.get(change.path, FileChange(change.path, change.before, change.before))
        if earlier.after != change.before:
            raise ValueError(f"{change.path}: a rewrite does not continue the one before it")
        combined[change.path] = FileChange(change.path, earlier.before, change.after)
    return tuple(change for change in combined.values() if change.before != change.after)


def _file_diff(change: FileChange, context: int) -> bytes:
    before, after = _lines(change.before), _lines(change.after)
    name = change.path.encode("utf-8", "surrogateescape")
    parts = [b"--- %s\n+++ %s\n" % (_quoted(b"a/" + name), _quoted(b"b/" + name))]
    for group in _grouped(_edits(before, after), context):
        parts.extend(_hunk(before, after, group, context))
    return b"".join(parts)


def _lines(data: bytes) -> list[bytes]:
    """The lines of `data` with their line feeds; only the last one can lack it."""
    lines = [line + b"\n" for line in data.split(b"\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


def _quoted(name: bytes) -> bytes:
    """`name` as it stands where that is unambiguous, else as a C string, which git and GNU patch both read."""
    escaped = b"".join(_ESCAPES.get(byte, bytes((byte,))) for byte in name)
    return b'"' + escaped + b'"' if escaped != name or b" " in name else name


def _hunk(before: list[bytes], after: list[bytes], edits: list[_Edit], context: int) -> Iterator[bytes]:
    first, last = edits[0], edits[-1]
    lead = min(context, first.start)
    trail = min(context, len(before) - last.end)
    old = _span(first.start - lead, last.end + trail)
    new = _span(first.new_start - lead, last.new_end + trail)
    yield b"@@ -%s +%s @@\n" % (old, new)
    position = first.start - lead
    for edit in edits:
        yield from _marked(b" ", before[position : edit.start])
        yield from _marked(b"-", before[edit.start : edit.end])
        yield from _marked(b"+", after[edit.new_start : edit.new_end])
        position = edit.end
    yield from _marked(b" ", before[position : position + trail])


def _span(start: int, end: int) -> bytes:
    """The range of a hunk header: counted from 1, or the line before it where it is empty."""
    length = end - start
    if length == 1:
        return b"%d" % end
    return b"%d,%d" % (start + 1 if length else start, length)


def _marked(mark: bytes, lines: Iterable[bytes]) -> Iterator[bytes]:
    for line in lines:
        yield mark + line if line.endswith(b"\n") else mark + line + _NO_NEWLINE


def _grouped(edits: Iterable[_Edit], context: int) -> Iterator[list[_Edit]]:
    """Edits whose contexts touch share a hunk."""
    group: list[_Edit] = []
    for edit in edits:
        if group and edit.start - group[-1].end > 2 * context:
            yield group
            group = []
        group.append(edit)
    if group:
        yield group


def _edits(before: list[bytes], after: list[bytes]) -> Iterator[_Edit]:
    """Where the two differ, in order.

    Lines that occur once in both split the files into short stretches, because the time SequenceMatcher takes grows
    with the square of the number of equal lines (the blank ones) in a stretch.
    """
    lead = _common_lead(before, after)
    trail = _common_lead(before[lead:][::-1], after[lead:][::-1])
    end, new_end = len(before) - trail, len(after) - trail
    position, new_position = lead, lead
    for anchor, new_anchor in [*_anchors(before, after, lead, end, new_end), (end, new_end)]:
        yield from _stretch(before, after, _Edit(position, anchor, new_position, new_anchor))
        position, new_position = anchor, new_anchor


def _stretch(before: list[bytes], after: list[bytes], within: _Edit) -> Iterator[_Edit]:
    old, new = before[within.start : within.end], after[within.new_start : within.new_end]
    if old == new:
        return
    lead = _common_lead(old, new)
    offset, new_offset = within.start + lead, within.new_start + lead
    for tag, start, end, new_start, new_end in SequenceMatcher(None, old[lead:], new[lead:], False).get_opcodes():
        if tag != "equal":
            yield _Edit(offset + start, offset + end, new_offset + new_start, new_offset + new_end)


def _common_lead(one: list[bytes], other: list[bytes]) -> int:
    """How many lines are the same at the start of both."""
    length = min(len(one), len(other))
    return next((index for index in range(length) if one[index] != other[index]), length)


def _anchors(before: list[bytes], after: list[bytes], start: int, end: int, new_end: int) -> list[tuple[int, int]]:
    """The longest run, in order in both files, of pairs of lines that occur once in each."""
    unique = _unique(before, start, end)
    others = _unique(after, start, new_end)
    pairs = [(index, others[line]) for line, index in unique.items() if line in others]
    return _increasing(pairs)


def _unique(lines: list[bytes], start: int, end: int) -> dict[bytes, int]:
    counts = Counter(lines[start:end])
    return {line: start + index for index, line in enumerate(lines[start:end]) if counts[line] == 1}


def _increasing(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest subsequence whose second members increase; the first ones already do (patience sorting)."""
    tops: list[int] = []
    top_pairs: list[int] = []
    previous: list[int] = []
    for index, (_, value) in enumerate(pairs):
        pile = bisect_left(tops, value)
        previous.append(top_pairs[pile - 1] if pile else -1)
        tops[pile : pile + 1] = [value]
        top_pairs[pile : pile + 1] = [index]
    chain: list[tuple[int, int]] = []
    index = top_pairs[-1] if top_pairs else -1
    while index >= 0:
        chain.append(pairs[index])
        index = previous[index]
    return chain[::-1]
