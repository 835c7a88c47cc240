"""`autolock explain`."""

import inspect
import textwrap
from typing import Annotated

import typer

from autolock import registry
from autolock.cli.console import emit, use_color
from autolock.config import resolve_rules
from autolock.errors import AutolockError
from autolock.rules.base import Rule

RuleName = Annotated[str, typer.Argument(metavar="RULE", help="An id or a name.")]

_RESET = "\x1b[0m"
_BOLD = "\x1b[1m"


def explain(rule: RuleName) -> int:
    """Say what a rule is about: a racy example, its interleaving, the fix, and when it refuses."""
    color = use_color()
    found = _find(rule)
    emit(_title(found, color=color) + "".join(_shown(block, color=color) for block in _blocks(found)))
    return 0


def _find(wanted: str) -> Rule:
    rules = {rule.id: rule for rule in registry.rules()}
    ids = resolve_rules([wanted.upper() if wanted.upper() in rules else wanted], registry.rule_names(), "explain")
    if len(ids) > 1:
        raise AutolockError(f"{wanted}: a family of rules", f"name one of {', '.join(ids)}")
    return rules[ids[0]]


def _title(rule: Rule, *, color: bool) -> str:
    title = f"{rule.id} {rule.name}"
    return f"{_BOLD}{title}{_RESET}\n\n" if color else f"{title}\n\n"


def _blocks(rule: Rule) -> list[str]:
    """The rule's docstring, split at blank lines but not inside an example."""
    blocks: list[str] = []
    for block in (inspect.getdoc(type(rule)) or "").split("\n\n"):
        if blocks and block.startswith("    ") and blocks[-1].startswith("    "):
            blocks[-1] += f"\n\n{block}"
        else:
            blocks.append(block)
    return blocks


def _shown(block: str, *, color: bool) -> str:
    if block.startswith("## "):
        heading = block.removeprefix("## ")
        return f"{_BOLD}{heading}{_RESET}\n\n" if color else f"{heading}\n\n"
    if color and block.startswith("    "):
        return f"{_highlighted(block)}\n\n"
    return f"{block}\n\n"


def _highlighted(block: str) -> str:
    """An example in the colours that reports show code in."""
    # Imported late: rich takes a while, and a pipe needs none of it.
    from rich.console import Console

    from autolock.report.typeset import python

    console = Console(force_terminal=True, color_system="standard", width=1000, highlight=False, emoji=False)
    with console.capture() as capture:
        console.print(python(textwrap.dedent(block)), soft_wrap=True)
    return textwrap.indent(capture.get().rstrip("\n"), "    ")
