"""`autolock review`: what a pull request adds, said where it adds it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autolock.findings import Certainty, Safety
from autolock.forges.base import Annotation, Check, LineComment, Outcome
from autolock.forges.texts import same_text
from autolock.pulls.fixing import fixed
from autolock.report.hunks import hunks
from autolock.report.lines import one_line, split_lines
from autolock.report.markdown import cell, code, drawn, fenced, prose

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from autolock.findings import FileChange, Finding, Report
    from autolock.forges.base import Comment, Forge, Pull
    from autolock.forges.texts import NewLines
    from autolock.options import Options
    from autolock.pulls.connection import Connection
    from autolock.pulls.groups import Alone

_SUMMARY = "<!-- autolock:review -->"
#: At the end: who quotes a comment of autolock's goes on below it.
_MARK = re.compile(r"<!-- autolock:finding ([0-9a-f]+) -->\s*\Z")
#: A suggestion is read before it is applied: no longer than this many lines.
_LONGEST = 40
_LEVELS = {"high": "failure", "medium": "warning", "low": "notice"}


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Lines `first` to `last` of a file, and what to put in their place."""

    path: str
    first: int
    last: int
    text: str


@dataclass(frozen=True, slots=True)
class Remark:
    """A finding on lines that a pull request changes, with the fix that can be applied there, if there is one."""

    finding: Finding
    suggestion: Suggestion | None


def remarks_on(report: Report, diff: Mapping[str, NewLines], again: Alone) -> tuple[Remark, ...]:
    """What there is to say about a pull request whose head has this report."""
    mine = [finding for finding in report.findings if _is_added(finding, diff)]
    return tuple(Remark(finding, _suggestion(finding, diff, again)) for finding in mine)


def _is_added(finding: Finding, diff: Mapping[str, NewLines]) -> bool:
    """Whether the pull request adds a line of the finding, or one that a step of its window is on."""
    places = [finding.place, *(step.place for step in finding.window.steps)]
    return any(diff[p.path].added.intersection(range(p.line, p.end_line + 1)) for p in places if p.path in diff)


def _suggestion(finding: Finding, diff: Mapping[str, NewLines], again: Alone) -> Suggestion | None:
    """The fix of one finding, where all of it is on lines that the diff shows."""
    if finding.fix.safety is not Safety.SAFE or len(finding.fix.files) != 1:
        return None
    rewrites = again(frozenset((finding.fingerprint,))).rewrites
    changes = [change for rewrite in rewrites for change in rewrite.changes]
    if len(changes) != 1 or changes[0].path not in diff:
        return None
    suggestion = suggestion_of(changes[0])
    shown = diff[changes[0].path].shown
    if suggestion is None or not shown.issuperset(range(suggestion.first, suggestion.last + 1)):
        return None
    return suggestion


def suggestion_of(change: FileChange) -> Suggestion | None:
    """A change as one run of lines; None where it is no text, or longer than one reads in a comment."""
    try:
        before, after = change.before.decode("utf-8"), change.after.decode("utf-8")
    except UnicodeDecodeError:
        return None
    edits = list(hunks(before, after))
    old, new = split_lines(before), split_lines(after)
    if not edits or not old:
        return None
    # What is only inserted is put before a line that stays, or after the last.
    first = min(min(edit.line for edit in edits), len(old))
    last = min(max(max(edit.end_line - 1, edit.line) for edit in edits), len(old))
    if last - first >= _LONGEST:
        return None
    return Suggestion(change.path, first, last, "".join(new[first - 1 : len(new) - (len(old) - last)]))


def reviewed(connected: Connection, forge: Forge, pull: Pull, options: Options) -> tuple[Remark, ...]:
    """What there is to say about a pull request as its last commit is; `options` are further ones of the run."""
    connected.repository.fetch(forge.head_ref(pull.number), pull.head_commit)
    diff = forge.changed_lines(pull.number)
    every: Options = {"certainty": Certainty.RACE, "cache": False, **options}
    with fixed(connected.repository, pull.head_commit, connected.within, every) as (report, again):
        return remarks_on(report, diff, again)


