"""The report for a person at a terminal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from autolock.findings import Certainty, Safety, Severity
from autolock.report.lines import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autolock.findings import Finding, Report, Statistics
    from autolock.report.base import RenderOptions


class TextReporter:
    """Every finding with its code, its interleaving and its fix; one line a finding with `quiet`."""

    name = "text"

    def render(self, report: Report, options: RenderOptions) -> str:
        """The report in lines of at most `options.width` cells (60 at the least), quiet ones apart."""
        if options.quiet:
            return "".join(f"{quiet_line(finding)}\n" for finding in report.findings)
        # rich takes a while to import: a run that needs none of it does not wait for it.
        from autolock.report.page import page

        return page(report, options)


def quiet_line(finding: Finding) -> str:
    """`path:line:col: AL101 high race message`, the form that editors and grep know."""
    place = finding.place
    kind = f"{finding.rule} {finding.severity.value} {finding.certainty.value}"
    return one_line(f"{place.path}:{place.line}:{place.column}: {kind} {finding.message}")


def outcome(findings: Sequence[Finding]) -> str:
    """How much was found and where: `2 races (1 high, 1 low) and 1 latent in 2 files, 2 with a safe fix`."""
    if not findings:
        return "no races found"
    races = [finding for finding in findings if finding.certainty is Certainty.RACE]
    kinds = []
    if races:
        kinds.append(f"{count(len(races), 'race')} ({_by_severity(races)})")
    if len(races) < len(findings):
        kinds.append(f"{len(findings) - len(races)} latent")
    files = len({finding.place.path for finding in findings})
    return f"{' and '.join(kinds)} in {count(files, 'file')}{_fixable(findings)}"


def looked_at(statistics: Statistics) -> str:
    """What the run looked at, and how long it took."""
    parts = [count(statistics.files, "file"), count(statistics.lines, "line"), f"{statistics.seconds:.2f} s"]
    if statistics.suppressed:
        parts.append(f"{statistics.suppressed:,} suppressed by comments")
    if statistics.baselined:
        parts.append(f"{statistics.baselined:,} in the baseline")
    return ", ".join(parts)


def count(number: int, noun: str) -> str:
    """`1 file`, `2 files`, `1,200 files`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _by_severity(findings: Sequence[Finding]) -> str:
    found = Counter(finding.severity for finding in findings)
    return ", ".join(f"{found[severity]} {severity.value}" for severity in Severity if found[severity])


def _fixable(findings: Sequence[Finding]) -> str:
    found = Counter(finding.fix.safety for finding in findings)
    parts = [
        f"{found[safety]} with {article} {safety.value} fix"
        for safety, article in ((Safety.SAFE, "a"), (Safety.UNSAFE, "an"))
        if found[safety]
    ]
    return "; " + ", ".join(parts) if parts else ""
