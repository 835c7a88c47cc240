"""Get-or-create that changes the row where it is there already: what a request that comes second must still do."""

from __future__ import annotations

import ast
import copy
from collections.abc import Collection

from autolock.planning.blocks import Refusal
from autolock.program.index import dotted

_ONE_STATEMENT = (
    "the row is changed where it is there already: make both one "
    "`insert(...).on_conflict_do_update(index_elements=[...], set_={...})`"
)
_LEAVING = (ast.Return, ast.Raise, ast.Continue, ast.Break, ast.Yield, ast.YieldFrom)
#: What a session does with a row that leaves its columns alone.
_KEEPING = frozenset({"add", "refresh", "expunge", "merge"})
_RUNNING = frozenset({"execute", "scalar", "scalars", "exec"})
#: Methods of a session after which a new row is in the database.
_SENDING = frozenset({"flush", "commit", "refresh"})
#: What is right for a found row as well: to put it with others, or to tell of it.
_COLLECTING = frozenset({"append", "model_validate", "from_orm"})
_TELLING = frozenset({"logger", "log", "logging", "print", "_logger"})


def changes_of_found(function: ast.AST, test: ast.AST | None, add: ast.stmt, name: str) -> list[ast.stmt]:
    """The statements that change the row `name` where the look has found it, and that its inserter skips.

    Raises Refusal where they cannot be done after the insert was refused, too.
    """
    check = next((n for n in ast.walk(function) if isinstance(n, ast.If) and n.test is test), None)
    if check is None:
        return []
    found = side_of_found(function, check, add)
    if not any(_changes(n, name) for s in found for n in ast.walk(s)):
        return []
    if any(isinstance(n, _LEAVING) for s in found for n in ast.walk(s)):
        raise Refusal(_ONE_STATEMENT)
    return found


def side_of_found(function: ast.AST, check: ast.If, add: ast.stmt) -> list[ast.stmt]:
    """What is done where the row is there: the other side of the check, or what follows where the inserter leaves."""
    if not _is_in(check.body, add):
        return check.body
    if check.orelse or not isinstance(check.body[-1], ast.Return | ast.Raise | ast.Continue | ast.Break):
        return check.orelse
    blocks = [getattr(n, name, []) for n in ast.walk(function) for name in ("body", "orelse", "finalbody")]
    block = next(b for b in blocks if isinstance(b, list) and any(s is check for s in b))
    return block[block.index(check) + 1 :]


def refuse_unfinished(
    function: ast.AST,
    test: ast.AST | None,
    look: ast.stmt | None,
    add: ast.stmt,
    found: str,
    new: str,
    unique: Collection[str] = (),
) -> None:
    """Refuse to send a row at once that is not complete yet, and to go on with a found one that was not checked.

    `found` and `new` are the names of the row that was looked for and of the one that is added. A column that the row
    was made with may change later, if it is none of the `unique` ones. Raises Refusal.
    """
    started = getattr(look, "lineno", 0)
    for check in ast.walk(function):
        if not isinstance(check, ast.If) or not started <= check.lineno <= add.lineno or _is_in([check], add):
            continue
        if check.test is test and not isinstance(check.test, ast.BoolOp):
            continue  # whether there is one
        if _is_about(check.test, found) and any(isinstance(n, ast.Raise | ast.Return) for n in ast.walk(check)):
            raise Refusal(
                "what is checked of a row that is there would be left out where another request was first: insert in a "
                "savepoint by hand, and check again"
            )
    other = {n for side in _other_sides(function, add) for n in ast.walk(side)}
    after = (n for n in ast.walk(function) if getattr(n, "lineno", 0) > (add.end_lineno or 0) and n not in other)
    later = sorted(after, key=_place)
    for node in later:
        if isinstance(node, ast.Call) and _method(node) in _SENDING:
            return
        stored = (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and _is_about(node.value, new)
            and (node.attr in unique or node.attr not in _given(function, add, new))
        )
        named = isinstance(node, ast.Call) and ast.unparse(node.func) == "setattr" and _is_about(node.args[0], new)
        if stored or named:
            raise Refusal(
                "the new row gets more values after it was added, and a savepoint would send it without them: insert "
                "it in a savepoint by hand, once it is complete"
            )


def is_counted_after(function: ast.AST, add: ast.stmt, new: str) -> bool:
    """Whether a row is changed after it was added, or was found instead, by what it holds: `usage.calls += 1`."""
    other = {n for side in _other_sides(function, add) for n in ast.walk(side)}
    for node in ast.walk(function):
        if not isinstance(node, ast.Assign | ast.AugAssign) or node.lineno <= (add.end_lineno or 0) or node in other:
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        changed = any(isinstance(t, ast.Attribute) and _is_about(t.value, new) for t in targets)
        if changed and (isinstance(node, ast.AugAssign) or _is_about(node.value, new)):
            return True
    return False


def _given(function: ast.AST, add: ast.stmt, new: str) -> set[str]:
    """The columns that a row is made with: `new = Model(column=...)`."""
    return {
        keyword.arg
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and node.lineno < add.lineno and isinstance(node.value, ast.Call)
        if any(isinstance(t, ast.Name) and t.id == new for t in node.targets)
        for keyword in node.value.keywords
        if keyword.arg
    }


