"""Locking a row by SQL text before a function is called that looks at it, and that serves readers too."""

from __future__ import annotations

import ast
import re

from autolock.database.sqltext import parse
from autolock.database.trace import RowRead, RowWrite
from autolock.edits import Edit
from autolock.planning.blocks import Refusal, Sources
from autolock.planning.homes import frozen
from autolock.planning.names import laid_out
from autolock.planning.ordered import place_of, refuse_late_names
from autolock.planning.statements import bound_in, loops_round, named_before
from autolock.program.linker import Program, Ref

_UNKNOWN = (
    "which row the SQL text asks for cannot be written where the session is at hand: add FOR UPDATE to it by hand"
)


def text_lock(
    program: Program, sources: Sources, look: RowRead, change: RowWrite, session: str, function: Ref
) -> list[Edit]:
    """The edits by which a function locks the rows of a look, by text, before what leads to it.

    Raises Refusal where that is not possible. The rows are those that the UPDATE locks in the end.
    """
    sql = parse(look.query.text)
    same = {(c.column, c.operator, c.value.term) for c in look.query.conditions if c.value.term}
    if sql is None or look.session.library != "sqlalchemy" or len(sql.conditions) != 1 or not sql.exact or sql.joined:
        raise Refusal(_UNKNOWN)
    if change.form != "update" or same != {(c.column, c.operator, c.value.term) for c in change.conditions}:
        raise Refusal(_UNKNOWN)
    if re.search(rf"\bFROM\s+{re.escape(sql.table)}\b(?!\.)", look.query.text, re.IGNORECASE) is None:
        raise Refusal(_UNKNOWN)  # the table is named with its schema, or quoted
    place, column = place_of(program, look, function), sql.conditions[0].column
    if any(loops_round(sources.node_of(function), place.statement)):
        raise Refusal(_UNKNOWN)  # each turn would lock its rows after those of the last
    refuse_late_names(sources.node_of(function), place.key, place.statement)
    session = named_before(sources.node_of(function), session, place.statement.lineno)
    text, imports = imported_text(program, sources, function)
    query = f"SELECT {column} FROM {sql.table} WHERE {column} = :{column} FOR UPDATE"
    code = f'{session}.execute({text}("{query}"), {{"{column}": {ast.unparse(place.key)}}})'
    code = laid_out(
        sources, function.path, f"await {code}" if look.session.is_async else code, place.statement.col_offset
    )
    at = sources.blocks(function.path).spot(place.statement).path
    return [*imports, Edit(function.path, "insert-before", frozen(at=at, code=code))]


def imported_text(program: Program, sources: Sources, function: Ref) -> tuple[str, list[Edit]]:
    """SQLAlchemy's `text` as the file names it, imported where it is not; raises Refusal where the name is taken."""
    node = sources.node_of(function)
    own = {n.id for n in bound_in(node)} | {a.arg for a in ast.walk(node) if isinstance(a, ast.arg)}
    if "text" in own:
        raise Refusal("the name text is taken here")
    found = program.resolve(function.path, "text", function.name)
    if found is not None and found[0].kind == "external" and found[0].name.startswith("sqlalchemy"):
        return "text", []
    if found is not None:
        raise Refusal("the name text is taken here")
    return "text", [Edit(function.path, "import-name", frozen(module="sqlalchemy", name="text", alias=""))]
