"""The documentation is what the code says, and its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from autolock import registry
from docs import build

if TYPE_CHECKING:
    from autolock.rules.base import Rule

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "benchmarks/README.md", *ROOT.glob("docs/**/*.md")])
SECTIONS = ("Racy", "Interleaving", "Fix", "Refused")


def test_rule_pages_are_up_to_date() -> None:
    written = {path.name: path.read_text(encoding="utf-8") for path in build.FOLDER.glob("*.md")}
    assert written == build.pages(), "run `python -m docs.build`"


def test_the_readme_shows_what_is_printed() -> None:
    assert build.README.read_text(encoding="utf-8") == build.readme(), "run `python -m docs.build`"


@pytest.mark.parametrize("rule", registry.rules(), ids=lambda rule: rule.id)
def test_a_rule_says_all_there_is_to_say(rule: Rule) -> None:
    """A rule that no codemod mends has said under Fix why not."""
    sections = re.findall(r"^\s*## (.*)$", type(rule).__doc__ or "", re.MULTILINE)
    assert tuple(sections) == (SECTIONS if rule.codemods else SECTIONS[:-1])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)", text)
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert missing == []


def test_the_readme_names_every_command_and_option() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    declared = (ROOT / "autolock/cli/options.py").read_text(encoding="utf-8")
    declared += "".join((ROOT / f"autolock/cli/{name}.py").read_text(encoding="utf-8") for name in ("check", "fix"))
    options = set(re.findall(r'"(--[a-z-]+)', declared))
    assert options
    assert {option for option in options if f"`{option}" not in readme} == set()
