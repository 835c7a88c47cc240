"""Sums whose first term can be read at the write: `seen = n; await ...; n = seen + 1` becomes `n = n + 1`."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass

from autolock.edits import Edit
from autolock.planning.blocks import Sources, own_nodes
from autolock.planning.homes import frozen
from autolock.program.machine import Machine
from autolock.program.trace import Write
from autolock.program.windows import RaceWindow

#: What the target of the sum and what is added may consist of: nothing that could come out otherwise, or wait.
_PLAIN = (
    ast.Name,
    ast.Attribute,
    ast.Subscript,
    ast.Constant,
    ast.UnaryOp,
    ast.BinOp,
    ast.operator,
    ast.unaryop,
    ast.expr_context,
)


@dataclass(slots=True, frozen=True)
class Anew:
    """A write that reads anew what it adds to, and the edits that make it do so."""

    write: Write
    edits: tuple[Edit, ...]


def anew(machine: Machine, sources: Sources, windows: Iterable[RaceWindow]) -> list[Anew]:
    """The windows whose lost update is over when the sum is made at the write; nothing else may hang on the read."""
    found = []
    for window in windows:
        write = window.write
        if write is None or window.kind != "read-write" or window.dependence != "data":
            continue
        decided = any(c.control is not None for c in machine.trace.candidates if c.write.node is write.node)
        edits = _edits(window, write, sources) if window.context == "event loop" and not decided else []
        if edits:
            found.append(Anew(write, tuple(edits)))
    return found


def _edits(window: RaceWindow, write: Write, sources: Sources) -> list[Edit]:
    """The edits that put what is read into the sum, in the place of the name that keeps it."""
    statement, function = write.node, sources.node_of(write.function)
    if write.function != window.function or not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return []
    target, value = statement.targets[0], statement.value
    if not isinstance(value, ast.BinOp) or not isinstance(value.left, ast.Name):
        return []
    if not isinstance(value.op, ast.Add | ast.Sub) or not _is_plain(target) or not _is_plain(value.right):
        return []
    kept, body = value.left.id, list(own_nodes(function.body))
    mentions = [n for n in body if isinstance(n, ast.Name) and n.id == kept]
    binding = _only_assignment(body, kept)
    stored = {n.id for n in body if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    if binding is None or len(mentions) != 2:  # set once, and used by nothing but the sum
        return []
    if ast.unparse(binding.value) != ast.unparse(target) or _only_assignment(body, ast.unparse(target)) is None:
        return []
    if stored & {n.id for n in ast.walk(target) if isinstance(n, ast.Name)} or _mentions(value, kept) != 1:
        return []
    blocks, path = sources.blocks(write.function.path), write.function.path
    read = ast.get_source_segment(blocks.unit.text, target) or ast.unparse(target)
    put = frozen(at=blocks.spot(statement).path, expression=kept, replacement=read)
    gone = frozen(at=blocks.spot(binding).path)
    return [Edit(path, "replace-expression", put), Edit(path, "remove-statement", gone)]


def _only_assignment(body: Iterable[ast.AST], target: str) -> ast.Assign | None:
    """The one statement that assigns to a target, written like this; None where there are several or none."""
    found = [s for s in body if isinstance(s, ast.Assign) and target in map(ast.unparse, s.targets)]
    return found[0] if len(found) == 1 and len(found[0].targets) == 1 else None


def _mentions(node: ast.AST, name: str) -> int:
    return sum(isinstance(n, ast.Name) and n.id == name for n in ast.walk(node))


def _is_plain(node: ast.expr) -> bool:
    return all(isinstance(n, _PLAIN) for n in ast.walk(node))
