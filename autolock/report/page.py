"""The text report, put together: headlines, prose, code frames, pictures, fixes and the summary."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from autolock.findings import Certainty, Safety, Severity
from autolock.report.alike import told_together
from autolock.report.frames import frame
from autolock.report.lines import one_line, split_lines
from autolock.report.picture import picture
from autolock.report.text import count, looked_at, outcome
from autolock.report.typeset import fit, glyphs, prose, wrap

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from autolock.findings import Finding, Problem, Report
    from autolock.report.base import RenderOptions

_BADGES = {
    Severity.HIGH: "bold white on red",
    Severity.MEDIUM: "bold black on yellow",
    Severity.LOW: "bold black on cyan",
}
_FIXES = {
    Safety.SAFE: ("safe fix", "bold green"),
    Safety.UNSAFE: ("unsafe fix", "bold yellow"),
    Safety.NONE: ("no automatic fix", "bold"),
}
_NARROWEST = 60
# Longer lines of prose are hard to read, wherever the terminal ends.
_PROSE = 96
_RULE = 120
_INDENT = "  "


def page(report: Report, options: RenderOptions) -> str:
    """The whole report as text; with ANSI escapes when `options.color` says so."""
    lines = _Page(report, options).lines()
    return _ansi(lines) if options.color else "".join(f"{line.plain.rstrip()}\n" for line in lines)


def _ansi(lines: Iterable[Text]) -> str:
    out = io.StringIO()
    # Everything is laid out already, so the console only turns styles into escapes.
    console = Console(
        file=out, force_terminal=True, color_system="standard", no_color=False, legacy_windows=False, emoji=False
    )
    for line in lines:
        console.print(line, soft_wrap=True)
    return out.getvalue()


class _Page:
    def __init__(self, report: Report, options: RenderOptions) -> None:
        self._report = report
        self._options = options
        self._glyphs = glyphs(options.unicode)
        self._width = max(options.width, _NARROWEST)
        self._sources = _Sources(report.texts)

    def lines(self) -> Iterator[Text]:
        findings = self._report.findings
        races = [finding for finding in findings if finding.certainty is Certainty.RACE]
        for first, *others in told_together(races):
            yield from self._race(first, others)
        latent = [finding for finding in findings if finding.certainty is Certainty.LATENT]
        if latent:
            yield self._rule(Text("atomic today, one await away from a race", style="bold"))
            yield Text()
        for finding in latent:
            yield from self._latent(finding)
        if self._options.verbose:
            yield from self._notes(self._report.notes)
        yield from self._summary()

    def _race(self, finding: Finding, others: list[Finding]) -> Iterator[Text]:
        yield self._rule(self._headline(finding))
        yield from self._where(finding)
        yield Text()
        yield from self._indented(prose(finding.message, self._prose_width, "bold"))
        yield Text()
        inner = self._width - len(_INDENT)
        code = frame(self._sources.lines(finding.place.path), finding.place, inner, self._glyphs, self._options.color)
        if code:
            yield from self._indented(code)
            yield Text()
        if finding.window.steps:
            yield from self._indented(self._caption(finding))
            yield from self._indented(picture(finding, inner, self._glyphs, self._options.color))
            yield Text()
        yield from self._fix(finding)
        if others:
            yield Text()
            yield Text(f"{_INDENT}the same at {count(len(others), 'other place')}:", style="bold")
        for other in others:
            yield from self._where(other)
        yield Text()

    def _latent(self, finding: Finding) -> Iterator[Text]:
        """One line and the reason: there is no interleaving to show."""
        head = Text.assemble(self._headline(finding), "  ", (self._position(finding), "bold"))
        if finding.place.function:
            head.append(f"  {one_line(finding.place.function)}", "blue")
        yield from self._folded(head)
        yield from self._indented(prose(finding.message, self._prose_width))
        if finding.fix.safety is not Safety.NONE:
            label, style = _FIXES[finding.fix.safety]
            yield from self._labelled(label, style, finding.fix.title, "")
        yield Text()

    @property
    def _prose_width(self) -> int:
        return min(self._width, _PROSE) - len(_INDENT)

    def _rule(self, title: Text) -> Text:
        lead = self._glyphs.rule * 2 + " "
        length = min(self._width, _RULE) - len(lead) - title.cell_len - 1
        return Text.assemble((lead, "dim"), title, (" " + self._glyphs.rule * max(length, 0), "dim"))

    def _headline(self, finding: Finding) -> Text:
        badge = f" {finding.severity.value.upper()} " if self._options.color else finding.severity.value.upper()
        race = finding.certainty is Certainty.RACE
        return Text.assemble(
            (badge, _BADGES[finding.severity]),
            "  ",
            (one_line(finding.rule), "bold"),
            " ",
            (one_line(finding.name), "bold"),
            "  ",
            (finding.certainty.value, "red" if race else "dim"),
        )

    def _position(self, finding: Finding) -> str:
        return f"{one_line(finding.place.path)}:{finding.place.line}:{finding.place.column}"

    def _where(self, finding: Finding) -> Iterator[Text]:
        line = Text(_INDENT)
        # The address stands alone up to the space, so that terminals and editors make it a link.
        line.append(self._position(finding), "bold underline")
        if finding.place.function:
            line.append(f"  {one_line(finding.place.function)}", "blue")
        for route in finding.routes:
            line.append(f"  {self._glyphs.dot} {one_line(route)}", "green")
        yield from self._folded(line)

    def _folded(self, line: Text) -> Iterator[Text]:
        """The line as it is where it fits, else broken at spaces and continued with an indent."""
        if line.cell_len <= self._width:
            yield line
            return
        for index, part in enumerate(wrap(line.plain, self._width - 2 * len(_INDENT))):
            yield Text((_INDENT if index == 0 else _INDENT * 2) + part, style="bold")

    def _caption(self, finding: Finding) -> list[Text]:
        window = finding.window
        parts = [f"shared state: {window.location}", window.context]
        parts += [f"under {', '.join(window.guards)}"] if window.guards else []
        text = f" {self._glyphs.dot} ".join(one_line(part) for part in parts if part)
        return [Text(fit(text, self._width - len(_INDENT), self._glyphs.ellipsis), style="dim")]

    def _fix(self, finding: Finding) -> Iterator[Text]:
        label, style = _FIXES[finding.fix.safety]
        yield from self._labelled(label, style, finding.fix.title, finding.fix.reason)

    def _labelled(self, label: str, style: str, title: str, reason: str) -> Iterator[Text]:
        mark = {"safe fix": self._glyphs.tick, "unsafe fix": self._glyphs.warn}.get(label, self._glyphs.cross)
        head = f"{_INDENT}{mark} {label}  "
        room = min(self._width, _PROSE) - cell_len(head)
        for index, line in enumerate([*prose(title, room), *prose(reason, room, "dim")]):
            yield Text.assemble((head, style) if index == 0 else " " * cell_len(head), line)

    def _notes(self, notes: Iterable[Problem]) -> Iterator[Text]:
        for note in notes:
            for index, line in enumerate(wrap(str(note), self._prose_width - 6)):
                yield Text.assemble(("note  " if index == 0 else " " * 6, "bold"), (line, "dim"))
        if notes:
            yield Text()

    def _summary(self) -> Iterator[Text]:
        found = self._report.findings
        for line in wrap(outcome(found), self._width):
            yield Text(line, style="bold" if found else "bold green")
        for line in wrap(looked_at(self._report.statistics), self._width):
            yield Text(line, style="dim")
        unread = len({problem.path for problem in self._report.errors})
        if unread:
            yield Text(f"{count(unread, 'file')} could not be read", style="bold yellow")

    def _indented(self, lines: Iterable[Text]) -> Iterator[Text]:
        return (Text.assemble(_INDENT, line) for line in lines)


class _Sources:
    """The lines of the files that findings point into, each file split once."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts
        self._lines: dict[str, list[str]] = {}

    def lines(self, path: str) -> list[str]:
        """The lines of a file, none if its text is not at hand."""
        if path not in self._lines:
            self._lines[path] = split_lines(self._texts.get(path, ""))
        return self._lines[path]
