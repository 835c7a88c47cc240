"""What the tests over fixtures share: their parameters, and whether an expectation names functions that exist."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fixture_runner import Fixture


def cases(chosen: list[Fixture], variants: list[str], *kinds: str) -> list[object]:
    """Parameters (fixture, variant, drive function) of the functions whose names start with one of `kinds`."""
    return [
        pytest.param(fixture, variant, part, id=f"{fixture.name}-{variant}-{part}")
        for fixture in chosen
        for variant in variants
        for kind in kinds
        for part in fixture.parts(kind)
    ]


def missing_places(fixture: Fixture) -> list[str]:
    """The `at` of a fixture, path:qualified.name each, that are no function of the racy application."""
    return [place for finding in fixture.findings for place in finding["at"] if not _exists(fixture, place)]


def _exists(fixture: Fixture, place: str) -> bool:
    path, _, qualified = place.partition(":")
    body = ast.parse((fixture.before / path).read_text(encoding="utf-8")).body
    for name in qualified.split("."):
        inside = [node for outer in body for node in ast.walk(outer)]
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        named = [node for node in inside if isinstance(node, kinds) and node.name == name]
        if not named:
            return False
        body = named[0].body
    return True
