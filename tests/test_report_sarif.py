"""The SARIF report is valid, tells the interleaving, and its fixes do what the rewrite does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft4Validator
from report_samples import RULES, SHOP, latent, place, race, report, rewrite, thread_race

from autolock.findings import FileChange, Report, Rewrite, Safety
from autolock.report.base import RenderOptions
from autolock.report.lines import split_lines
from autolock.report.sarif import SarifReporter

SCHEMA = json.loads(Path(__file__).with_name("data").joinpath("sarif-2.1.0-rtm.5.json").read_text())
VALIDATOR = Draft4Validator(SCHEMA)


def run(of: Report) -> dict[str, Any]:
    log = json.loads(SarifReporter().render(of, RenderOptions(version="1.2.3", rules=RULES)))
    VALIDATOR.validate(log)
    (only,) = log["runs"]
    assert isinstance(only, dict)
    return only


def regions(value: Any) -> list[dict[str, Any]]:
    """Every region in a log, however deep."""
    if isinstance(value, list):
        return [region for item in value for region in regions(item)]
    if not isinstance(value, dict):
        return []
    own = [part for key, part in value.items() if key in ("region", "deletedRegion")]
    return own + [region for part in value.values() for region in regions(part)]


def offset(text: str, line: int, column: int) -> int:
    return len("".join(split_lines(text)[: line - 1])) + column - 1


def replaced(text: str, replacements: list[dict[str, Any]]) -> str:
    """`text` with SARIF replacements carried out, from the last to the first."""
    for replacement in reversed(replacements):
        region = replacement["deletedRegion"]
        start = offset(text, region["startLine"], region["startColumn"])
        end = offset(text, region["endLine"], region["endColumn"])
        text = text[:start] + replacement["insertedContent"]["text"] + text[end:]
    return text


def rewriting(before: bytes, after: bytes) -> Report:
    change = FileChange("app/shop.py", before, after)
    return report(race(), rewrites=(Rewrite("guard", "why", Safety.SAFE, ("3f2a9c0d11e84b67",), (change,)),))


@pytest.mark.parametrize("sample", [report(rewrites=(rewrite(),)), report(), Report(root=".")])
def test_the_log_is_valid(sample: Report) -> None:
    # The schema of errata 01 asks for this too.
    assert all("startLine" in region for region in regions(run(sample)))


def test_a_result_has_its_place_rule_and_fingerprint() -> None:
    only = run(report())
    result = only["results"][0]
    physical = result["locations"][0]["physicalLocation"]
    assert physical["artifactLocation"] == {"uri": "app/shop.py", "uriBaseId": "%SRCROOT%"}
    assert physical["region"] == {"startLine": 15, "startColumn": 8, "endLine": 15, "endColumn": 26}
    assert result["partialFingerprints"] == {"autolock/v1": "3f2a9c0d11e84b67"}
    assert only["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    assert only["originalUriBaseIds"]["%SRCROOT%"]["uri"] == "file:///srv/shop/"
    assert [entry["level"] for entry in only["results"]] == ["error", "warning", "note"]


def test_the_orders_of_both_threads_together_are_the_interleaving() -> None:
    (flow,) = run(report(race()))["results"][0]["codeFlows"]
    assert [thread["id"] for thread in flow["threadFlows"]] == ["request A", "request B"]
    steps = [
        (entry["executionOrder"], thread["id"][-1], entry["location"]["physicalLocation"]["region"]["startLine"])
        for thread in flow["threadFlows"]
        for entry in thread["locations"]
    ]
    told = [(request, line) for _, request, line in sorted(steps)]
    assert told == [("A", 15), ("A", 18), ("B", 15), ("B", 18), ("B", 19), ("A", 19)]
    lost = flow["threadFlows"][0]["locations"][-1]
    assert lost["importance"] == "essential"
    assert "lost" in lost["location"]["message"]["text"]


def test_a_latent_finding_shows_no_interleaving() -> None:
    result = run(report(latent()))["results"][0]
    assert "codeFlows" not in result
    assert result["level"] == "note"


def test_only_findings_of_a_rewrite_have_its_fix() -> None:
    results = run(report(race(), thread_race(), rewrites=(rewrite(),)))["results"]
    assert ["fixes" in result for result in results] == [True, False]
    (change,) = results[0]["fixes"][0]["artifactChanges"]
    assert len(change["replacements"]) == 2
    assert replaced(SHOP, change["replacements"]).encode() == rewrite().changes[0].after


def test_files_that_could_not_be_read_are_notifications() -> None:
    (invocation,) = run(report())["invocations"]
    assert invocation["executionSuccessful"] is False
    assert "mend it" in invocation["toolExecutionNotifications"][0]["message"]["text"]


def test_paths_are_uris() -> None:
    finding = race(place=place(1, path="app/naïve dir/c#.py"))
    location = run(report(finding))["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert location["uri"] == "app/na%C3%AFve%20dir/c%23.py"


LINES = st.lists(st.sampled_from(["a\n", "b\r\n", "c\r", "dé名\n", "\x0c\n", "\n"]), max_size=12).map("".join)
TAIL = st.sampled_from(["", "end", "x = 1"])


@given(LINES, TAIL, LINES, TAIL)
def test_replacements_turn_before_into_after(one: str, one_tail: str, two: str, two_tail: str) -> None:
    before, after = one + one_tail, two + two_tail
    result = run(rewriting(before.encode(), after.encode()))["results"][0]
    if before == after:
        assert "fixes" not in result
    else:
        (change,) = result["fixes"][0]["artifactChanges"]
        assert replaced(before, change["replacements"]) == after


def test_bytes_are_read_in_the_encoding_of_the_file() -> None:
    before = "# -*- coding: latin-1 -*-\nname = 'é'\n".encode("latin-1")
    after = before.replace(b"name", b"title")
    (change,) = run(rewriting(before, after))["results"][0]["fixes"][0]["artifactChanges"]
    assert change["replacements"][0]["insertedContent"]["text"] == "title = 'é'\n"
