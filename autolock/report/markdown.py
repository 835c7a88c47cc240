"""The report as GitHub-flavoured Markdown, for a job summary or a comment on a pull request."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from autolock.findings import Certainty, Safety
from autolock.report.text import count, looked_at, outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autolock.findings import Finding, Problem, Report
    from autolock.report.base import RenderOptions

_PICTURE_WIDTH = 100
_SPECIAL = re.compile(r"[\\`*_\[\]<>&~#$]")
# `@name` and `#12` become mentions and links even when written as entities or escapes;
# a zero-width space between the sign and the name is what stops them.
_REFERENCE = re.compile(r"@(?=[\w-])|#(?=\d)|\bGH-(?=\d)")
_CODE = re.compile(r"`([^`]+)`")


class MarkdownReporter:
    """A table of the findings, then each one with its two-lane picture and its fix."""

    name = "markdown"

    def render(self, report: Report, options: RenderOptions) -> str:
        """The document; nothing in messages, paths or code of the user is read as Markdown or HTML."""
        return "".join(f"{line}\n" for line in _document(report, options))


def _document(report: Report, options: RenderOptions) -> Iterator[str]:
    yield "## autolock"
    yield ""
    yield f"**{_capital(outcome(report.findings))}** ({looked_at(report.statistics)})"
    yield ""
    if report.findings:
        yield from _table(report)
    for finding in report.findings:
        yield from _details(finding)
    if report.errors:
        yield from _problems(f"{count(len(report.errors), 'problem')} while reading", report.errors)
    if report.notes and options.verbose:
        yield from _problems("Notes", report.notes)


def _table(report: Report) -> Iterator[str]:
    yield "| severity | rule | place | what happens | fix |"
    yield "| --- | --- | --- | --- | --- |"
    for finding in report.findings:
        cells = (
            _severity(finding),
            f"{code(finding.rule)} {escape(finding.name)}",
            _position(finding),
            prose(finding.message),
            finding.fix.safety.value,
        )
        yield f"| {' | '.join(cell(text) for text in cells)} |"
    yield ""


def _details(finding: Finding) -> Iterator[str]:
    yield "<details>"
    yield f"<summary>{html_text(f'{finding.rule} {finding.name}, {finding.place.path}:{finding.place.line}')}</summary>"
    yield ""
    yield f"{_severity(finding)} at {_position(finding)}{_function(finding)}{_routes(finding)}"
    yield ""
    yield prose(finding.message)
    yield ""
    if finding.certainty is Certainty.RACE and finding.window.steps:
        yield f"Shared state {code(finding.window.location)}, {escape(finding.window.context)}:"
        yield ""
        yield from fenced(drawn(finding))
        yield ""
    yield _fix(finding)
    yield ""
    yield "</details>"
    yield ""


def drawn(finding: Finding) -> list[str]:
    """The lines of the two-lane picture of a finding, no wider than a forge shows without scrolling."""
    from autolock.report.picture import picture
    from autolock.report.typeset import glyphs

    return [line.plain for line in picture(finding, _PICTURE_WIDTH, glyphs(unicode=True), color=False)]


def fenced(lines: list[str]) -> Iterator[str]:
    """The lines in a code block, whose fence is longer than any that stands in them."""
    fence = fence_round("\n".join(lines))
    yield f"{fence}text"
    yield from lines
    yield fence


def fence_round(text: str) -> str:
    """A fence for a code block, longer than any that stands in it."""
    return "`" * max(3, _longest_run(text) + 1)


def _fix(finding: Finding) -> str:
    label = {Safety.SAFE: "Safe fix", Safety.UNSAFE: "Unsafe fix", Safety.NONE: "No automatic fix"}
    parts = [prose(part) for part in (finding.fix.title, finding.fix.reason) if part]
    return f"**{label[finding.fix.safety]}:** {'. '.join(parts)}" if parts else f"**{label[finding.fix.safety]}**"


def _problems(title: str, problems: tuple[Problem, ...]) -> Iterator[str]:
    yield f"**{title}**"
    yield ""
    for problem in problems:
        text = f"{problem.message}; {problem.hint}" if problem.hint else problem.message
        yield f"* {code(problem.path)}: {prose(text)}" if problem.path else f"* {prose(text)}"
    yield ""


def _severity(finding: Finding) -> str:
    if finding.certainty is Certainty.LATENT:
        return f"{finding.severity.value}, latent"
    return f"**{finding.severity.value}**"


def _position(finding: Finding) -> str:
    return code(f"{finding.place.path}:{finding.place.line}")


def _function(finding: Finding) -> str:
    return f" in {code(finding.place.function)}" if finding.place.function else ""


def _routes(finding: Finding) -> str:
    return f" ({', '.join(map(code, finding.routes))})" if finding.routes else ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def prose(text: str) -> str:
    """Plain text as Markdown on one line: what stands in backticks as code, all else escaped."""
    parts = _CODE.split(" ".join(text.split()))
    return "".join(code(part) if index % 2 else escape(part) for index, part in enumerate(parts))


def escape(text: str) -> str:
    """`text` with every character escaped that Markdown or GitHub would give a meaning."""
    return _SPECIAL.sub(r"\\\g<0>", unreferenced(text))


def code(text: str) -> str:
    """`text` as a code span, whatever backticks it contains."""
    text = " ".join(text.split())
    ticks = "`" * (_longest_run(text) + 1)
    pad = " " if not text or text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def html_text(text: str) -> str:
    """`text` on one line, as it may stand inside an HTML element."""
    return html.escape(unreferenced(" ".join(text.split())))


def unreferenced(text: str) -> str:
    """`text` in which no forge sees a mention of somebody or a link to an issue."""
    return _REFERENCE.sub("\\g<0>\u200b", text)


def cell(text: str) -> str:
    """Markdown as it may stand in a cell of a table."""
    # GitHub splits a row at its pipes before it looks for code spans, so they are escaped in those too.
    return text.replace("|", "\\|")


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
