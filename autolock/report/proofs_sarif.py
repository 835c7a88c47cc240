"""Proofs as evidence in SARIF: the findings as `check` reports them, with what was run for each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from autolock.findings import Finding, Report, Window
from autolock.prove.proof import Proof, Side, Trial, Verdict
from autolock.prove.telling import Lanes, differences, setting, summary
from autolock.report.base import RenderOptions
from autolock.report.sarif import SarifReporter


def render_proofs_sarif(proofs: Sequence[Proof], report: Report, options: RenderOptions, drawn: Lanes) -> str:
    """The findings that were played. A witness takes the place of the interleaving that was only thought out;
    verdicts, bounds and what came out wrong are in the property `proof`.
    """
    by_fingerprint = {proof.subject.key: proof for proof in proofs if proof.subject.finding is not None}
    played = [finding for finding in report.findings if finding.fingerprint in by_fingerprint]
    shown = tuple(_witnessed(finding, by_fingerprint[finding.fingerprint], drawn) for finding in played)
    log = json.loads(SarifReporter().render(replace(report, findings=shown), options))
    for result in log["runs"][0]["results"]:
        result["properties"]["proof"] = _evidence(by_fingerprint[result["partialFingerprints"]["autolock/v1"]])
    return json.dumps(log, indent=2) + "\n"


def _witnessed(finding: Finding, proof: Proof, drawn: Lanes) -> Finding:
    trial = _witness(proof.before) or _witness(proof.after)
    if trial is None:
        return finding
    window = Window(finding.window.location, "as it was played", tuple(drawn.steps(trial)), finding.window.guards)
    return replace(finding, window=window)


def _witness(side: Side | None) -> Trial | None:
    return side.decisive if side is not None and side.verdict is Verdict.WITNESSED else None


def _evidence(proof: Proof) -> dict[str, Any]:
    sides = (("before", proof.before), ("after", proof.after))
    return {name: _told(name, side, proof) for name, side in sides if side is not None}


def _told(name: str, side: Side, proof: Proof) -> dict[str, Any]:
    told: dict[str, Any] = {"verdict": side.verdict.value, "summary": summary(name, side, proof.bounds)}
    trial = side.decisive
    if trial is not None and side.verdict is Verdict.WITNESSED:
        told["requests"] = list(setting(trial))
        told["differences"] = list(differences(trial))
        told["schedule"] = trial.result["witness"]["choices"]
    return told
