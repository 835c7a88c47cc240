"""The report as one JSON document; its schema is `findings.schema.json`, described in `docs/json.md`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from autolock.findings import Finding, Place, Problem, Report, Step, Window
    from autolock.report.base import RenderOptions

SCHEMA_VERSION = 1


class JsonReporter:
    """Everything a run found, for other programs."""

    name = "json"

    def render(self, report: Report, options: RenderOptions) -> str:
        """One document, in ASCII: it survives whatever encoding the output has."""
        document = {
            "version": SCHEMA_VERSION,
            "autolock": options.version,
            "findings": [_finding(finding) for finding in report.findings],
            "errors": [problem_told(problem) for problem in report.errors],
            "notes": [problem_told(problem) for problem in report.notes],
            "statistics": asdict(report.statistics),
        }
        return json.dumps(document, indent=2) + "\n"


class _Range(TypedDict):
    path: str
    line: int
    column: int
    end_line: int
    end_column: int
    function: str


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "rule": finding.rule,
        "name": finding.name,
        "category": finding.category,
        "certainty": finding.certainty.value,
        "severity": finding.severity.value,
        **_range(finding.place),
        "message": finding.message,
        "location": finding.location,
        "window": _window(finding.window),
        "routes": list(finding.routes),
        "fix": {
            "safety": finding.fix.safety.value,
            "title": finding.fix.title,
            "reason": finding.fix.reason,
            "files": list(finding.fix.files),
        },
        "fingerprint": finding.fingerprint,
    }


def _window(window: Window) -> dict[str, object]:
    return {
        "location": window.location,
        "context": window.context,
        "guards": list(window.guards),
        "steps": [_step(step) for step in window.steps],
    }


def _step(step: Step) -> dict[str, object]:
    return {
        "request": step.request,
        "action": step.action.value,
        **_range(step.place),
        "code": step.code,
        "value": step.value,
        "note": step.note,
        "lost": step.lost,
    }


def _range(place: Place) -> _Range:
    return {
        "path": place.path,
        "line": place.line,
        "column": place.column,
        "end_line": place.end_line,
        "end_column": place.end_column,
        "function": place.function,
    }


def problem_told(problem: Problem) -> dict[str, object]:
    """What is wrong with a file, as documents of autolock say it."""
    return {"path": problem.path, "message": problem.message, "hint": problem.hint}
