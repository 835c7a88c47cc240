"""What who comes second is told: that the row was there, as the other side of the check says it."""

from __future__ import annotations

import ast
import copy
from dataclasses import dataclass, field

from autolock.planning.blocks import Refusal
from autolock.planning.statements import statements_of
from autolock.planning.upserts import side_of_found

_REMOVED = (
    "the row is deleted where it is there: decide what two requests at once shall come to, say by letting the client "
    "name the state that it wants, and catch the IntegrityError by hand"
)
_SAID = (
    "`{}` tells that the row is new, and would for one that another request has inserted, too: insert in a savepoint "
    "by hand, and tell it only where that worked"
)


@dataclass(slots=True)
class SecondAnswer:
    """`told` are the statements that say the row was there already, after `inside` more were put to the insert.

    `returned` is what a check does that returns where the row is there.
    """

    told: list[ast.Assign] = field(default_factory=list)
    inside: int = 0
    returned: list[ast.stmt] = field(default_factory=list)


def second_answer(function: ast.AST, test: ast.AST | None, add: ast.stmt, name: str, new: str) -> SecondAnswer:
    """What the other side of the check tells, where the inserter's tells something else.

    `name` is what the row is called that was looked for, `new` the one that is added. Raises Refusal where that
    cannot be told after the insert was refused.
    """
    check = next((n for n in ast.walk(function) if isinstance(n, ast.If) and n.test is test), None)
    if check is None:
        return SecondAnswer()
    here = next((side for side in (check.body, check.orelse) if _holds(side, add)), None)
    found = side_of_found(function, check, add)
    if any(_deletes(s, name) for s in found):
        raise Refusal(_REMOVED)
    answer = _returned(function, found, add, name, new)
    if here is None or answer.returned:
        return answer
    return _flags(function, check, here, found, add)


def _flags(
    function: ast.AST, check: ast.If, here: list[ast.stmt], found: list[ast.stmt], add: ast.stmt
) -> SecondAnswer:
    """Names that the inserter's side gives another constant than a found row leaves them: `created = True`."""
    if not any(s is add for s in here):
        return SecondAnswer()
    after = here[here.index(add) + 1 :]
    block = _block_of(function, check)
    before = block[: block.index(check)]
    otherwise = {**_constants(before), **_constants(found)}
    made = SecondAnswer()
    for name, said in _constants(here).items():
        other = otherwise.get(name)
        if other is None or ast.dump(other) == ast.dump(said):
            continue
        made.told.append(ast.Assign([ast.Name(name, ast.Store())], other, lineno=0))
        late = next((n for n, s in enumerate(after, start=1) if name in _constants([s])), 0)
        if not all(_constants([s]) for s in after[:late]):
            raise Refusal(_SAID.format(ast.unparse(after[late - 1])))
        made.inside = max(made.inside, late)
    status = next((s for s in here if _tells_status(s)), None)
    if status is not None:
        raise Refusal(_SAID.format(ast.unparse(status)))
    return made


def _returned(function: ast.AST, found: list[ast.stmt], add: ast.stmt, name: str, new: str) -> SecondAnswer:
    """What is returned of a found row, where a new one gets another answer: `return reader, False`."""
    last = found[-1] if found else None
    if not isinstance(last, ast.Return) or not all(isinstance(s, ast.Expr | ast.Assign) for s in found[:-1]):
        return SecondAnswer()
    end = add.end_lineno or add.lineno
    later = (s for s in statements_of(function) if isinstance(s, ast.Return) and s.lineno > end)
    answers = [s for s in later if not _holds(found, s)]
    told = _called(last.value, name, "")
    if not any(_literals(last.value) or _literals(s.value) for s in answers):
        return SecondAnswer()
    if all(_called(s.value, new, "") == told for s in answers):
        return SecondAnswer()
    return SecondAnswer(returned=found)


def _literals(value: ast.expr | None) -> list[ast.expr]:
    """The constants that an answer is put together from, beside what it tells of the row."""
    parts: list[ast.expr | None] = [value]
    if isinstance(value, ast.Tuple | ast.List):
        parts = [*value.elts]
    elif isinstance(value, ast.Dict):
        parts = [*value.values]
    elif isinstance(value, ast.Call):
        parts = [*value.args, *(k.value for k in value.keywords)]
    return [p for p in parts if isinstance(p, ast.Constant) and p.value is not None]


def _called(value: ast.expr | None, name: str, other: str) -> str:
    """An expression in which a variable has another name."""
    if value is None:
        return ""
    renamed = copy.deepcopy(value)
    for node in ast.walk(renamed):
        if isinstance(node, ast.Name) and node.id == name:
            node.id = other
    return ast.dump(renamed)


def _constants(statements: list[ast.stmt]) -> dict[str, ast.Constant]:
    """The names that plain assignments give a constant, with the last one."""
    return {
        s.targets[0].id: s.value
        for s in statements
        if isinstance(s, ast.Assign) and isinstance(s.value, ast.Constant)
        if len(s.targets) == 1 and isinstance(s.targets[0], ast.Name)
    }


def _tells_status(statement: ast.stmt) -> bool:
    """`response.status_code = 201`."""
    return isinstance(statement, ast.Assign) and any(
        isinstance(t, ast.Attribute) and t.attr == "status_code" for t in statement.targets
    )


def _deletes(statement: ast.stmt, name: str) -> bool:
    """`await session.delete(row)`, also under a further test."""
    return any(
        isinstance(n, ast.Call)
        and isinstance(n.func, ast.Attribute)
        and n.func.attr in ("delete", "remove")
        and any(isinstance(a, ast.Name) and a.id == name for a in n.args)
        for n in ast.walk(statement)
    )


def _block_of(function: ast.AST, statement: ast.stmt) -> list[ast.stmt]:
    """The statements beside one."""
    blocks = [getattr(n, name, []) for n in ast.walk(function) for name in ("body", "orelse", "finalbody")]
    return next(b for b in blocks if isinstance(b, list) and any(s is statement for s in b))


def _holds(body: list[ast.stmt], statement: ast.stmt) -> bool:
    return any(n is statement for s in body for n in ast.walk(s))
