"""Findings that have one cause: somebody who has read the first of them need not read the others in full."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from autolock.findings import Finding


def told_together(findings: Iterable[Finding]) -> list[list[Finding]]:
    """Findings of one rule about the same state that are mended alike, in the order of the first of each.

    A configuration that thirteen handlers read, merge and write back is one thing to understand.
    """
    groups: dict[object, list[Finding]] = {}
    for finding in findings:
        fix = finding.fix
        cause = (finding.rule, finding.certainty, finding.severity, finding.location, fix.safety, fix.reason)
        groups.setdefault(cause, []).append(finding)
    return list(groups.values())
