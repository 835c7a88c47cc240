"""The JSON report is the document that its schema describes."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from report_samples import latent, race, report

from autolock.findings import Problem, Report
from autolock.report.base import RenderOptions
from autolock.report.json_report import JsonReporter

SCHEMA: dict[str, Any] = json.loads(files("autolock.report").joinpath("findings.schema.json").read_text())


def rendered(given: Report) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(JsonReporter().render(given, RenderOptions(version="1.2.3")))
    return document


def strict(schema: Any) -> Any:
    """The schema with no field allowed that it does not name."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: strict(part) for key, part in schema.items()}
    return {**closed, "additionalProperties": False} if schema.get("type") == "object" else closed


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("given", [report(), Report(root="/")], ids=["findings", "nothing"])
def test_the_document_has_exactly_what_the_schema_names(given: Report) -> None:
    Draft202012Validator(strict(SCHEMA)).validate(rendered(given))


def test_fields_say_what_was_found() -> None:
    document = rendered(report(race(), latent()))
    assert (document["version"], document["autolock"]) == (1, "1.2.3")
    found = document["findings"][0]
    assert (found["path"], found["line"], found["column"]) == ("app/shop.py", 15, 8)
    assert (found["certainty"], found["severity"]) == ("race", "high")
    assert found["routes"] == ["POST /purchases"]
    assert [step["request"] for step in found["window"]["steps"]] == list("AABBBA")
    assert found["window"]["steps"][-1]["lost"] is True
    assert document["findings"][1]["certainty"] == "latent"
    assert document["statistics"]["files"] == 42


def test_any_text_survives_any_encoding() -> None:
    message = "名前 \udc80 \x1b[31m 🎟"
    text = JsonReporter().render(Report(root="/", errors=(Problem("a.py", message),)), RenderOptions())
    assert text.isascii()
    assert json.loads(text)["errors"][0]["message"] == message
