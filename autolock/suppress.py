"""Comments that silence findings.

    stock[item] -= 1  # autolock: ignore[AL101] one worker, one thread
    # autolock: ignore[AL101, check-then-act] the reason
    # autolock: ignore
    # autolock: ignore-file[AL1]

A comment belongs to the statement that it stands in or behind, or, on a line of its own, to the
statement below it; of a compound statement (`if`, `def`, ...) to its header. It silences a finding
that begins or ends in that statement. In brackets stand ids, names or families of rules; without
brackets it silences every rule. `ignore-file` silences the whole file; it stands before the first
statement, a docstring aside, or in the first ten lines.
"""

from __future__ import annotations

import io
import re
import tokenize
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from autolock.config import resolve_rules
from autolock.errors import AutolockError
from autolock.findings import Finding, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

MARKER = b"autolock:"
"""Only a file whose bytes contain this can hold a suppression."""

_HEAD_LINES = 10
_PRAGMA = re.compile(
    r"#\s*autolock:\s*(?P<text>(?P<word>ignore-file|ignore)(?:\s*\[(?P<rules>[^\]]+)\])?(?=\s|#|$)|[^#]*)",
)


@dataclass(frozen=True, slots=True)
class Suppression:
    """One comment: its line, what it silences, and the lines of the statement that it belongs to.

    `rules` are the selectors as written, empty for every rule. `flaw` says why the comment can
    silence nothing, wherever the findings are; it is empty for a sound one.
    """

    line: int
    text: str
    rules: tuple[str, ...]
    first_line: int
    last_line: int
    whole_file: bool = False
    flaw: str = ""

    def touches(self, finding: Finding) -> bool:
        """Whether the finding begins or ends in the statement (or file) that the comment belongs to."""
        place = finding.place
        return (
            self.whole_file
            or self.first_line <= place.line <= self.last_line
            or self.first_line <= place.end_line <= self.last_line
        )


class Suppressed(NamedTuple):
    """What comments leave: the findings that stay, how many are silenced, and the comments that did nothing."""

    kept: tuple[Finding, ...]
    silenced: int
    notes: tuple[Problem, ...]


def apply_suppressions(
    findings: Sequence[Finding],
    texts: Mapping[str, str],
    known: Mapping[str, str],
    ran: Callable[[str, str], bool],
) -> Suppressed:
    """Take out the findings that comments silence, and tell which comments silence nothing.

    `findings` are all that the analysis made, before certainty or severity hides any of them, else a
    comment for a hidden one would count as useless. `texts` maps the path of each file whose bytes
    contain `MARKER` to its text. `known` maps every rule's id to its name; `ran(rule, path)` tells
    whether the rule was run on the file: a comment is called useless only if every rule that it
    names was.
    """
    silenced: set[int] = set()
    notes: list[Problem] = []
    for path in sorted(texts):
        here = [(index, finding) for index, finding in enumerate(findings) if finding.place.path == path]
        for suppression in find_suppressions(texts[path]):
            place = f"{path}:{suppression.line}"
            if suppression.flaw:
                notes.append(Problem(place, f"`{suppression.text}` {suppression.flaw}"))
                continue
            rules, unknown = _resolve(suppression, place, known)
            hits = {index for index, finding in here if finding.rule in rules and suppression.touches(finding)}
            silenced |= hits
            notes += unknown
            if rules and not hits and all(ran(rule, path) for rule in rules):
                notes.append(Problem(place, f"`{suppression.text}` suppresses nothing", "remove it"))
    kept = tuple(finding for index, finding in enumerate(findings) if index not in silenced)
    return Suppressed(kept, len(silenced), tuple(notes))


def _resolve(suppression: Suppression, place: str, known: Mapping[str, str]) -> tuple[frozenset[str], list[Problem]]:
    """The ids of the rules that a comment names, and what is wrong with those that do not exist."""
    if not suppression.rules:
        return frozenset(known), []
    rules: set[str] = set()
    unknown: list[Problem] = []
    for selector in suppression.rules:
        try:
            rules.update(resolve_rules([selector], known, suppression.text))
        except AutolockError as error:
            unknown.append(Problem(place, error.message, error.hint))
    return frozenset(rules), unknown


# --- finding the comments ---------------------------------------------------------------------


def find_suppressions(text: str) -> tuple[Suppression, ...]:
    """The suppression comments of one file, in order; none when it cannot be split into tokens.

    Comments are told from strings by Python's own tokenizer, and that only in a file that holds the marker.
    """
    if MARKER.decode() not in text:
        return ()
    try:
        return tuple(_suppressions(text))
    except (tokenize.TokenError, SyntaxError):
        return ()


class _Comment(NamedTuple):
    line: int
    pragma: re.Match[str]
    in_head: bool


_LAYOUT = frozenset(
    {tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING, tokenize.ENDMARKER},
)


def _suppressions(text: str) -> Iterator[Suppression]:
    waiting: list[_Comment] = []
    first_line = 0  # of the statement being read, 0 between statements
    only_strings = True  # so far: no statement but a docstring
    for token in tokenize.generate_tokens(io.StringIO(text, newline=None).readline):
        line = token.start[0]
        if token.type == tokenize.COMMENT:
            pragma = _PRAGMA.search(token.string)
            if pragma is not None:
                waiting.append(_Comment(line, pragma, only_strings or line <= _HEAD_LINES))
        elif token.type == tokenize.NEWLINE:
            yield from (_suppression(comment, first_line, line) for comment in waiting)
            waiting = []
            first_line = 0
        elif token.type not in _LAYOUT:
            first_line = first_line or line
            only_strings = only_strings and token.type == tokenize.STRING
    yield from (_suppression(comment, comment.line, comment.line) for comment in waiting)


def _suppression(comment: _Comment, first_line: int, last_line: int) -> Suppression:
    pragma = comment.pragma
    rules = tuple(rule.strip() for rule in (pragma["rules"] or "").split(",") if rule.strip())
    whole_file = pragma["word"] == "ignore-file"
    flaw = ""
    if pragma["word"] is None or (pragma["rules"] is not None and not rules):
        flaw = "is not understood; write `# autolock: ignore[RULE, ...] reason`"
    elif whole_file and not comment.in_head:
        flaw = f"stands too low; move it above the first statement or into the first {_HEAD_LINES} lines"
    text = f"# autolock: {pragma['text'].strip()}"
    return Suppression(comment.line, text, rules, first_line, last_line, whole_file, flaw)
