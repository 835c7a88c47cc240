"""Where a query is made to lock: where it is built, or where it is run when only some branch builds it so."""

from __future__ import annotations

import ast

from autolock.database.objects import Query
from autolock.database.trace import RowRead
from autolock.planning.blocks import Refusal, Sources
from autolock.planning.statements import header_nodes
from autolock.program.linker import Ref

_BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.match_case)


def lockable(sources: Sources, read: RowRead, query: Query) -> tuple[Ref, ast.stmt, ast.AST]:
    """The function, statement and expression of the query of a look that every run of it goes through.

    Raises Refusal where there is none.
    """
    spot = query.spot
    assert spot is not None
    assert spot.function is not None
    assert spot.statement is not None
    run = next((f.statement for f in reversed(read.stack) if f.function == spot.function), None)
    if run is None or not _is_in_a_branch(sources, spot.function, spot.statement, spot.node, run):
        return spot.function, spot.statement, spot.node
    name = _named(read.node, query.form)
    if name is None or not any(n is name for n in header_nodes(run)):
        raise Refusal("the query is put together in branches: add `with_for_update()` to it by hand where it is run")
    return spot.function, run, name


def _is_in_a_branch(sources: Sources, function: Ref, statement: ast.stmt, node: ast.AST, run: ast.stmt) -> bool:
    """Whether the look can be reached without going through the node."""
    for inner in header_nodes(statement):
        if isinstance(inner, ast.IfExp) and any(n is node for n in (*ast.walk(inner.body), *ast.walk(inner.orelse))):
            return True
    blocks, whole = sources.blocks(function.path), sources.node_of(function)
    around = {id(s.block) for s in blocks.chain(run, whole)}
    return any(isinstance(s.owner, _BRANCHES) and id(s.block) not in around for s in blocks.chain(statement, whole))


def _named(node: ast.AST, form: str) -> ast.Name | None:
    """The variable that holds the query in the call that runs it: `query.first()`, `session.execute(query)`."""
    if not isinstance(node, ast.Call):
        return None
    held = node.func.value if form == "query" and isinstance(node.func, ast.Attribute) else None
    held = node.args[0] if form == "select" and node.args else held
    return held if isinstance(held, ast.Name) else None
