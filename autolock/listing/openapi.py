"""Routes and the operations of an OpenAPI document, joined."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autolock.errors import AutolockError

if TYPE_CHECKING:
    import os

    from autolock.findings import Report
    from autolock.listing.routes import Route

#: Where a route's entry stands in an operation.
EXTENSION = "x-autolock"
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_PARAMETER = re.compile(r"\{[^}]*\}")


@dataclass(frozen=True, slots=True)
class Document:
    """An OpenAPI document as it was read."""

    content: Mapping[str, Any]

    @staticmethod
    def read(file: str | os.PathLike[str]) -> Document:
        """Read a document, JSON or YAML. Raises AutolockError when it is none."""
        import yaml

        try:
            text = Path(file).read_text("utf-8")
            content = json.loads(text) if text.lstrip().startswith("{") else yaml.safe_load(text)
        except OSError as error:
            raise AutolockError(f"{file}: {error.strerror}", "name a file with an OpenAPI document") from error
        except (ValueError, yaml.YAMLError) as error:
            raise AutolockError(f"{file}: neither JSON nor YAML: {str(error).splitlines()[0]}") from error
        if not isinstance(content, dict) or not isinstance(content.get("paths"), dict):
            raise AutolockError(f"{file}: no OpenAPI document, as it has no paths")
        return Document(content)

    def operations(self) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """Path, method and content of each operation."""
        for path, item in self.content["paths"].items():
            for method in _METHODS if isinstance(item, dict) else ():
                if isinstance(item.get(method), dict):
                    yield path, method, item[method]


@dataclass(frozen=True, slots=True)
class Listing:
    """The routes of an application, the report of the run that found them, and the document they were joined with.

    `unmatched` are operations of the document, `GET /items`, that no route is known for.
    """

    routes: tuple[Route, ...]
    report: Report
    document: Document | None = None
    unmatched: tuple[str, ...] = ()
    _operations: tuple[tuple[int, str, str], ...] = ()

    def joined(self) -> Iterator[tuple[Route, tuple[str, str]]]:
        """The routes that are in the document, each with the path and method of its operation there."""
        return ((self.routes[number], (path, method)) for number, path, method in self._operations)

    @staticmethod
    def of(routes: Sequence[Route], report: Report, document: Document | None) -> Listing:
        """Join routes with a document, where there is one."""
        if document is None:
            return Listing(tuple(routes), report)
        matched = _matched(routes, document)
        named = tuple(
            replace(route, operation=str(matched[number][2].get("operationId", ""))) if number in matched else route
            for number, route in enumerate(routes)
        )
        found = {(path, method) for path, method, _ in matched.values()}
        left = [f"{m.upper()} {path}" for path, m, _ in document.operations() if (path, m) not in found]
        operations = tuple((number, path, method) for number, (path, method, _) in matched.items())
        return Listing(named, report, document, tuple(left), operations)


def _matched(routes: Sequence[Route], document: Document) -> dict[int, tuple[str, str, Mapping[str, Any]]]:
    """For the number of each route its operation: the one of the same path, else the only one that ends in it.

    What an application is mounted under, or a prefix that is computed, is in the document and not in the route.
    """
    by_path: dict[tuple[str, str], tuple[str, str, Mapping[str, Any]]] = {}
    by_end: dict[tuple[str, str], list[tuple[str, str, Mapping[str, Any]]]] = defaultdict(list)
    for operation in document.operations():
        path, method, _ = operation
        by_path[method, _normal(path)] = operation
        parts = _normal(path).split("/")
        for start in range(1, len(parts)):
            by_end[method, "/" + "/".join(parts[start:])].append(operation)
    found: dict[int, tuple[str, str, Mapping[str, Any]]] = {}
    for number, route in enumerate(routes):
        key = (route.method.lower(), _normal(route.path))
        ends = by_end.get(key, [])
        if key in by_path:
            found[number] = by_path[key]
        elif len(ends) == 1:
            found[number] = ends[0]
    return found


def _normal(path: str) -> str:
    return _PARAMETER.sub("{}", path).rstrip("/") or "/"
