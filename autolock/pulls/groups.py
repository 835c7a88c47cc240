"""Which fixes share a pull request, and what each group makes of the files without the others."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autolock.deliver.patch import combine
from autolock.pulls.settings import Grouping

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autolock.findings import FileChange, Finding, Report, Rewrite

PREFIX = "autolock/"

Alone = Callable[[frozenset[str]], "Report"]
"""Fixes nothing but the findings with these fingerprints."""


@dataclass(frozen=True, slots=True)
class Group:
    """The fixes of one pull request, the findings that they end and the files as they are after.

    `name` is also the last part of the branch's name: `lost-update`, `lost-update/1a2b3c4d` or `all`.
    """

    name: str
    findings: tuple[Finding, ...]
    rewrites: tuple[Rewrite, ...]
    changes: tuple[FileChange, ...]

    @property
    def branch(self) -> str:
        """The branch of the pull request, the same at each run."""
        return f"{PREFIX}{self.name}"

    @property
    def rules(self) -> tuple[str, ...]:
        """The ids of the rules, each once."""
        return tuple(dict.fromkeys(finding.rule for finding in self.findings))

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """The findings that the pull request ends."""
        return tuple(sorted({finding.fingerprint for finding in self.findings}))


def groups_of(
    report: Report,
    by: Grouping,
    left_out: frozenset[str],
    again: Alone,
) -> tuple[Group, ...]:
    """The groups of a report's rewrites, in the order of their worst findings.

    Rewrites that end a finding in `left_out` are not proposed. `again` makes the rewrites for some fingerprints alone;
    it is asked only where a file is changed by more than one group, or by what is left out.
    """
    ended = {finding.fingerprint: finding for finding in report.findings}
    named: dict[str, list[Rewrite]] = {}
    touched: dict[str, set[str]] = {}
    for rewrite in report.rewrites:
        findings = [ended[fingerprint] for fingerprint in rewrite.fingerprints if fingerprint in ended]
        name = "" if not findings or left_out.intersection(rewrite.fingerprints) else _name(findings, by)
        named.setdefault(name, []).append(rewrite)
        for change in rewrite.changes:
            touched.setdefault(change.path, set()).add(name)
    found: list[Group] = []
    for name, rewrites in named.items():
        if name:
            shared = any(len(touched[change.path]) > 1 for rewrite in rewrites for change in rewrite.changes)
            mine = _alone(rewrites, again) if shared else tuple(rewrites)
            changes = combine(mine)
            if changes:
                found.append(Group(name, _ended(report, mine), mine, changes))
    order = {finding.fingerprint: number for number, finding in enumerate(report.findings)}
    return tuple(sorted(found, key=lambda group: min(order[fingerprint] for fingerprint in group.fingerprints)))


def _alone(rewrites: Sequence[Rewrite], again: Alone) -> tuple[Rewrite, ...]:
    """The same fixes as they are without those of other groups."""
    wanted = frozenset(fingerprint for rewrite in rewrites for fingerprint in rewrite.fingerprints)
    return tuple(r for r in again(wanted).rewrites if wanted.issuperset(r.fingerprints))


def _ended(report: Report, rewrites: Sequence[Rewrite]) -> tuple[Finding, ...]:
    fingerprints = {fingerprint for rewrite in rewrites for fingerprint in rewrite.fingerprints}
    return tuple(finding for finding in report.findings if finding.fingerprint in fingerprints)


def _name(findings: Sequence[Finding], by: Grouping) -> str:
    """The name of the group that a rewrite for these findings is in: that of the worst of them."""
    if by is Grouping.ALL:
        return "all"
    rule = re.sub(r"[^a-z0-9]+", "-", findings[0].name.lower()).strip("-")
    if by is Grouping.RULE:
        return rule
    return f"{rule}/{hashlib.sha256(findings[0].location.encode()).hexdigest()[:8]}"
