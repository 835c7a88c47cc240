"""What an answer to a conflict may say, and which other conflicts would get it."""

from __future__ import annotations

import ast

from autolock.database.harm import Harm
from autolock.database.models import Models
from autolock.database.schema import Model
from autolock.database.trace import DatabaseTrace
from autolock.database.windows import RowWindow, counts, finds_any
from autolock.edits import Edit
from autolock.findings import Safety
from autolock.planning.blocks import Refusal, Sources
from autolock.planning.rowplan import RowPlan
from autolock.planning.statements import statements_of
from autolock.program.decisions import plain_truth
from autolock.program.linker import Program, Ref
from autolock.program.trace import Frame

Function = ast.FunctionDef | ast.AsyncFunctionDef


def other_conflict(trace: DatabaseTrace, window: RowWindow) -> str:
    """A constraint, other than that of the check, that would get the same answer; empty where there is none."""
    write = window.change
    commits = set(map(id, write.commits))
    for entry, other in trace.writes:
        if entry is not window.entry or other.form != "insert":
            continue
        # Where nobody was seen to commit, what one transaction has collected is sent at once.
        same = not commits and (other.session, other.transaction) == (write.session, write.transaction)
        together = same or commits & set(map(id, other.commits))
        if together and other.model is not write.model and _beside_key(other.model):
            return f"a constraint of `{other.model.ref.name}`"
    asked = [
        {c.column for c in read.query.conditions}
        for entry, read in trace.reads
        if entry is window.entry and read.query.model is write.model and read.serial < write.serial
    ]
    given = Harm.given(write)
    for unique in _beside_key(write.model):
        if given is not None and unique.isdisjoint(given):
            continue  # a number that the database gives
        if unique != window.unique and not any(unique <= columns for columns in asked):
            return f"the unique constraint on {', '.join(f'`{n}`' for n in sorted(unique))}"
    return ""


def _beside_key(model: Model) -> list[frozenset[str]]:
    """The unique constraints of a table without its primary key."""
    keys = {c.name for c in model.columns.values() if c.primary_key}
    return sorted((u for u in model.uniques if not u <= keys), key=sorted)


def refuse_forgotten(program: Program, models: Models, function: Ref, node: Function, answer: ast.stmt) -> None:
    """Refuse an answer that names a row's attribute: a rollback makes the session forget it.

    An AsyncSession cannot load it again at that place. Raises Refusal.
    """
    for named in ast.walk(answer):
        holder = named.value if isinstance(named, ast.Attribute) else None
        if isinstance(holder, ast.Name) and _may_be_row(program, models, function, node, holder.id):
            raise Refusal(
                f"the answer tells `{ast.unparse(named)}`, which the session forgets when it rolls back: keep it in a "
                "variable before the insert, and catch the IntegrityError by hand"
            )


def refuse_going_on(sources: Sources, stack: tuple[Frame, ...]) -> None:
    """Refuse to raise where a caller would catch it and go on in a transaction that has failed. Raises Refusal."""
    for frame in stack:
        node = sources.node_of(frame.function) if frame.function is not None else None
        for block in ast.walk(node) if node is not None else ():
            inside = isinstance(block, ast.Try) and any(n is frame.statement for s in block.body for n in ast.walk(s))
            if inside and not all(isinstance(h.body[-1], ast.Raise) for h in block.handlers):  # type: ignore[attr-defined]
                raise Refusal("a caller catches what is raised and goes on: catch the IntegrityError by hand")


def _may_be_row(program: Program, models: Models, function: Ref, node: Function, name: str) -> bool:
    """Whether a name of a function may be a row: a parameter of a mapped class, or what was awaited or looped over."""
    arguments = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
    argument = next((a for a in arguments if a.arg == name), None)
    if argument is not None:
        return argument.annotation is None or _is_mapped(program, models, function, argument.annotation)
    for inner in ast.walk(node):
        stored = any(isinstance(t, ast.Name) and t.id == name for t in _targets(inner))
        if stored and (
            isinstance(inner, ast.For | ast.AsyncFor) or any(isinstance(n, ast.Await) for n in ast.walk(inner))
        ):
            return True
    return False


def _targets(node: ast.AST) -> list[ast.AST]:
    """What a statement or `:=` binds."""
    if isinstance(node, ast.Assign):
        return [n for t in node.targets for n in ast.walk(t)]
    if isinstance(node, ast.AnnAssign | ast.NamedExpr | ast.For | ast.AsyncFor):
        return list(ast.walk(node.target))
    return []


def _is_mapped(program: Program, models: Models, function: Ref, annotation: ast.expr) -> bool:
    for node in ast.walk(annotation):
        name = ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else ""
        found = program.resolve(function.path, name, function.name) if name else None
        if found is not None and not found[1] and found[0].kind == "class" and models.of(found[0]) is not None:
            return True
    return False


def answer_of_check(window: RowWindow, node: ast.AST) -> ast.Raise | None:
    """What a function raises where its check fails, if that is all it does there.

    What compares something that the row says, or that was worked out from it, does not tell that the row is there.
    """
    test = window.control.node if window.control is not None else None
    counted = window.look.what == "aggregate" or (test is not None and (counts(test) or finds_any(test)))
    if test is not None and window.shape == "compare" and not counted:
        return None
    check = next((s for s in statements_of(node) if isinstance(s, ast.If) and _asks(s.test, test, node)), None)
    only = check.body[0] if check is not None and len(check.body) == 1 else None
    return only if isinstance(only, ast.Raise) else None


def _asks(written: ast.expr, test: ast.AST | None, node: ast.AST) -> bool:
    """Whether a test is that one, or a name that is given it: `taken = found is not None` and `if taken:`."""
    if written is test:
        return True
    given = [
        s.value
        for s in statements_of(node)
        if isinstance(s, ast.Assign)
        and isinstance(written, ast.Name)
        and any(isinstance(t, ast.Name) and t.id == written.id for t in s.targets)
    ]
    return len(given) == 1 and plain_truth(given[0]) is test


def like_failed_check(trace: DatabaseTrace, window: RowWindow, edits: list[Edit]) -> RowPlan:
    """The plan that gives that answer to who was not first; unsafe where another constraint may refuse, too."""
    made = RowPlan(
        edits,
        f"Answer a conflict on `{window.model_name}` like a failed check",
        "The unique constraint lets one request through; the other gets the answer that the check would have "
        "given, instead of a 500.",
    )
    other = other_conflict(trace, window)
    if other:
        made.safety = Safety.UNSAFE
        made.reason += f" But so does one that {other} refuses, of which the answer does not tell."
    return made
