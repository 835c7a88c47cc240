"""Fixes with their evidence: each is played, and one whose race is still there afterwards is withheld."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from autolock.api import combined
from autolock.findings import Finding, Fix, Report, Rewrite, Safety
from autolock.prove.proof import Proof, Subject
from autolock.prove.prover import Prover
from autolock.prove.telling import differences, summary
from autolock.rewrite import Choose

#: Makes the fixes again, asking about each.
Again = Callable[[Choose], Report]


@dataclass(frozen=True)
class ProvenFixes:
    """`proofs` by the fingerprint of the finding; `withheld` are the fingerprints of fixes that do not hold, with
    the reasons.
    """

    proofs: dict[str, Proof]
    withheld: dict[str, str]

    def choose(self, rewrite: Rewrite, findings: tuple[Finding, ...]) -> Rewrite | None:
        """Leaves the fixes out that are withheld."""
        return None if self.withheld.keys() & set(rewrite.fingerprints) else rewrite

    def told(self, report: Report) -> Report:
        """The report with the evidence in the reasons of its fixes; findings whose fix was withheld have none."""
        return replace(
            report,
            rewrites=tuple(
                replace(rewrite, reason=self._with_evidence(rewrite.reason, rewrite.fingerprints))
                for rewrite in report.rewrites
            ),
            findings=tuple(self._told_finding(finding) for finding in report.findings),
        )

    def _with_evidence(self, reason: str, fingerprints: tuple[str, ...]) -> str:
        """A reason, and what was played for its findings: a sentence a side."""
        told = []
        for proof in (self.proofs[one] for one in fingerprints if one in self.proofs):
            sides = (("before", proof.before), ("after", proof.after))
            told += [summary(name, side, proof.bounds) for name, side in sides if side is not None]
        return ". ".join([reason.rstrip("."), *dict.fromkeys(told)])

    def _told_finding(self, finding: Finding) -> Finding:
        withheld = self.withheld.get(finding.fingerprint)
        if withheld is not None:
            return finding.with_fix(Fix(Safety.NONE, finding.fix.title, f"the fix was withheld: {withheld}"))
        if finding.fingerprint not in self.proofs:
            return finding
        reason = self._with_evidence(finding.fix.reason, (finding.fingerprint,))
        return finding.with_fix(replace(finding.fix, reason=reason))


def prove_fixes(prover: Prover, report: Report, again: Again) -> ProvenFixes:
    """Play the findings that the fixes of a report end, before and after them all.

    Where some do not hold, the fixes are made again without them and played again, until all that are left hold or
    could not be driven. Raises AutolockError when there is no application to play.
    """
    proven = ProvenFixes({}, {})
    subjects = _subjects(report)
    before = prover.before(subjects)
    while subjects:
        prover.changes = combined(report)
        after = prover.after(subjects, before)
        failing: dict[str, str] = {}
        for subject in subjects:
            proof = Proof(subject, before.get(subject.key), after[subject.key], prover.bounds)
            proven.proofs[subject.key] = proof
            if proof.fix_fails:
                failing[subject.key] = _why_not(proof)
        if not failing:
            break
        proven.withheld.update(_whole_fixes(report, failing))
        report = again(proven.choose)
        subjects = [subject for subject in _subjects(report) if subject.key in before]
    return proven


def _subjects(report: Report) -> list[Subject]:
    ended = {fingerprint for rewrite in report.rewrites for fingerprint in rewrite.fingerprints}
    return [Subject.of(one, report.findings) for one in report.findings if one.fingerprint in ended]


def _whole_fixes(report: Report, failing: dict[str, str]) -> dict[str, str]:
    """The failing findings, and those that the same fixes end."""
    withheld = dict(failing)
    for rewrite in report.rewrites:
        reason = next((failing[one] for one in rewrite.fingerprints if one in failing), None)
        if reason is not None:
            withheld.update((one, failing.get(one, reason)) for one in rewrite.fingerprints)
    return withheld


def _why_not(proof: Proof) -> str:
    trial = proof.after.decisive if proof.after is not None else None
    if proof.after is None or trial is None:
        return ""
    return "; ".join([summary("after it", proof.after, proof.bounds), *differences(trial)])
