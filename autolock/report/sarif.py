"""The report as SARIF 2.1.0, for code scanning services and editors."""

from __future__ import annotations

import io
import json
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from autolock.findings import Certainty, Severity
from autolock.report.base import RuleInfo
from autolock.report.hunks import hunks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from autolock.findings import FileChange, Finding, Place, Problem, Report, Rewrite, Step
    from autolock.report.base import RenderOptions

_Object = dict[str, Any]

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_ROOT = "%SRCROOT%"
_LEVELS = {Severity.HIGH: "error", Severity.MEDIUM: "warning", Severity.LOW: "note"}


class SarifReporter:
    """One SARIF run: rules, results with the interleaving as code flows, fixes, and what could not be read."""

    name = "sarif"

    def render(self, report: Report, options: RenderOptions) -> str:
        """The SARIF log, in ASCII. Fixes are those of `report.rewrites`, so only a fix run has any."""
        rules = _rules(report.findings, options.rules)
        log = {
            "$schema": _SCHEMA,
            "version": "2.1.0",
            "runs": [
                {
                    "tool": {"driver": _driver(rules.values(), options.version)},
                    "originalUriBaseIds": {_ROOT: {"uri": _root_uri(report.root)}},
                    "columnKind": "unicodeCodePoints",
                    "newlineSequences": ["\r\n", "\n", "\r"],
                    "invocations": [_invocation(report)],
                    "results": _results(report, list(rules)),
                }
            ],
        }
        return json.dumps(log, indent=2) + "\n"


def _rules(findings: Iterable[Finding], known: Mapping[str, RuleInfo]) -> dict[str, RuleInfo]:
    """The rules by id: those that were run, and any that a finding names without a description."""
    rules = dict(known)
    for finding in findings:
        rules.setdefault(finding.rule, RuleInfo(finding.rule, finding.name, finding.name, "", finding.category))
    return rules


def _driver(rules: Iterable[RuleInfo], version: str) -> _Object:
    driver: _Object = {"name": "autolock", "rules": [_rule(rule) for rule in rules]}
    if version:
        driver["version"] = version
    return driver


def _rule(rule: RuleInfo) -> _Object:
    described: _Object = {
        "id": rule.id,
        "name": rule.name,
        "shortDescription": {"text": rule.summary},
        "properties": {"category": rule.category, "tags": ["concurrency", rule.category]},
    }
    if rule.explanation:
        described["help"] = {"text": rule.explanation, "markdown": rule.explanation}
    if rule.help_uri:
        described["helpUri"] = rule.help_uri
    return described


def _root_uri(root: str) -> str:
    uri = Path(root).absolute().as_uri()
    return uri if uri.endswith("/") else f"{uri}/"


def _invocation(report: Report) -> _Object:
    return {
        "executionSuccessful": not report.errors,
        "toolExecutionNotifications": [_notification(problem) for problem in report.errors],
    }


def _notification(problem: Problem) -> _Object:
    text = f"{problem.message}; {problem.hint}" if problem.hint else problem.message
    notification: _Object = {"level": "error", "message": {"text": text}}
    if problem.path:
        notification["locations"] = [{"physicalLocation": {"artifactLocation": _artifact(problem.path)}}]
    return notification


def _results(report: Report, rules: list[str]) -> list[_Object]:
    fixes: dict[str, list[_Object]] = {}
    for rewrite in report.rewrites:
        fix = _fix(rewrite)
        for fingerprint in rewrite.fingerprints if fix else ():
            fixes.setdefault(fingerprint, []).append(fix)
    return [
        _result(finding, rules.index(finding.rule), fixes.get(finding.fingerprint, [])) for finding in report.findings
    ]


