"""`autolock rules`."""

import json
from typing import Annotated

import typer

from autolock import registry
from autolock.cli.console import emit
from autolock.errors import AutolockError

Format = Annotated[str, typer.Option("--format", metavar="FORMAT", help="text or json.")]


def rules(format: Format = "text") -> int:
    """List the rules."""
    if format not in ("text", "json"):
        raise AutolockError(f'unknown format "{format}"', "one of text, json")
    emit(_json() if format == "json" else _table())
    return 0


def _json() -> str:
    listed = [
        {
            "id": rule.id,
            "name": rule.name,
            "category": rule.category,
            "summary": rule.summary,
            "codemods": list(rule.codemods),
        }
        for rule in registry.rules()
    ]
    return json.dumps(listed, indent=2) + "\n"


def _table() -> str:
    width = max(len(rule.name) for rule in registry.rules())
    return "".join(f"{rule.id}  {rule.name:{width}}  {rule.summary}\n" for rule in registry.rules())
