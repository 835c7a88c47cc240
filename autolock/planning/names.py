"""How a function's file names a class of the project, and how new statements are laid out in it."""

from __future__ import annotations

import ast
import re

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
    """A node in one line, spelled as in its file, quotes and all; as Python would where comments are in the way."""
    lines = sources.blocks(path).unit.lines
    end = node.end_lineno or node.lineno
    if end > len(lines):
        return ast.unparse(node)
    own = [line.encode() for line in lines[node.lineno - 1 : end]]
    own[-1] = own[-1][: node.end_col_offset]
    own[0] = own[0][node.col_offset :]
    if len(own) == 1:
        return own[0].decode()
    joined = _GAPS.sub("", " ".join(line.decode().strip() for line in own))
    return joined if _means(joined, node) else ast.unparse(node)


#: What stands at the ends of lines inside of brackets, and not in one line: a space, the last comma.
_GAPS = re.compile(r"(?<=[(\[{]) |,? ?(?=[)\]}])| (?=\.\w)")


def _means(text: str, node: ast.stmt | ast.expr) -> bool:
    """Whether a text is the same code as a node."""
    try:
        (statement,) = ast.parse(text).body
    except (SyntaxError, ValueError):
        return False
    parsed: ast.AST = statement
    if isinstance(statement, ast.Expr) and isinstance(node, ast.expr):
        parsed = statement.value
    return ast.dump(parsed) == ast.dump(node)


def laid_out(sources: Sources, path: str, code: str, indent: int) -> str:
    """A statement in several lines where it is longer than the lines of its file."""
    # Imported late, as few fixes need it.
    import black

    longest = max((len(line) for line in sources.blocks(path).unit.lines), default=0)
    width = min(max(longest, _NARROWEST), 120) - indent
    return black.format_str(code, mode=black.Mode(line_length=width)).rstrip("\n")
