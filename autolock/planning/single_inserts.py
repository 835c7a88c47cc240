"""Conflicts of libraries that send each row as it is made: Tortoise, asyncpg and psycopg."""

from __future__ import annotations

import ast

from autolock.database.windows import RowWindow
from autolock.edits import Edit
from autolock.planning.answered import answer_of_check, like_failed_check
from autolock.planning.blocks import Refusal
from autolock.planning.homes import frozen
from autolock.planning.names import written
from autolock.planning.row_base import RowBase
from autolock.planning.rowplan import RowPlan
from autolock.planning.upserts import refuse_followed
from autolock.program.linker import Ref

#: What a library raises where a unique constraint refuses a row: the module and the name.
CONFLICTS = {
    "tortoise": ("tortoise.exceptions", "IntegrityError"),
    "asyncpg": ("asyncpg", "UniqueViolationError"),
    "psycopg": ("psycopg.errors", "UniqueViolation"),
}


class SingleInserts(RowBase):
    """Plans what the loser of two inserts is told, or goes on with, where each insert is sent at once."""

    def insert_at_once(self, window: RowWindow, otherwise: str) -> RowPlan:
        """The plan of a window; raises Refusal with the advice `otherwise` where no rewrite is known to be right."""
        add = window.last
        if window.unique is None or window.counted or add is None or window.change.function != window.function:
            raise Refusal(otherwise)
        if window.control in window.change.earlier:
            raise Refusal(otherwise)
        if window.exit == "raise":
            return self.refused_at_once(window, add, otherwise)
        if window.look.session.library != "tortoise":
            raise Refusal(otherwise)
        return self.got_or_created(window, add, otherwise)

    def refused_at_once(self, window: RowWindow, add: ast.stmt, otherwise: str) -> RowPlan:
        """The answer of the failed check where the constraint refuses the row; whoever raises ends the transaction."""
        function, node = window.function, self.sources.node_of(window.function)
        given = answer_of_check(window, node)
        if given is None or hasattr(add, "body"):
            raise Refusal(otherwise)
        error, imports = self.conflict_name(function, *CONFLICTS[window.look.session.library])
        at = self.sources.blocks(function.path).spot(add).path
        answer = written(self.sources, function.path, given)
        edit = Edit(function.path, "answer-conflict", frozen(at=at, count=1, answer=answer, error=error))
        return like_failed_check(self.trace, window, [*imports, edit])

    def got_or_created(self, window: RowWindow, add: ast.stmt, otherwise: str) -> RowPlan:
        """`get_or_create` for `create`: what was asked about finds the row, the rest is what a new one is given."""
        function, node, unique = window.function, self.sources.node_of(window.function), window.unique or frozenset()
        value = add.value if isinstance(add, ast.Assign | ast.Return) else None
        call = value.value if isinstance(value, ast.Await) else None
        name = add.targets[0].id if isinstance(add, ast.Assign) and isinstance(add.targets[0], ast.Name) else ""
        if value is None or not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            raise Refusal(otherwise)
        if call.func.attr != "create" or (isinstance(add, ast.Assign) and not name):
            raise Refusal(otherwise)
        given = {k.arg or "": written(self.sources, function.path, k.value) for k in call.keywords}
        if call.args or {"", "using_db", "defaults"} & given.keys() or not unique <= given.keys():
            raise Refusal(otherwise)
        refuse_followed(node, window.control.node if window.control is not None else None, add, name)
        rest = ", ".join(f'"{k}": {v}' for k, v in given.items() if k not in unique)
        asked = ", ".join(f"{k}={v}" for k, v in given.items() if k in unique)
        defaults = f", defaults={{{rest}}}" if rest else ""
        edit = Edit(
            function.path,
            "replace-expression",
            frozen(
                at=self.sources.blocks(function.path).spot(add).path,
                expression=ast.unparse(value),
                replacement=f"(await {ast.unparse(call.func.value)}.get_or_create({asked}{defaults}))[0]",
            ),
        )
        return RowPlan(
            [edit],
            f"Get the `{window.model_name}` or create it in one call",
            "The unique constraint lets one request through, and `get_or_create` gives the other the row that is there "
            "now.",
            holds="write",
        )

    def conflict_name(self, function: Ref, module: str, name: str) -> tuple[str, list[Edit]]:
        """An exception as a function's file can write it, imported where it is not; raises Refusal."""
        found = self.program.resolve(function.path, name, function.name)
        if found is not None and found[0].kind == "external" and found[0].name.startswith(module.partition(".")[0]):
            return name, []
        if found is not None:
            raise Refusal(f"the name {name} is taken here")
        return name, [Edit(function.path, "import-name", frozen(module=module, name=name, alias=""))]
