"""The report as GitHub workflow commands, which become annotations on the lines of a pull request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autolock.findings import Certainty, Severity

if TYPE_CHECKING:
    from autolock.findings import Finding, Problem, Report
    from autolock.report.base import RenderOptions

_COMMANDS = {Severity.HIGH: "error", Severity.MEDIUM: "warning", Severity.LOW: "notice"}


class GithubReporter:
    """One command a finding, and one a file that could not be read."""

    name = "github"

    def render(self, report: Report, options: RenderOptions) -> str:
        """Lines of the form `::error file=...,line=...,title=...::message`."""
        lines = [*map(_annotation, report.findings), *map(_unread, report.errors)]
        return "".join(f"{line}\n" for line in lines)


def _annotation(finding: Finding) -> str:
    race = finding.certainty is Certainty.RACE
    command = _COMMANDS[finding.severity] if race else "notice"
    place = finding.place
    properties: dict[str, object] = {"file": place.path, "line": place.line, "endLine": place.end_line}
    # GitHub drops the columns of a range that spans lines, with a warning in the log.
    if place.line == place.end_line:
        properties |= {"col": place.column, "endColumn": place.end_column}
    properties["title"] = f"{finding.rule} {finding.name} ({finding.severity.value} {finding.certainty.value})"
    return _command(command, properties, _text(finding))


def _text(finding: Finding) -> str:
    fix = f"{finding.fix.title}: {finding.fix.reason}" if finding.fix.reason else finding.fix.title
    return f"{finding.message}\nfix ({finding.fix.safety.value}): {fix}" if fix else finding.message


def _unread(problem: Problem) -> str:
    properties: dict[str, object] = {"file": problem.path} if problem.path else {}
    properties["title"] = "autolock could not read this"
    return _command("warning", properties, f"{problem.message}; {problem.hint}" if problem.hint else problem.message)


def _command(command: str, properties: dict[str, object], message: str) -> str:
    listed = ",".join(f"{key}={_property(str(value))}" for key, value in properties.items())
    return f"::{command} {listed}::{_data(message)}"


def _data(text: str) -> str:
    """Escapes a message as the runner unescapes it; the percent sign comes first, as it begins every escape."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
