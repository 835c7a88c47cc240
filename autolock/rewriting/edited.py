"""Which functions plans edit, and which their findings are about."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING

from autolock.program.linker import Ref
from codemods.parsing import parse
from codemods.paths import PlaceError, StatementPath

if TYPE_CHECKING:
    from autolock.edits import Edit
    from autolock.findings import Finding
    from autolock.plan import Plan


def edited_functions(plans: Iterable[Plan], read: Callable[[str], bytes]) -> frozenset[Ref]:
    """The functions and methods in which plans edit a statement; of nested ones the outermost.

    A place that is not there, or in a file that cannot be read, is in none.
    """
    tree = cache(lambda path: parse(read(path)))
    return frozenset(ref for plan in plans for edit in plan.edits for ref in _function_at(edit, tree))


def told_functions(findings: Iterable[Finding]) -> frozenset[Ref]:
    """The functions in which findings happen, by what is told of them: of both requests."""
    places = (step.place for finding in findings for step in finding.window.steps)
    return frozenset(Ref("function", place.path, place.function) for place in places if place.function)


def _function_at(edit: Edit, tree: Callable[[str], ast.Module]) -> Iterator[Ref]:
    names: list[str] = []
    try:
        node: ast.AST = tree(edit.path)
        for step in StatementPath.parse(str(edit.arguments.get("at", ""))).steps:
            node = getattr(node, step.field)[step.index]
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                names.append(node.name)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield Ref("function", edit.path, ".".join(names))
                return
    except (OSError, SyntaxError, ValueError, PlaceError, AttributeError, IndexError):
        return  # carrying the plan out will say what is wrong