class Reviewer:
    """Brings the comments on a pull request up to date: as few writes as there are differences."""

    def __init__(self, forge: Forge, pull: Pull) -> None:
        self._forge = forge
        self._pull = pull

    def say(self, remarks: Sequence[Remark]) -> None:
        """Comment on lines where there is a suggestion, annotate the others, and keep one summary."""
        number = self._pull.number
        wanted = {
            remark.finding.fingerprint: self._comment(remark, remark.suggestion)
            for remark in remarks
            if remark.suggestion is not None
        }
        me = self._forge.me()
        for comment in self._forge.line_comments(number):
            mark = _MARK.search(comment.body)
            if mark is None or (me and comment.author != me):
                continue
            new = wanted.get(mark[1])
            if new is None or (new.path, new.last) != (comment.path, comment.last):
                self._forge.delete_line_comment(number, comment.number)
                continue
            del wanted[mark[1]]
            if not same_text(new.body, comment.body):
                self._forge.edit_line_comment(
                    number, LineComment(new.path, new.first, new.last, new.body, comment.number)
                )
        for comment in wanted.values():
            self._forge.add_line_comment(number, self._pull.head_commit, comment)
        self._annotate(remarks)
        self._summarise(remarks)

    def _comment(self, remark: Remark, suggestion: Suggestion) -> LineComment:
        finding = remark.finding
        lines = [
            f"{code(finding.rule)} {prose(finding.name)}: {prose(finding.message)}",
            "",
            prose(finding.fix.reason),
            "",
            self._forge.suggestion(suggestion.last - suggestion.first + 1, suggestion.text),
            "",
            "<details><summary>the interleaving</summary>",
            "",
            *fenced(drawn(finding)),
            "",
            "</details>",
            "",
            f"<!-- autolock:finding {finding.fingerprint} -->",
        ]
        return LineComment(suggestion.path, suggestion.first, suggestion.last, "\n".join(lines))

    def _annotate(self, remarks: Sequence[Remark]) -> None:
        annotations = tuple(_annotation(r.finding) for r in remarks if r.suggestion is None)
        title = _count(len(remarks))
        outcome = Outcome.NEUTRAL if remarks else Outcome.SUCCESS
        self._forge.report(Check(self._pull.head_commit, outcome, title, title, annotations, name="autolock review"))

    def _summarise(self, remarks: Sequence[Remark]) -> None:
        number = self._pull.number
        known: Comment | None = next((c for c in self._forge.comments(number) if _SUMMARY in c.body), None)
        if known is None and not remarks:
            return
        body = "\n".join(_summary(remarks))[: self._forge.body_limit]
        if known is None:
            self._forge.add_comment(number, body)
        elif not same_text(known.body, body):
            self._forge.edit_comment(number, known.number, body)


def _annotation(finding: Finding) -> Annotation:
    place = finding.place
    message = f"{one_line(finding.message)}\n\n{one_line(finding.fix.reason or finding.fix.title)}".strip()
    title = f"{finding.rule} {finding.name}"
    return Annotation(place.path, place.line, place.end_line, title, message, _LEVELS[finding.severity.value])


def _summary(remarks: Sequence[Remark]) -> Iterator[str]:
    yield _SUMMARY
    yield f"**autolock:** {_count(len(remarks))} on lines that this pull request changes."
    if not remarks:
        return
    yield ""
    yield "| severity | rule | place | what two requests at once do | fix |"
    yield "| --- | --- | --- | --- | --- |"
    for remark in remarks:
        finding = remark.finding
        cells = (
            finding.severity.value,
            f"{code(finding.rule)} {prose(finding.name)}",
            code(f"{finding.place.path}:{finding.place.line}"),
            prose(finding.message),
            "suggested on the line" if remark.suggestion else prose(finding.fix.reason or finding.fix.title),
        )
        yield f"| {' | '.join(cell(text) for text in cells)} |"


def _count(remarks: int) -> str:
    return {0: "no race", 1: "1 race"}.get(remarks, f"{remarks} races")
