"""A listing of routes as a table, as JSON, or as the operations of an OpenAPI document."""

from __future__ import annotations

import copy
import io
import json
from typing import TYPE_CHECKING, Any

from autolock import __version__
from autolock.listing.openapi import EXTENSION, Listing
from autolock.report.json_report import problem_told
from autolock.report.text import count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from autolock.findings import Finding
    from autolock.listing.routes import Route

FORMATS = ("table", "json", "openapi")


def rendered(listing: Listing, format: str, *, width: int, color: bool) -> str:
    """A listing in one of `FORMATS`; a table is `width` characters wide."""
    shown: dict[str, Callable[[], str]] = {
        "table": lambda: _table(listing, width, color=color),
        "json": lambda: _dumped({"version": __version__, **_content(listing)}),
        "openapi": lambda: _dumped(_document(listing)),
    }
    return shown[format]()


def _dumped(content: object) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


# -- table --------------------------------------------------------------------------------------


def _table(listing: Listing, width: int, *, color: bool) -> str:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_lines=False, pad_edge=False, expand=False)
    for head in ("route", "handler", "depends on", "reads", "writes", "guards", "findings"):
        table.add_column(head, overflow="fold")
    for route in listing.routes:
        table.add_row(
            Text(f"{route.title}\n{route.operation}" if route.operation else route.title),
            Text(f"{route.handler}:{route.line}\n{route.context}"),
            Text("\n".join(route.dependencies)),
            Text("\n".join((*route.reads, *(f"table {name}" for name in route.reads_tables)))),
            Text("\n".join((*route.writes, *(f"table {name}" for name in route.writes_tables)))),
            Text("\n".join(route.guards)),
            Text("\n".join(_told(route)), style="bold" if route.findings else ""),
        )
    written = io.StringIO()
    Console(file=written, width=width, force_terminal=color, no_color=not color, highlight=False).print(table)
    lines = "\n".join(line.rstrip() for line in written.getvalue().strip("\n").splitlines())
    return f"{lines}\n{_summary(listing)}"


def _told(route: Route) -> list[str]:
    found = [f"{finding.rule} {finding.place.path}:{finding.place.line}" for finding in route.findings]
    return [*found, *(f"{flag.rule} {flag.message}" for flag in route.flags)]


def _summary(listing: Listing) -> str:
    found = len({finding.fingerprint for route in listing.routes for finding in route.findings})
    flags = sum(len(route.flags) for route in listing.routes)
    counted = (count(len(listing.routes), "route"), count(found, "finding"), count(flags, "remark"))
    left = "".join(f"not found in the code: {operation}\n" for operation in listing.unmatched)
    return f"\n{', '.join(counted)}\n{left}"


# -- JSON ---------------------------------------------------------------------------------------


def _content(listing: Listing) -> dict[str, Any]:
    return {
        "routes": [
            {"method": r.method, "path": r.path, "operationId": r.operation or None, **_entry(r)}
            for r in listing.routes
        ],
        "unmatched": list(listing.unmatched),
        "errors": [problem_told(problem) for problem in listing.report.errors],
    }


def _entry(route: Route) -> dict[str, Any]:
    """What is known of a route besides its method and path."""
    return {
        "handler": route.handler,
        "line": route.line,
        "context": route.context,
        "dependencies": list(route.dependencies),
        "reads": list(route.reads),
        "writes": list(route.writes),
        "tables": {"reads": list(route.reads_tables), "writes": list(route.writes_tables)},
        "guards": list(route.guards),
        "findings": [_finding(finding) for finding in route.findings],
        "remarks": [{"rule": flag.rule, "message": flag.message} for flag in route.flags],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "certainty": finding.certainty.value,
        "path": finding.place.path,
        "line": finding.place.line,
        "message": finding.message,
        "fingerprint": finding.fingerprint,
    }


# -- OpenAPI ------------------------------------------------------------------------------------


def _document(listing: Listing) -> dict[str, Any]:
    """The document that was given with an entry in each operation, or one of the operations that are known."""
    if listing.document is None:
        return _own(listing.routes)
    content: dict[str, Any] = copy.deepcopy(dict(listing.document.content))
    for route, (path, method) in listing.joined():
        content["paths"][path][method][EXTENSION] = _entry(route)
    return content


def _own(routes: Iterable[Route]) -> dict[str, Any]:
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        if route.method in ("WEBSOCKET", "ANY"):
            continue  # no method of an OpenAPI document
        responses = {"default": {"description": "not described"}}
        paths.setdefault(route.path, {})[route.method.lower()] = {"responses": responses, EXTENSION: _entry(route)}
    return {"openapi": "3.1.0", "info": {"title": "routes found by autolock", "version": __version__}, "paths": paths}
