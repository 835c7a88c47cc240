"""How a function's file names a class of the project, and how new statements are laid out in it."""

from __future__ import annotations

import ast

from autolock.edits import Edit
from autolock.planning.blocks import Sources
from autolock.planning.homes import HomeFinder
from autolock.program.index import dotted
from autolock.program.linker import Program, Ref

_NARROWEST = 88


def name_of(program: Program, homes: HomeFinder, function: Ref, wanted: Ref) -> tuple[str, list[Edit]]:
    """The name of a class in a function, and the import that it needs; raises Refusal where there is none."""
    if program.resolve(function.path, wanted.name, function.name) == (wanted, ()):
        return wanted.name, []
    return homes.reach(function, wanted.path, wanted.name)


def name_in(program: Program, homes: HomeFinder, function: Ref, node: ast.AST, wanted: Ref) -> tuple[str, list[Edit]]:
    """The same as a query of the function spells it: `models.User` where that is how it is written there."""
    for inner in ast.walk(node):
        name = dotted(inner) if isinstance(inner, ast.Name | ast.Attribute) else ""
        if name and program.resolve(function.path, name, function.name) == (wanted, ()):
            return name, []
    return name_of(program, homes, function, wanted)


def written(sources: Sources, path: str, node: ast.stmt | ast.expr) -> str:
    """A node as its file spells it, quotes and all, where it is on one line; else as Python would."""
    lines = sources.blocks(path).unit.lines
    if node.lineno != node.end_lineno or node.lineno > len(lines):
        return ast.unparse(node)
    return lines[node.lineno - 1].encode()[node.col_offset : node.end_col_offset].decode()


def laid_out(sources: Sources, path: str, code: str, indent: int) -> str:
    """A statement in several lines where it is longer than the lines of its file."""
    # Imported late, as few fixes need it.
    import black

    longest = max((len(line) for line in sources.blocks(path).unit.lines), default=0)
    width = min(max(longest, _NARROWEST), 120) - indent
    return black.format_str(code, mode=black.Mode(line_length=width)).rstrip("\n")
