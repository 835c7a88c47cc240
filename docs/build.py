"""Makes docs/rules/ from the docstrings of the built-in rules, and the demonstration in README.md.

    python -m docs.build

A rule's docstring says what it is about and has the sections Racy, Interleaving, Fix and Refused,
code indented by four spaces. The demonstration is what the two commands that it shows print for the
shop of the fixtures. Tests fail when the pages are not what this would write.
"""

from __future__ import annotations

import inspect
import os
import re
import shutil
import subprocess
import sys
import tempfile
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from autolock import registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autolock.rules.base import Rule

FOLDER = Path(__file__).parent / "rules"
README = FOLDER.parent.parent / "README.md"
_FIXTURES = FOLDER.parent.parent / "fixtures"
_SUMMARY = "\n\n1 race"
_NOTICE = "<!-- Made by `python -m docs.build` from the rule's docstring: change that, not this. -->"
_CATEGORIES = {
    "memory": "shared state in memory",
    "locks": "misuse of locks",
    "llm": "language models",
    "deployment": "how the application is run",
}


def pages() -> dict[str, str]:
    """The text of every page by its file name."""
    rules = [rule for rule in registry.rules() if type(rule).__module__.startswith("autolock.")]
    return {"index.md": _index(rules), **{page_name(rule): _page(rule) for rule in rules}}


def page_name(rule: Rule) -> str:
    """`AL101-lost-update.md`."""
    return f"{rule.id}-{rule.name}.md"


def _index(rules: list[Rule]) -> str:
    lines = ["# Rules", "", _NOTICE]
    for category, members in groupby(rules, key=lambda rule: rule.category):
        lines += [
            "",
            f"## {_CATEGORIES.get(category, category).capitalize()}",
            "",
            "| rule | what is wrong |",
            "| --- | --- |",
        ]
        lines += [f"| [{rule.id} {rule.name}]({page_name(rule)}) | {rule.summary} |" for rule in members]
    return "\n".join(lines) + "\n"


def _page(rule: Rule) -> str:
    lines = [f"# {rule.id} {rule.name}", "", _NOTICE, "", f"*{rule.summary}*", ""]
    lines += _markdown((inspect.getdoc(type(rule)) or "").splitlines())
    lines += ["", "## See also", "", *_see_also(rule)]
    return "\n".join(lines) + "\n"


def _see_also(rule: Rule) -> Iterator[str]:
    if (_FIXTURES / rule.name).is_dir():
        yield (
            f"* [fixtures/{rule.name}](../../fixtures/{rule.name}): an application with this race, before and after, "
            "and a driver that shows it"
        )
    if rule.codemods:
        yield f"* the codemods that mend it: {', '.join(f'`{name}`' for name in rule.codemods)}"
    yield f"* `autolock explain {rule.id}`, and [all rules](index.md)"


def _markdown(lines: list[str]) -> Iterator[str]:
    """A docstring with its indented blocks fenced, Python where it is code."""
    section = ""
    block: list[str] = []
    for line in [*lines, "."]:
        if line.startswith("    ") or (block and not line):
            block.append(line[4:])
            continue
        if block:
            yield from _fenced(block, "text" if section == "Interleaving" else "python")
            block = []
        if line.startswith("## "):
            section = line[3:]
        if line != ".":
            yield line


def _fenced(block: list[str], language: str) -> Iterator[str]:
    code = list(block)
    while not code[-1]:
        code.pop()
    yield from (f"```{language}", *code, "```", *block[len(code) :])


def readme() -> str:
    """README.md with what the commands in it print today."""
    text = README.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as scratch:
        shop = Path(scratch) / "shop"
        shutil.copytree(_FIXTURES / "shop/before", shop, ignore=shutil.ignore_patterns("__pycache__"))
        text = _with_output(text, "autolock check --select AL102", _without_frame(_printed(shop, "check")))
        return _with_output(text, "autolock fix --select AL102", _printed(shop, "fix"))


def _printed(folder: Path, command: str) -> str:
    arguments = [sys.executable, "-m", "autolock", command, "--select", "AL102", "--no-cache"]
    plain = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}
    done = subprocess.run(arguments, check=False, capture_output=True, text=True, cwd=folder, env=plain)
    return done.stdout.strip("\n")


def _without_frame(text: str) -> str:
    """A finding without the code frame, which the picture and the diff show again, and without the summary."""
    message, _, rest = text.partition("\n\n    ")
    _, _, picture = rest.partition("\n\n")
    return f"{message}\n\n{picture.rpartition(_SUMMARY)[0]}".rstrip()


def _with_output(text: str, command: str, output: str) -> str:
    """The text with the output in the block that starts with the command."""
    block = re.compile(rf"(```console\n\$ {command}\n).*?(\n```)", re.DOTALL)
    return block.sub(lambda match: f"{match[1]}{output}{match[2]}", text)


def main() -> None:
    """Write the pages, and remove those of rules that are gone."""
    wanted = pages()
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.md"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    README.write_text(readme(), encoding="utf-8")
    print(f"{len(wanted)} pages in {FOLDER}, and {README.name}")


if __name__ == "__main__":
    main()
