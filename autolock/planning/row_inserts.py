"""Answers for who was not first to insert a row that a constraint allows only once."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from autolock.database.objects import Session
from autolock.database.sending import sent_between
from autolock.database.windows import RowWindow
from autolock.edits import Edit
from autolock.planning.answered import answer_of_check, like_failed_check, refuse_forgotten, refuse_going_on
from autolock.planning.blocks import Refusal, Region
from autolock.planning.constraints import missing_constraint
from autolock.planning.homes import frozen
from autolock.planning.looks import named_value, only_looks, row_asked_for, row_looked_for
from autolock.planning.names import laid_out, written
from autolock.planning.receivers import called_on
from autolock.planning.row_parents import ParentLocks
from autolock.planning.rowplan import RowPlan
from autolock.planning.second_answers import SecondAnswer, second_answer
from autolock.planning.statements import nothing_sent, statements_of
from autolock.planning.stored import refuse_undone, stored_answer
from autolock.planning.upserts import (
    changes_of_found,
    is_counted_after,
    is_used_after,
    locking,
    refuse_followed,
    refuse_unfinished,
)
from autolock.program.linker import Ref

#: How many lines may stand between an insert and the commit, for both to be under one `try`.
_NEAR = 6


class RowInserts(ParentLocks):
    """Plans what the loser of two inserts is told, or goes on with."""

    def insert(self, window: RowWindow) -> RowPlan:
        if window.counted:
            return self.lock_parent(window, _COUNTED)
        limit = self.limit_beside(window)
        if limit is not None:
            return self.lock_parent(limit, _COUNTED)
        if window.unique is None:
            raise Refusal(missing_constraint(window, self.sources))
        control = window.control
        if control in window.change.earlier:
            raise Refusal(_ADDED_LATER)
        if control is None or window.first is None or window.last is None:
            raise Refusal("the check and the insert meet in no function that could answer the conflict")
        sent = sent_between(self.sources.node_of(window.function), control.node, window.last)
        if sent:
            raise Refusal(
                f"`{sent}` is called before the row is there, by whoever found none: insert the row first, say as "
                "pending, and go on only where that succeeds"
            )
        if window.exit == "raise":
            return self.answer(window)
        if window.change.form != "insert":
            raise Refusal("what the loser is to be told is not written here: catch the IntegrityError of the commit")
        try:
            return self.reselect(window)
        except Refusal as refusal:
            if window.exit not in ("return", "cached"):
                raise
            return self.answer_stored(window, refusal)

    def limit_beside(self, window: RowWindow) -> RowWindow | None:
        """The count that decides on the same row, where a lock on the row that they belong to is right for both.

        `if taken or entered >= places: raise`: the constraint only refuses rows that belong to the same one.
        """
        for candidate in window.candidates:
            read, control = candidate.read, candidate.control
            if control is None or read.what != "aggregate" or candidate.write is not window.change:
                continue
            limit = replace(window, read=read, control=control, counted=True, unique=None)
            for condition in read.query.conditions:
                parent = self.parent_look(limit, condition) if condition.column in (window.unique or ()) else None
                if parent is not None and parent.serial < window.look.serial and self.dialect != "sqlite":
                    return limit
        return None

    def answer(self, window: RowWindow) -> RowPlan:
        """The answer that a failed check gives, given when the constraint refuses, too."""
        function, node = window.function, self.sources.node_of(window.function)
        given = answer_of_check(window, node)
        if given is None:
            raise Refusal("the answer of the failed check is not in this function: catch the IntegrityError by hand")
        try:
            statements = self.saving(window)
        except Refusal:
            return like_failed_check(self.trace, window, self.answering_sent(window, given))
        if _session_of(window).is_async:
            refuse_forgotten(self.program, self.analysis.machine.database.models, function, node, given)
        region = self.sources.blocks(function.path).spanning(statements, node)
        answer = written(self.sources, function.path, given)
        return like_failed_check(self.trace, window, self.answering(window, region, answer))

    def answering_sent(self, window: RowWindow, answer: ast.Raise) -> list[Edit]:
        """The edits that send the row where it is added, and raise the answer where it is refused.

        For who commits elsewhere: what is raised makes a dependency or a `with` block take back the transaction.
        Raises Refusal where something else might come of it.
        """
        function, session = window.function, _session_of(window)
        if window.change.function != function:
            return self.answering_flushed(window, answer)
        if not isinstance(window.last, ast.Expr):
            raise Refusal(_UNSEEN)
        node, name = self.sources.node_of(function), _added(window.last)
        if name is not None and any(_is_set_on(s, name) for s in statements_of(node) if s.lineno > window.last.lineno):
            raise Refusal(
                f"`{name}` is given more after it was added: flush it then, and catch the IntegrityError by hand"
            )
        refuse_going_on(self.sources, window.change.stack)
        region = self.sources.blocks(function.path).spanning([window.last], node)
        flush = f"{'await ' if session.is_async else ''}{self.session_name(function, session)}.flush()"
        said = written(self.sources, function.path, answer)
        error, imports = self.error_name(function)
        trying = frozen(at=region.at, count=1, session="", is_async=session.is_async, answer=said, error=error)
        return [
            *imports,
            Edit(function.path, "insert-after", frozen(at=region.at, code=flush)),
            Edit(function.path, "answer-conflict", trying),
        ]

    def answering_flushed(self, window: RowWindow, answer: ast.Raise) -> list[Edit]:
        """The edits that raise the answer where a helper adds the row and sends it, for who commits elsewhere.

        Raises Refusal where the helper is not seen to send it.
        """
        function, (*_, inner) = window.function, window.change.stack
        call = next((f.statement for f in window.change.stack if f.function == function), None)
        helper = inner.function
        if helper is None or inner.statement is None or not isinstance(call, ast.stmt):
            raise Refusal(_UNSEEN)
        if not self.flushed_after(window, inner.statement, helper):
            raise Refusal(_UNSEEN)
        refuse_going_on(self.sources, window.change.stack)
        region = self.sources.blocks(function.path).spanning([call], self.sources.node_of(function))
        said = written(self.sources, function.path, answer)
        error, imports = self.error_name(function)
        arguments = frozen(
            at=region.at, count=1, session="", is_async=_session_of(window).is_async, answer=said, error=error
        )
        return [*imports, Edit(function.path, "answer-conflict", arguments)]

    def answer_stored(self, window: RowWindow, refusal: Refusal) -> RowPlan:
        """The answer of a check that found the row, for who was not first to insert it; raises the refusal."""
        function, node, session = window.function, self.sources.node_of(window.function), _session_of(window)
        if _is_ended_elsewhere(window):
            raise refusal  # nothing more can be asked in the transaction that the constraint has ended
        try:
            name, look, answer = stored_answer(window, node)
            refuse_undone(window, self.trace)
            if session.is_async:
                models = self.analysis.machine.database.models
                refuse_forgotten(self.program, models, function, node, ast.Expr(look))
            region = self.sources.blocks(function.path).spanning(self.saving(window), node)
            again = f"{name} = {_found_now(self.looking(function.path, window.first, look))}"
            again = laid_out(self.sources, function.path, again, region.statements[0].col_offset + 4)
            edits = self.answering(window, region, f"{again}\n{written(self.sources, function.path, answer)}")
        except Refusal:
            raise refusal from None
        return RowPlan(
            edits,
            f"Answer with the `{window.model_name}` that another request was first to insert",
            "The unique constraint lets one request through; the other takes back what it has done, and answers as it "
            "would have a moment later.",
        )

    def answering(self, window: RowWindow, region: Region, answer: str) -> list[Edit]:
        """The edits that give an answer where the constraint refuses what a region sends."""
        function, session = window.function, _session_of(window)
        error, imports = self.error_name(function)
        said = "" if _is_ended_elsewhere(window) else self.taking_back(window, function)
        said = "" if said in _bound_round(region.statements) else said  # leaving the `with` takes all back
        arguments = frozen(
            at=region.at, count=region.count, session=said, is_async=session.is_async, answer=answer, error=error
        )
        return [*imports, Edit(function.path, "answer-conflict", arguments)]

    def taking_back(self, window: RowWindow, function: Ref) -> str:
        """What the function can roll back: its session, the unit of work that it commits, or a session further in."""
        try:
            return self.session_name(function, window.look.session)
        except Refusal:
            return self.unit_of_work(window, function) or self.session_at(window, function)

    def unit_of_work(self, window: RowWindow, function: Ref) -> str:
        """What the function commits by a method of a class that has one to roll back as well; else empty."""
        for commit in window.change.commits:
            for frame, inner in pairwise(commit.stack):
                if frame.function != function or inner.function is None:
                    continue
                owner = Ref("class", inner.function.path, inner.function.name.rpartition(".")[0])
                rollback = self.program.method(owner, "rollback") if self.program.klass(owner) is not None else None
                node = self.sources.node_of(rollback) if rollback is not None else None
                if node is not None and isinstance(node, ast.AsyncFunctionDef) == _session_of(window).is_async:
                    return called_on(frame, inner)
        return ""

    def saving(self, window: RowWindow) -> list[ast.stmt]:
        """The statements of the function from the insert to where it reaches the database."""
        write = window.change
        found: list[ast.stmt] = []
        stacks = [write.stack, *(c.stack for c in write.commits[:1])]
        for stack in stacks:
            for frame in stack:
                if frame.function == window.function and frame.statement is not None:
                    found.append(frame.statement)
        if write.query is not None and len(found) == 1:
            return found  # a statement is refused when it runs, and whoever began the transaction ends it
        if write.commits and len(found) == 1:
            found += self.flushed_after(window, found[0], window.function)
        if not write.commits or len(found) < 2:
            raise Refusal(_UNSEEN)
        changed, sent = found[0], found[-1]
        node, is_async = self.sources.node_of(window.function), _session_of(window).is_async
        near = sent.lineno - (changed.end_lineno or changed.lineno) <= _NEAR
        beside = near and sent in self.sources.blocks(window.function.path).spot(changed).block
        if len(found) == 2 and not beside and nothing_sent(node, changed, sent, is_async):
            return [sent]
        return found

    def flushed_after(self, window: RowWindow, added: ast.stmt, function: Ref) -> list[ast.stmt]:
        """The statement below an insert that sends it, where another function commits."""
        spot, name = self.sources.blocks(function.path).spot(added), _session_of(window).names.get(function)
        for statement in spot.block[spot.index + 1 :]:
            value = statement.value if isinstance(statement, ast.Expr) else None
            value = value.value if isinstance(value, ast.Await) else value
            if name and isinstance(value, ast.Call) and ast.unparse(value.func) == f"{name}.flush":
                return [statement]
        return []

    def reselect(self, window: RowWindow) -> RowPlan:
        """Insert in a savepoint, and select again where the constraint refuses."""
        function, node, write = window.function, self.sources.node_of(window.function), window.change
        if write.function != function:
            return self.reselect_through_calls(window)
        add = window.last
        test = window.control.node if window.control is not None else None
        elsewhere = window.look.function != function
        if elsewhere and not only_looks(self.sources.node_of(window.look.function)):
            raise Refusal(_CALLED)
        looked_for = row_asked_for if elsewhere else row_looked_for
        name, found = looked_for(node, window.first, test)
        added = _added(add) or (name if _adds_unnamed(add) and not window.exit else None)
        if added is None or not isinstance(add, ast.stmt):
            raise Refusal("the insert is no plain `session.add(...)`: insert in a savepoint by hand")
        refuse_unfinished(node, test, window.first, add, name, added, window.unique or ())
        refuse_followed(node, test, add, added)
        session = self.session_name(function, _session_of(window))
        error, imports = self.error_name(function)
        changes = changes_of_found(node, test, add, name)
        second = second_answer(node, test, add, name, added)
        if second.returned:
            return self.reselecting(
                window, add, session, self.answering_found(window, second, name, found), error, imports
            )
        counted = is_counted_after(node, add, added) or self.is_changed_by_callers(window)
        if (changes or counted) and elsewhere:
            raise Refusal(_CALLED)
        value = ast.unparse(locking(found)) if changes or counted else self.looking(function.path, window.first, found)
        # What changes a found row calls it as the look has called it.
        named = name if changes else added
        again = laid_out(self.sources, function.path, f"{named} = {_found_now(value)}", add.col_offset + 4)
        if added != name and not _returns(node, added):
            raise Refusal(
                "the new row has another name than the one that was looked for: insert in a savepoint by hand"
            )
        if not changes and (_adds_unnamed(add) or not is_used_after(node, add, added)):
            again = "pass  # another request was first"
        rest = [] if named == added or _binds(changes, added) else [f"{added} = {named}"]
        flags = [s for s in second.told if not _binds(changes, ast.unparse(s.targets[0]))]
        again = "\n".join([again, *map(ast.unparse, changes), *map(ast.unparse, flags), *rest])
        return self.reselecting(window, add, session, again, error, imports, second.inside)

    def answering_found(self, window: RowWindow, second: SecondAnswer, name: str, found: ast.expr) -> str:
        """What looks again and returns what the check returns of a row that is there."""
        path = window.function.path
        told = [written(self.sources, path, s) for s in second.returned]
        if any(isinstance(n, ast.Name) and n.id == name for s in second.returned for n in ast.walk(s)):
            told.insert(0, f"{name} = {_found_now(self.looking(path, window.first, found))}")
        assert window.last is not None
        return "\n".join(laid_out(self.sources, path, line, window.last.col_offset + 4) for line in told)

    def is_changed_by_callers(self, window: RowWindow) -> bool:
        """Whether who is given the row changes it by what it held: the one that is there must be locked, too."""
        return any(
            c.read.what == "column"
            and c.write.form == "attribute"
            and c.read.query.spot == window.look.query.spot
            and c.write.function != window.function
            for c in self.trace.candidates
        )

    def reselect_through_calls(self, window: RowWindow) -> RowPlan:
        """The same where functions look and insert: `cart = await self.carts.create(customer)`."""
        function, look, add, write = window.function, window.first, window.last, window.change
        named = [found for found in (named_value(look), named_value(add)) if found is not None]
        names = [name for name, _ in named]
        apart = (
            any(f.statement is add for c in write.commits for f in c.stack) or window.look.session is not write.session
        )
        if len(names) != 2 or names[0] != names[1] or apart or not write.flushes:
            raise Refusal(_CALLED)
        assert look is not None
        assert add is not None
        test = window.control.node if window.control is not None else None
        node = self.sources.node_of(function)
        if changes_of_found(node, test, add, names[0]):
            raise Refusal(_CALLED)
        refuse_unfinished(node, test, look, add, names[0], names[0])
        refuse_followed(node, test, add, names[0])
        second = second_answer(node, test, add, names[0], names[0])
        if second.returned:
            raise Refusal(_CALLED)
        session = self.session_at(window, function)
        error, imports = self.error_name(function)
        again = f"{names[0]} = {written(self.sources, function.path, named[0][1])}"
        again = laid_out(self.sources, function.path, again, add.col_offset + 4)
        again = "\n".join([again, *map(ast.unparse, second.told)])
        return self.reselecting(window, add, session, again, error, imports, second.inside)

    def reselecting(
        self, window: RowWindow, add: ast.stmt, session: str, again: str, error: str, imports: list[Edit], more: int = 0
    ) -> RowPlan:
        """The savepoint round what inserts, `more` statements after it too, and what is done where that is refused."""
        path = window.function.path
        edit = Edit(
            path,
            "insert-or-reselect",
            frozen(
                at=self.sources.blocks(path).spot(add).path,
                count=1 + more,
                session=session,
                is_async=_session_of(window).is_async,
                reselect=again,
                error=error,
            ),
        )
        return RowPlan(
            [*imports, edit],
            f"Insert the `{window.model_name}` in a savepoint, and select it where another request was first",
            "The unique constraint lets one request through; the other rolls back to its savepoint and goes on with "
            "the row that is there now.",
            holds="write",
        )


_UNSEEN = "where the row reaches the database cannot be seen here: catch the IntegrityError by hand"
_CALLED = "the look and the insert are in different functions: insert in a savepoint by hand"


_ADDED_LATER = (
    "the row is made where none was found and added later: where the database refuses it, load the one that is there "
    "and set it as this one, by hand"
)
_COUNTED = (
    "a count or maximum cannot be locked: lock the parent row first "
    "(`select(Parent).where(...).with_for_update()`), or let a constraint decide"
)


def _session_of(window: RowWindow) -> Session:
    session = window.change.session
    assert session is not None
    return session


def _is_ended_elsewhere(window: RowWindow) -> bool:
    """Whether a statement inserts in a transaction that another function ends: a dependency that has begun it."""
    ends = (frame.function for commit in window.change.commits for frame in commit.stack)
    return window.change.query is not None and window.function not in ends


def _bound_round(statements: Sequence[ast.stmt]) -> set[str]:
    """The names that a `with` round all that is done binds."""
    only = statements[0] if len(statements) == 1 else None
    items = only.items if isinstance(only, ast.With | ast.AsyncWith) else []
    return {i.optional_vars.id for i in items if isinstance(i.optional_vars, ast.Name)}


def _added(statement: ast.stmt | None) -> str | None:
    """The name in `session.add(name)`."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Attribute) or value.func.attr != "add":
        return None
    return value.args[0].id if len(value.args) == 1 and isinstance(value.args[0], ast.Name) else None


def _is_set_on(statement: ast.stmt, name: str) -> bool:
    """Whether a statement gives an attribute of what has that name a value."""
    return any(
        isinstance(n, ast.Attribute)
        and isinstance(n.ctx, ast.Store)
        and isinstance(n.value, ast.Name)
        and n.value.id == name
        for n in ast.walk(statement)
    )


def _adds_unnamed(statement: ast.stmt | None) -> bool:
    """`session.add(Model(...))`: nobody can do more with the new row."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    added = value.args if isinstance(value, ast.Call) and getattr(value.func, "attr", "") == "add" else []
    return len(added) == 1 and isinstance(added[0], ast.Call)


def _returns(node: ast.AST, name: str) -> bool:
    return any(
        isinstance(s, ast.Return) and isinstance(s.value, ast.Name) and s.value.id == name for s in statements_of(node)
    )


def _found_now(source: str) -> str:
    """The look again, when the row is known to be there."""
    return source.replace(".scalar_one_or_none()", ".scalar_one()").replace(".one_or_none()", ".one()")


def _binds(statements: Sequence[ast.stmt], name: str) -> bool:
    """Whether statements give a name something else."""
    return any(
        isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Store)
        for s in statements
        for n in ast.walk(s)
    )
