"""Proofs as they are handed on: Markdown for pull requests, evidence in SARIF, templates for Nuclei."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from cli_runner import Cli
from jsonschema import Draft4Validator
from test_prove import COUNTER, HEAD

SCHEMA = json.loads(Path(__file__).with_name("data").joinpath("sarif-2.1.0-rtm.5.json").read_text())
RACY = HEAD + COUNTER.replace("GUARD", "if True:")


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Cli:
    (tmp_path / "main.py").write_text(RACY, encoding="utf-8")
    return Cli(tmp_path, monkeypatch, capfdbinary)


def test_markdown_has_the_verdicts_and_the_witness(cli: Cli) -> None:
    text = cli("prove", ".", "--format", "markdown").out
    (row,) = [line for line in text.splitlines() if line.startswith("| `AL101`")]
    assert row.endswith("| **witnessed** | held |")
    assert "A sends POST /count" in text
    assert "main.count is 1; one after the other it is 2" in text
    assert text.count("```") == 2


def test_sarif_carries_the_witness_as_a_code_flow_and_the_verdicts_as_evidence(cli: Cli) -> None:
    log = json.loads(cli("prove", ".", "--format", "sarif").out)
    Draft4Validator(SCHEMA).validate(log)
    (result,) = log["runs"][0]["results"]
    assert result["properties"]["proof"]["before"]["verdict"] == "witnessed"
    assert result["properties"]["proof"]["after"]["verdict"] == "held"
    (flow,) = result["codeFlows"]
    assert "as it was played" in flow["message"]["text"]
    values = [place["state"] for thread in flow["threadFlows"] for place in thread["locations"] if "state" in place]
    assert any("seen=0" in told["text"] for state in values for told in state.values())


def test_a_template_sends_the_same_request_as_often_as_it_raced(cli: Cli, tmp_path: Path) -> None:
    cli("prove", ".", "--against", "before", "--write-nuclei", "templates")
    (path,) = (tmp_path / "templates").glob("*.yaml")
    template = yaml.safe_load(path.read_text(encoding="utf-8"))
    (block,) = template["http"]
    assert (block["race"], block["race_count"]) == (True, 2)
    assert block["raw"] == ["POST /count HTTP/1.1\nHost: {{Hostname}}\n"]
    assert block["matchers"] == [{"type": "status", "status": [200]}]
    assert "main.count is 1; one after the other it is 2" in template["info"]["description"]


def test_a_template_sends_different_requests_after_those_that_prepare_for_them(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(RACY, encoding="utf-8")
    scenario = """
    [[setup]]
    method = "POST"
    path = "/count"
    [[race]]
    requests = [
        { method = "POST", path = "/count", query = { by = "a b" } },
        { method = "POST", path = "/count", body = { by = "b" } },
    ]
    """
    (tmp_path / "prove.toml").write_text(scenario, encoding="utf-8")
    done = cli("prove", ".", "--scenario", "prove.toml", "--against", "before", "--write-nuclei", "templates")
    assert done.code == 0, done.err
    (path,) = (tmp_path / "templates").glob("*.yaml")
    first, race = yaml.safe_load(path.read_text(encoding="utf-8"))["http"]
    assert first == {"raw": ["POST /count HTTP/1.1\nHost: {{Hostname}}\n"]}
    assert race["threads"] == 2
    assert race["raw"][0].startswith("POST /count?by=a+b HTTP/1.1\n")
    assert race["raw"][1].endswith('Content-Type: application/json\n\n{"by": "b"}\n')


def test_an_unknown_format_is_refused_before_anything_runs(cli: Cli) -> None:
    done = cli("prove", ".", "--format", "xml")
    assert done.code == 2
    assert "text, json, markdown or sarif" in done.err