def refuse_followed(function: ast.AST, test: ast.AST | None, add: ast.stmt, new: str) -> None:
    """Refuse where the inserter of the row `new` does more than to insert it: it would do that for a found row, too.

    Raises Refusal.
    """
    check = next((n for n in ast.walk(function) if isinstance(n, ast.If) and n.test is test), None)
    if check is None:
        return
    inside = next((side for side in (check.body, check.orelse) if _is_in(side, add)), None)
    if inside is None and not any(isinstance(n, _LEAVING) for n in ast.walk(check)):
        return
    trees: list[ast.AST] = [function] if inside is None else list(inside)
    for node in (n for tree in trees for n in ast.walk(tree)):
        if getattr(node, "lineno", 0) > (add.end_lineno or 0) and _does_more(node, new):
            raise Refusal(
                "what follows the insert would be done for a row that another request has inserted, too: insert in a "
                "savepoint by hand, and do the rest only where that worked"
            )


def _does_more(node: ast.AST, new: str) -> bool:
    """Whether a statement does something for the row that is new: it calls something with it, or adds another one."""
    if _counts_another(node, new):
        return True
    value = node.value if isinstance(node, ast.Expr | ast.Assign) else None
    value = value.value if isinstance(value, ast.Await) else value
    if not isinstance(value, ast.Call) or dotted(value.func).partition(".")[0].lower() in _TELLING:
        return False
    if _method(value) == "add":
        return not _mentions(value, new)
    allowed = _method(value) in _KEEPING | _SENDING | _COLLECTING
    return not allowed and (_mentions(value, new) or any(_is_about(a, new) for a in value.args))


def _counts_another(node: ast.AST, new: str) -> bool:
    """`post.likes += 1`, `post.likes = post.likes + 1`: a change of something else, because the row is new."""
    if isinstance(node, ast.AugAssign):
        return isinstance(node.target, ast.Attribute) and not _is_about(node.target, new)
    if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Attribute):
        return False
    target = ast.unparse(node.targets[0])
    counted = any(isinstance(n, ast.Attribute) and ast.unparse(n) == target for n in ast.walk(node.value))
    return counted and not _is_about(node.targets[0], new)


def is_used_after(function: ast.AST, statement: ast.stmt, name: str) -> bool:
    """Whether a function looks at a variable after a statement, maybe in the next turn of a loop."""
    if any(isinstance(n, ast.For | ast.AsyncFor | ast.While) and _is_in([n], statement) for n in ast.walk(function)):
        return True
    reads = (n for n in ast.walk(function) if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load))
    return any(n.lineno > (statement.end_lineno or statement.lineno) for n in reads)


def _other_sides(function: ast.AST, statement: ast.stmt) -> list[ast.stmt]:
    """What does not run where a statement does: the other sides of the branches that it is in."""
    around = [n for n in ast.walk(function) if isinstance(n, ast.If) and _is_in([n], statement)]
    return [s for n in around for s in (n.orelse if _is_in(n.body, statement) else n.body)]


def _is_about(node: ast.AST, name: str) -> bool:
    return any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(node))


def _place(node: ast.AST) -> tuple[int, int]:
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)


def locking(look: ast.expr) -> ast.expr:
    """A look that locks, whatever the session knows; raises Refusal where it has no place for that."""
    look, populate = copy.deepcopy(look), ast.keyword("populate_existing", ast.Constant(True))
    for node in ast.walk(look):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not node.args:
            continue
        if node.func.attr in _RUNNING:
            locked = ast.Call(ast.Attribute(node.args[0], "with_for_update", ast.Load()), [], [])
            node.args[0] = ast.Call(ast.Attribute(locked, "execution_options", ast.Load()), [], [populate])
            return look
        if node.func.attr == "get":
            node.keywords += [ast.keyword("with_for_update", ast.Constant(True)), populate]
            return look
    raise Refusal(_ONE_STATEMENT)


def _is_in(body: list[ast.stmt], statement: ast.stmt) -> bool:
    return any(n is statement for s in body for n in ast.walk(s))


def _changes(node: ast.AST, name: str) -> bool:
    """Whether a node changes the row: assigns to an attribute, or calls something with it for what that does."""
    if isinstance(node, ast.Expr):
        call = node.value.value if isinstance(node.value, ast.Await) else node.value
        return isinstance(call, ast.Call) and _method(call) not in _KEEPING and _mentions(call, name)
    return isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _mentions(node.value, name)


def _method(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def _mentions(node: ast.AST, name: str) -> bool:
    """Whether the row itself is used: to name a column in a message is to read it."""
    if isinstance(node, ast.Call):
        holder = node.func.value if isinstance(node.func, ast.Attribute) else None
        return any(
            isinstance(n, ast.Name) and n.id == name for n in (holder, *node.args, *(k.value for k in node.keywords))
        )
    return isinstance(node, ast.Name) and node.id == name
