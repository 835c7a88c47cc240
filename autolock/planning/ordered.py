"""Locking several rows of one table in one order, before the first of them is touched."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import NamedTuple, TypeGuard

from autolock.database.sqltext import parse
from autolock.database.trace import RowRead, RowWrite
from autolock.edits import Edit
from autolock.planning.blocks import Refusal, Sources
from autolock.planning.callers import argument_of
from autolock.planning.homes import HomeFinder, frozen
from autolock.planning.looped import keys_of_turns
from autolock.planning.names import laid_out, name_of
from autolock.planning.statements import bound_in, loops_round, named_before
from autolock.planning.wrappers import without_wrappers
from autolock.program.linker import Program, Ref

_UNKNOWN = (
    "several rows of one table change together, and their keys are not known before the first is loaded: lock them "
    "with one `select(...).where(id.in_(...)).order_by(id).with_for_update()` first, never one after the other"
)


class Place(NamedTuple):
    """A look as a function on the way to it can write it: the statement that leads to it, and the key it asks for."""

    statement: ast.stmt
    key: ast.expr


def place_of(program: Program, look: RowRead, function: Ref) -> Place:
    """Where a function looks, itself or through those it calls; raises Refusal where its key cannot be written there.

    A key that is a parameter of a function in between is what its caller gives for it.
    """
    key, stack, spot = key_of_look(look), without_wrappers(program, look.stack), look.query.spot
    if look.query.form != "text" and (spot is None or spot.function != look.function):
        raise Refusal(_UNKNOWN)
    depth = next((n for n in reversed(range(len(stack))) if stack[n].function == function), None)
    if depth is None or stack[depth].statement is None:
        raise Refusal(_UNKNOWN)
    for outer, inner in zip(reversed(stack[depth:-1]), reversed(stack[depth + 1 :]), strict=True):
        if inner.function is None or outer.statement is None or not isinstance(key, ast.Name):
            raise Refusal(_UNKNOWN)
        refuse_bound(program, inner.function, key.id)
        given = argument_of(program, inner.function, outer.statement, key.id)
        if given is None:
            raise Refusal(_UNKNOWN)
        key = given
    statement = stack[depth].statement
    assert statement is not None
    return Place(statement, key)


def refuse_bound(program: Program, function: Ref, parameter: str) -> None:
    """Refuse a parameter that its function binds anew before it looks."""
    node = program.syntax_of(function)
    if node is None or any(name.id == parameter for name in bound_in(node)):
        raise Refusal(_UNKNOWN)


def ordered_lock(
    program: Program, sources: Sources, homes: HomeFinder, looks: Sequence[RowRead], session: str, function: Ref
) -> list[Edit]:
    """The edits by which a function locks the rows of some looks before the first, in one order.

    Raises Refusal where that is not possible.
    """
    first = min(looks, key=lambda r: r.serial)
    places = [place_of(program, look, function) for look in sorted(looks, key=lambda r: r.serial)]
    statement = places[0].statement
    if any(loops_round(sources.node_of(function), statement)):
        raise Refusal(_UNKNOWN)  # each turn would lock its rows after those of the last
    columns = {r.query.conditions[0].column for r in looks}
    keys = list(dict.fromkeys(ast.unparse(p.key) for p in places))
    if len(columns) != 1:
        raise Refusal(_UNKNOWN)
    for place in places:
        refuse_late_names(sources.node_of(function), place.key, statement)
    listed = f"[{', '.join(keys)}]" if len(keys) > 1 else ""
    return locking_select(program, sources, homes, first, session, function, statement, keys[0], listed)


def looped_lock(
    program: Program, sources: Sources, homes: HomeFinder, look: RowRead, session: str, function: Ref, otherwise: str
) -> list[Edit]:
    """The edits by which a function locks, before a loop, the rows that its turns will load one by one, in one order.

    Raises Refusal with `otherwise` where their keys are not known before it.
    """
    try:
        place = place_of(program, look, function)
    except Refusal:
        raise Refusal(otherwise) from None
    node = sources.node_of(function)
    loops = list(loops_round(node, place.statement))
    loop = loops[0] if len(loops) == 1 else None
    if not isinstance(loop, ast.For) or look.query.joined or look.query.grouped:
        raise Refusal(otherwise)
    listed = keys_of_turns(node, loop, place.key, otherwise)
    used = {n.id for n in ast.walk(loop.iter) if isinstance(n, ast.Name)}
    if any(name.id in used and name.lineno >= loop.lineno for name in bound_in(node)):
        raise Refusal(otherwise)
    return locking_select(program, sources, homes, look, session, function, loop, "", listed)


def locking_select(
    program: Program,
    sources: Sources,
    homes: HomeFinder,
    first: RowRead,
    session: str,
    function: Ref,
    statement: ast.stmt,
    key: str,
    listed: str,
) -> list[Edit]:
    """The edits that put a SELECT of the row with the `key`, or of those with the `listed` keys, before a statement."""
    model, column = first.query.model, first.query.conditions[0].column
    if model is None:
        raise Refusal(_UNKNOWN)
    session = named_before(sources.node_of(function), session, statement.lineno)
    name, edits = name_of(program, homes, function, model.ref)
    column = f"{name}.{column}" if model.ref.kind == "class" else f"{name}.c.{column}"
    asked = f"{column}.in_({listed})" if listed else f"{column} == {key}"
    order = f".order_by({column})" if listed else ""
    if first.query.form == "query":
        code = f"{session}.query({name}).filter({asked}){order}.populate_existing().with_for_update().all()"
    else:
        select, more = imported_select(program, function, "sqlmodel" if _is_exec(first.node) else "sqlalchemy")
        edits = [*edits, *more]
        run = first.node.func.attr if _is_exec(first.node) else "execute"  # type: ignore[attr-defined]
        fresh = ".execution_options(populate_existing=True)" if first.session.maps else ""
        code = f"{session}.{run}({select}({name}).where({asked}){order}.with_for_update(){fresh})"
    # A sync session refreshes the objects that it has only when the rows are fetched.
    unread = first.query.form != "query" and not first.session.is_async
    awaited = f"await {code}" if first.session.is_async else f"{code}.all()" if unread else code
    awaited = laid_out(sources, function.path, awaited, statement.col_offset)
    at = sources.blocks(function.path).spot(statement).path
    return [*edits, Edit(function.path, "insert-before", frozen(at=at, code=awaited))]


def _is_call(node: ast.AST) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call)


def _is_exec(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "exec"


def imported_select(program: Program, function: Ref, module: str) -> tuple[str, list[Edit]]:
    """`select` as the file names it, imported from a module where it is not."""
    found = program.resolve(function.path, "select", function.name)
    if found is not None and found[0].kind == "external" and not found[1]:
        return "select", []
    if found is not None:
        raise Refusal("the name select is taken here")
    return "select", [Edit(function.path, "import-name", frozen(module=module, name="select", alias=""))]


def ordered_keys(writes: Sequence[RowWrite]) -> tuple[str, list[ast.expr]] | None:
    """For UPDATEs of one table that are built by calls: the key's column and what each compares it with.

    None where there is but one row of each table. Raises Refusal where the keys cannot be seen.
    """
    by_table: dict[str, dict[int, RowWrite]] = {}
    for write in writes:
        by_table.setdefault(write.model.table, {})[id(write.node)] = write
    for group in by_table.values():
        compared = [_compared(w) for w in group.values()] if len(group) > 1 else []
        keys = {ast.unparse(c.comparators[0]): c.comparators[0] for c in compared}
        if len(keys) > 1:
            columns = {ast.unparse(c.left) for c in compared}
            if len(columns) != 1:
                raise Refusal(_UNKNOWN)
            return columns.pop(), list(keys.values())
    return None


def _compared(write: RowWrite) -> ast.Compare:
    """`Model.key == key` in an UPDATE that asks for nothing else."""
    query = write.query
    if query is None or len(query.conditions) != 1 or query.conditions[0].operator != "==":
        raise Refusal(_UNKNOWN)
    for node in ast.walk(write.node):
        if (
            isinstance(node, ast.Compare)
            and isinstance(node.left, ast.Attribute)
            and node.left.attr == query.conditions[0].column
        ):
            return node
    raise Refusal(_UNKNOWN)


def key_of_look(look: RowRead) -> ast.expr:
    """The expression that a look compares the key with; raises Refusal where it is not written there."""
    query = look.query
    spot = query.spot
    if query.form == "text":
        return _key_of_text(look)
    if len(query.conditions) != 1 or query.conditions[0].operator != "==" or spot is None:
        raise Refusal(_UNKNOWN)
    if query.form == "get" and isinstance(spot.node, ast.Call) and len(spot.node.args) > 1:
        return spot.node.args[1]
    for node in ast.walk(spot.node):
        compared = node.left if isinstance(node, ast.Compare) else None
        if isinstance(compared, ast.Attribute) and compared.attr == query.conditions[0].column:
            return node.comparators[0]  # type: ignore[attr-defined, no-any-return]
    raise Refusal(_UNKNOWN)


def _key_of_text(look: RowRead) -> ast.expr:
    """What a call that runs SQL text gives for the placeholder of its one condition; raises Refusal."""
    sql = parse(look.query.text)
    asked = sql.conditions if sql is not None and sql.exact else ()
    if len(asked) != 1 or asked[0].kind != "placeholder" or asked[0].operator != "=" or not _is_call(look.node):
        raise Refusal(_UNKNOWN)
    value = bound_expression(look.node, asked[0].value)
    if value is None:
        raise Refusal(_UNKNOWN)
    return value


def refuse_late_names(function: ast.AST, key: ast.expr, statement: ast.stmt) -> None:
    """Refuse a key that is made after the place where it would be used."""
    if any(isinstance(n, ast.Await | ast.Call) for n in ast.walk(key)):
        raise Refusal(_UNKNOWN)
    names = {n.id for n in ast.walk(key) if isinstance(n, ast.Name)}
    for node in ast.walk(function):
        stored = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        if stored and isinstance(node, ast.Name) and node.id in names and node.lineno >= statement.lineno:
            raise Refusal(_UNKNOWN)


# -- SQL text ------------------------------------------------------------------------------


def ordered_text(writes: Sequence[RowWrite]) -> tuple[str, str, dict[str, ast.expr]] | None:
    """For UPDATEs of one table by key: the table, the key's column, and each key's placeholder and expression.

    None where there is but one row of each table. Raises Refusal where the keys cannot be seen.
    """
    by_table: dict[str, list[RowWrite]] = {}
    for write in writes:
        if write.form == "update":
            group = by_table.setdefault(write.model.table, [])
            if all(w.node is not write.node for w in group):
                group.append(write)
    for table, group in by_table.items():
        if len(group) < 2:
            continue
        found = [_key(w) for w in group]
        keys = {name: value for _, name, value in found}
        if len({column for column, _, _ in found}) != 1:
            raise Refusal(_UNKNOWN)
        if len({ast.unparse(v) for v in keys.values()}) < 2 and len(keys) == 1:
            texts = {ast.unparse(value) for _, _, value in found}
            if len(texts) == 1:
                continue  # one and the same row
            keys = {f"{name}_{i}" if i else name: value for i, (_, name, value) in enumerate(found)}
        if len({ast.unparse(v) for v in keys.values()}) < 2:
            continue
        return table, found[0][0], keys
    return None


def _key(write: RowWrite) -> tuple[str, str, ast.expr]:
    """The column, placeholder and expression of `WHERE column = :placeholder`."""
    call = write.node
    sql = parse(write.query.text) if write.query is not None and write.query.text else None
    if sql is None or len(sql.conditions) < 1 or not isinstance(call, ast.Call):
        raise Refusal(_UNKNOWN)
    condition = sql.conditions[0]
    if condition.operator != "=" or condition.kind != "placeholder":
        raise Refusal(_UNKNOWN)
    value = bound_expression(call, condition.value)
    if value is None:
        raise Refusal(_UNKNOWN)
    return condition.column, condition.value.lstrip(":$"), value


def bound_expression(call: ast.Call, placeholder: str) -> ast.expr | None:
    """What a call gives for a placeholder: of a dict of values, or by position (`$1`)."""
    if placeholder.startswith("$") and placeholder[1:].isdigit():
        index = int(placeholder[1:])
        return call.args[index] if index < len(call.args) else None
    given = [*call.args[1:], *(k.value for k in call.keywords if k.arg in ("values", "params", "parameters"))]
    for value in given:
        if isinstance(value, ast.Dict):
            for key, item in zip(value.keys, value.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == placeholder.lstrip(":"):
                    return item
    return None
