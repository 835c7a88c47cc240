"""GitHub workflow commands: what the runner reads back is what was written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from report_samples import latent, place, race, report, thread_race

from autolock.findings import Finding, Fix, Place, Safety
from autolock.report.base import RenderOptions
from autolock.report.github import GithubReporter

NO_FIX = Fix(Safety.NONE, "", "")


def commands(*findings: Finding) -> list[str]:
    return GithubReporter().render(report(*findings), RenderOptions()).splitlines()


def parsed(command: str) -> tuple[str, dict[str, str], str]:
    """A command as the runner takes it apart."""
    head, message = command.removeprefix("::").split("::", 1)
    name, _, listed = head.partition(" ")
    properties = dict(item.split("=", 1) for item in listed.split(","))
    return name, {key: unescaped(value, extra=True) for key, value in properties.items()}, unescaped(message)


def unescaped(text: str, extra: bool = False) -> str:
    text = text.replace("%0D", "\r").replace("%0A", "\n")
    if extra:
        text = text.replace("%3A", ":").replace("%2C", ",")
    return text.replace("%25", "%")


def test_a_finding_is_an_annotation_at_its_place() -> None:
    name, properties, message = parsed(commands(race())[0])
    assert name == "error"
    assert properties["file"] == "app/shop.py"
    assert (properties["line"], properties["endLine"], properties["col"]) == ("15", "15", "8")
    assert properties["title"] == "AL102 check-then-act (high race)"
    assert "both sell the last item" in message
    assert "fix (safe)" in message


def test_severity_is_the_kind_of_annotation() -> None:
    kinds = [parsed(command)[0] for command in commands(race(), thread_race(), latent())]
    assert kinds == ["error", "warning", "notice", "warning"]


def test_a_range_of_lines_has_no_columns() -> None:
    _, properties, _ = parsed(commands(race(place=Place("a.py", 3, 5, 9, 2)))[0])
    assert properties["endLine"] == "9"
    assert "col" not in properties


@given(st.text(), st.text(min_size=1))
def test_escaping_round_trips(message: str, path: str) -> None:
    text = GithubReporter().render(
        report(race(message=message, place=place(1, path=path), fix=NO_FIX)), RenderOptions()
    )
    first = text.split("\n")[0]
    assert "\r" not in first
    _, properties, read = parsed(first)
    assert (properties["file"], read) == (path, message)


def test_unread_files_are_named() -> None:
    name, properties, message = parsed(commands(race())[-1])
    assert (name, properties["file"]) == ("warning", "app/bad.py")
    assert "mend it" in message