def _result(finding: Finding, rule_index: int, fixes: list[_Object]) -> _Object:
    result: _Object = {
        "ruleId": finding.rule,
        "ruleIndex": rule_index,
        "level": _level(finding),
        "message": {"text": finding.message},
        "locations": [_location(finding.place)],
        "partialFingerprints": {"autolock/v1": finding.fingerprint},
        "properties": {
            "certainty": finding.certainty.value,
            "severity": finding.severity.value,
            "category": finding.category,
            "sharedState": finding.location,
            "routes": list(finding.routes),
            "fixSafety": finding.fix.safety.value,
            "fixTitle": finding.fix.title,
            "fixReason": finding.fix.reason,
        },
    }
    # A latent finding has no interleaving: nothing is to look as if it could happen today.
    if finding.window.steps and finding.certainty is Certainty.RACE:
        result["codeFlows"] = [_code_flow(finding)]
    if fixes:
        result["fixes"] = fixes
    return result


def _level(finding: Finding) -> str:
    return _LEVELS[finding.severity] if finding.certainty is Certainty.RACE else "note"


def _location(place: Place) -> _Object:
    location: _Object = {"physicalLocation": {"artifactLocation": _artifact(place.path), "region": _region(place)}}
    if place.function:
        location["logicalLocations"] = [{"fullyQualifiedName": place.function, "kind": "function"}]
    return location


def _artifact(path: str) -> _Object:
    return {"uri": quote(path), "uriBaseId": _ROOT}


def _region(place: Place) -> _Object:
    return {
        "startLine": place.line,
        "startColumn": place.column,
        "endLine": place.end_line,
        "endColumn": place.end_column,
    }


def _code_flow(finding: Finding) -> _Object:
    """One thread flow a request; `executionOrder` runs through both and so tells the interleaving."""
    requests = sorted({step.request for step in finding.window.steps})
    ordered = list(enumerate(finding.window.steps, start=1))
    return {
        "message": {"text": f"two requests at once on {finding.window.location} ({finding.window.context})"},
        "threadFlows": [
            {
                "id": f"request {request}",
                "message": {"text": f"request {request}"},
                "locations": [_flow_location(step, order) for order, step in ordered if step.request == request],
            }
            for request in requests
        ],
    }


def _flow_location(step: Step, order: int) -> _Object:
    location = _location(step.place)
    if step.code:
        location["physicalLocation"]["region"]["snippet"] = {"text": step.code}
    location["message"] = {"text": _told(step)}
    described: _Object = {
        "location": location,
        "executionOrder": order,
        "kinds": [step.action.value],
        "importance": "essential" if step.lost else "important",
    }
    if step.value:
        described["state"] = {step.code or "value": {"text": step.value}}
    return described


def _told(step: Step) -> str:
    """The step in words: `A write stock[sku] = left - 1, 4 (lost: B sold it already)`."""
    text = f"{step.request} {step.action.value} {step.code}".rstrip()
    if step.value:
        text += f", {step.value}"
    remark = ": ".join(part for part in ("lost" if step.lost else "", step.note) if part)
    return f"{text} ({remark})" if remark else text


def _fix(rewrite: Rewrite) -> _Object:
    """The rewrite as a fix; empty where there is nothing that a text replacement could say."""
    changes = [change for change in map(_artifact_change, rewrite.changes) if change]
    if not changes:
        return {}
    return {"description": {"text": f"{rewrite.title}: {rewrite.reason}"}, "artifactChanges": changes}


def _artifact_change(change: FileChange) -> _Object:
    replacements = [
        {
            "deletedRegion": {
                "startLine": hunk.line,
                "startColumn": hunk.column,
                "endLine": hunk.end_line,
                "endColumn": hunk.end_column,
            },
            "insertedContent": {"text": hunk.inserted},
        }
        for hunk in hunks(_decoded(change.before), _decoded(change.after))
    ]
    return {"artifactLocation": _artifact(change.path), "replacements": replacements} if replacements else {}


def _decoded(source: bytes) -> str:
    """Python source as text, as its cookie or byte order mark says."""
    encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
    return source.decode(encoding)
