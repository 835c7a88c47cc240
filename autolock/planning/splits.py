"""One transaction for what is committed in pieces."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING

from autolock.database.splits import SplitWindow
from autolock.database.trace import Commit, DatabaseTrace, RowRead, RowWrite
from autolock.edits import Edit
from autolock.planning.blocks import Refusal, Region, Sources, own_nodes
from autolock.planning.homes import frozen
from autolock.planning.lasting import LastingCalls
from autolock.planning.names import laid_out
from autolock.planning.ordered import imported_select, ordered_keys, ordered_text, refuse_late_names
from autolock.planning.statements import header_nodes
from autolock.program.index import dotted
from autolock.program.linker import Ref

if TYPE_CHECKING:
    from autolock.database.objects import Session
    from autolock.engine import Analysis

#: What a session or connection does; awaiting anything else reaches outside of the transaction.
_DATABASE = frozenset(
    {
        *("execute", "executemany", "execute_many", "fetch", "fetchrow", "fetchval", "fetch_all", "fetch_one"),
        *("fetch_val", "scalar", "scalars", "exec", "get", "get_one", "refresh", "flush", "commit", "delete", "merge"),
        *("add", "add_all", "stream"),
    }
)


#: Statements of which a part may not be run at all.
_WAYS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Match, ast.ExceptHandler)


class SplitPlans:
    """Plans a transaction for one window at a time."""

    def __init__(self, analysis: Analysis, sources: Sources) -> None:
        self.program = analysis.program
        self.trace: DatabaseTrace = analysis.machine.database.rows.trace
        self.dialect = analysis.machine.database.dialect
        self.sources = sources
        self.lasting = LastingCalls(analysis.program)

    def plan(self, window: SplitWindow) -> tuple[list[Edit], str, str]:
        """Edits, title and reason; raises Refusal."""
        first, second = window.commits
        if first.automatic:
            assert window.first is not None
            assert window.last is not None
            self.refuse_between(window.function, window.first, window.last, window.first.lineno, first.session)
            return self.wrapped(window)
        if second.automatic or first.function != window.function:
            raise Refusal(
                f"`{first.function.name}` commits for its callers, too: give it a way to leave the commit to this one"
            )
        return self.flushed(window, first, second)

    # -- commit becomes flush -----------------------------------------------------------

    def flushed(self, window: SplitWindow, first: Commit, second: Commit) -> tuple[list[Edit], str, str]:
        assert window.first is not None
        last = self.statement_of(second, window.function)
        edits = self.flushes(window.function, first.session, window.first, last)
        self.refuse_other_ways(window, second, last)
        if not _flushes(first.session):
            return (
                [*self.ordering_of_statements(window, first.session), *edits],
                f"Commit `{window.shown}` together",
                "The statements are sent as they are run: a failure before the one commit that is left takes "
                "everything back, and nobody sees half of it.",
            )
        return (
            edits,
            f"Commit `{window.shown}` together",
            "A flush sends the statements and keeps the transaction open: a failure before the one commit that is left "
            "takes everything back, and nobody sees half of it.",
        )

    def refuse_other_ways(self, window: SplitWindow, second: Commit, last: ast.stmt) -> None:
        """Refuse where there is a way past the commit that is to be the only one: what was flushed would be lost."""
        begun = self.statement_of(window.commits[0], window.function)
        places: list[tuple[Ref, ast.stmt | None, ast.stmt]] = [(window.function, begun, last)]
        depth = next(n for n, frame in enumerate(second.stack) if frame.function == window.function)
        places += [(f.function, None, f.statement) for f in second.stack[depth + 1 :] if f.function and f.statement]
        for function, since, until in places:
            for node in ast.walk(self.sources.node_of(function)):
                inside = {id(n) for n in ast.walk(node)} if isinstance(node, _WAYS) else set()
                if id(until) in inside and (since is None or id(since) not in inside):
                    raise Refusal(
                        "not every way comes to the last commit, and what is only flushed by then would be lost: "
                        "commit once, at the end"
                    )

    def flushes(self, function: Ref, session: Session, first: ast.stmt, last: ast.stmt) -> list[Edit]:
        """Every commit of the function between two of its statements becomes a flush; raises Refusal.

        On a connection, which sends each statement as it is run, the commit just goes.
        """
        blocks = self.sources.blocks(function.path)
        edits: list[Edit] = []
        found = [(c, self.statement_of(c, function)) for c in self.commits_of(function, session)]
        between = [(c, s) for c, s in found if first.lineno <= s.lineno < last.lineno]
        since = min((s.lineno for _, s in between), default=first.lineno)
        self.refuse_between(function, first, last, since, session)
        for commit, statement in between:
            text = ast.unparse(commit.node) if isinstance(commit.node, ast.expr) else ""
            if not text:
                raise Refusal("the first commit is the end of a `with` block: put both writes into one")
            at = blocks.spot(statement).path
            if _flushes(session):
                edits.append(Edit(function.path, "flush-commit", frozen(at=at, expression=text, nth=0)))
            elif isinstance(statement, ast.Expr):
                edits.append(Edit(function.path, "remove-statement", frozen(at=at)))
            else:
                raise Refusal("what the first commit gives is used: put both writes into one transaction by hand")
        if not edits:
            raise Refusal("a helper commits in between: give it a way to leave the commit to its caller")
        return edits

    def commits_of(self, function: Ref, session: Session) -> list[Commit]:
        """The commits that a function makes itself on a session, one a place."""
        found: dict[int, Commit] = {}
        for commit in self.trace.commits:
            if commit.session is session and commit.function == function:
                found[id(commit.node)] = commit
        return list(found.values())

    def statement_of(self, commit: Commit, function: Ref) -> ast.stmt:
        for frame in commit.stack:
            if frame.function == function and frame.statement is not None:
                return frame.statement
        raise Refusal("the commits are not in one function")

    # -- a block round the calls ------------------------------------------------------------

    def wrapped(self, window: SplitWindow) -> tuple[list[Edit], str, str]:
        function, session = window.function, window.commits[0].session
        name = session.names.get(function)
        writes = self.writes_of(window)
        if name is None or any(w.function != function for w in writes):
            raise Refusal("the writes are made by helpers that commit by themselves: open the transaction by hand")
        region = self.region(window, writes)
        header, receiver = self.header(session, name)
        edits = self.ordering(function, region, writes, session.library, receiver)
        edits.append(
            Edit(
                function.path,
                "wrap-in-transaction",
                frozen(at=region.at, count=region.count, header=header, is_async=session.is_async),
            )
        )
        if receiver != name:
            edits += self.moved(function, region, name, receiver)
        return (
            edits,
            f"One transaction for `{window.shown}`",
            "What the block does is committed together at its end, or not at all when something in it fails.",
        )

    @staticmethod
    def header(session: Session, name: str) -> tuple[str, str]:
        """What opens a transaction, and what statements are run on inside of it."""
        if session.library == "databases" or (session.library == "asyncpg" and not session.pooled):
            return f"{name}.transaction()", name
        if session.library == "asyncpg":
            return f"{name}.acquire() as connection, connection.transaction()", "connection"
        raise Refusal("open one transaction round both by hand")

    def writes_of(self, window: SplitWindow) -> list[RowWrite]:
        """All that the window's run has written through the session in the window's function."""
        session = window.commits[0].session
        first, second = window.pair
        inside = [
            w
            for entry, w in self.trace.writes
            if entry is window.entry and w.session is session and first.serial <= w.serial
        ]
        return list({id(w.node): w for w in (*inside, first, second)}.values())

    def region(self, window: SplitWindow, writes: list[RowWrite]) -> Region:
        node = self.sources.node_of(window.function)
        statements = [w.stack[-1].statement for w in writes]
        return self.sources.blocks(window.function.path).spanning([s for s in statements if s is not None], node)

    def ordering(
        self, function: Ref, region: Region, writes: list[RowWrite], library: str, receiver: str
    ) -> list[Edit]:
        """Rows of one table that change together are locked in one order first."""
        found = ordered_text(writes)
        if found is None or self.dialect == "sqlite":
            return []
        table, column, keys = found
        if library == "databases":
            names = ", ".join(f":{n}" for n in keys)
            values = ", ".join(f'"{n}": {ast.unparse(v)}' for n, v in keys.items())
            sql = f"SELECT {column} FROM {table} WHERE {column} IN ({names}) ORDER BY {column} FOR UPDATE"
            code = f'await {receiver}.fetch_all("{sql}", {{{values}}})'
        else:
            names = ", ".join(f"${i}" for i in range(1, len(keys) + 1))
            values = ", ".join(ast.unparse(v) for v in keys.values())
            sql = f"SELECT {column} FROM {table} WHERE {column} IN ({names}) ORDER BY {column} FOR UPDATE"
            code = f'await {receiver}.fetch("{sql}", {values})'
        code = laid_out(self.sources, function.path, code, region.statements[0].col_offset + 4)
        return [Edit(function.path, "insert-before", frozen(at=region.at, code=code))]

    def ordering_of_statements(self, window: SplitWindow, session: Session) -> list[Edit]:
        """The same for UPDATEs that are built, not written as text: rows of one table are locked in one order first."""
        function, name = window.function, session.names.get(window.function)
        writes = [w for w in self.writes_of(window) if w.form == "update"]
        found = ordered_keys(writes)
        if found is None or self.dialect == "sqlite":
            return []
        column, keys = found
        assert window.first is not None
        for key in keys:
            refuse_late_names(self.sources.node_of(function), key, window.first)
        if name is None or any(w.function != function for w in writes):
            raise Refusal("rows of one table change together: lock them in one order first, and commit once")
        select, imports = imported_select(self.program, function, "sqlalchemy")
        listed = ", ".join(ast.unparse(k) for k in keys)
        chosen = f"{select}({column}).where({column}.in_([{listed}]))"
        code = f"{name}.execute({chosen}.order_by({column}).with_for_update())"
        code = f"await {code}" if session.is_async else code
        code = laid_out(self.sources, function.path, code, window.first.col_offset)
        at = self.sources.blocks(function.path).spot(window.first).path
        return [*imports, Edit(function.path, "insert-before", frozen(at=at, code=code))]

    def moved(self, function: Ref, region: Region, name: str, receiver: str) -> list[Edit]:
        """Every call on the pool inside of the block, made on the connection."""
        blocks = self.sources.blocks(function.path)
        edits: list[Edit] = []
        for statement in (n for n in own_nodes(region.statements) if isinstance(n, ast.stmt)):
            here = list(header_nodes(statement))
            used = [n for n in here if isinstance(n, ast.expr) and ast.unparse(n) == name]
            calls = [n for n in here if isinstance(n, ast.Attribute) and ast.unparse(n.value) == name]
            if len(used) != len(calls) or (used and hasattr(statement, "body")):
                raise Refusal(f"`{name}` is handed on in between: open the transaction by hand")
            edits += [
                Edit(
                    function.path,
                    "replace-expression",
                    frozen(at=blocks.spot(statement).path, expression=name, replacement=receiver, nth=nth),
                )
                for nth in range(len(calls))
            ]
        return edits

    # -- what forbids it --------------------------------------------------------------------

    def refuse_between(self, function: Ref, first: ast.stmt, last: ast.stmt, since: int, session: Session) -> None:
        """Refuse where something between the two is meant to last, or cannot be taken back.

        Leaving counts from the line `since` on, where something has been committed.
        """
        alone, known = session.autocommits, self.awaits_of(session, function)
        region = self.sources.blocks(function.path).spanning([first, last], self.sources.node_of(function))
        for inner in own_nodes(region.statements):
            if isinstance(inner, ast.Raise | ast.Return) and _leaves(inner, region.statements, last, since):
                raise Refusal("the function can leave in between, and what was committed by then may be meant to stay")
            if isinstance(inner, ast.Try | ast.ExceptHandler):
                raise Refusal("an exception is handled in between, and what was committed before may be meant to stay")
            if isinstance(inner, ast.For | ast.AsyncFor | ast.While) and (alone or _commits(inner)):
                raise Refusal("a loop commits in pieces: decide by hand which pieces belong together")
            if isinstance(inner, ast.Call):
                self.refuse_call(inner)
            if isinstance(inner, ast.Await) and isinstance(inner.value, ast.Call) and id(inner) not in known:
                self.refuse_outside(inner.value, function)
        between = range(since + 1, last.lineno)
        lasting = self.lasting.first_in(function, region.statements, session.names.get(function) or "", between)
        if lasting is not None:
            raise Refusal(
                f"what `{lasting}` does in between is not taken back when the transaction fails: decide by hand when "
                "it is due"
            )

    def awaits_of(self, session: Session, function: Ref) -> set[int]:
        """The awaits of a function that are known to run statements through the session, as methods of rows do."""
        events: tuple[RowRead | RowWrite, ...] = (*(r for _, r in self.trace.reads), *(w for _, w in self.trace.writes))
        statements = (e.stack[-1].statement for e in events if e.session is session and e.function == function)
        return {id(n) for s in statements if s is not None for n in header_nodes(s) if isinstance(n, ast.Await)}

    def refuse_outside(self, call: ast.Call, function: Ref) -> None:
        """Refuse to keep a transaction open over a call to another service."""
        if isinstance(call.func, ast.Attribute) and call.func.attr in _DATABASE:
            return
        found = self.program.resolve(function.path, dotted(call.func), function.name)
        if found is None or found[0].kind == "external":
            raise Refusal(f"`{ast.unparse(call.func)}` is awaited in between, which may be another service")

    @staticmethod
    def refuse_call(call: ast.Call) -> None:
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if name in ("add_task", "delay", "apply_async", "create_task", "send"):
            raise Refusal(f"something is started in between (`{name}`) that may need the first half to be there")


def _leaves(leaving: ast.Raise | ast.Return, region: Sequence[ast.stmt], last: ast.stmt, since: int) -> bool:
    """Whether a run that has come past the line `since` can leave there, with something left to do or to take back."""
    done = leaving.lineno > (last.end_lineno or last.lineno)
    if leaving.lineno <= since or (done and isinstance(leaving, ast.Return)):
        return False
    branches = [n for n in own_nodes(region) if isinstance(n, ast.If) and n.lineno <= since]
    return not any(_spans(n.body, since) and _spans(n.orelse, leaving.lineno) for n in branches)


def _spans(block: list[ast.stmt], line: int) -> bool:
    """Whether a line is one of a block's."""
    return bool(block) and block[0].lineno <= line <= (block[-1].end_lineno or block[-1].lineno)


def _flushes(session: Session) -> bool:
    return session.library == "sqlalchemy" and session.flushes


def _commits(loop: ast.stmt) -> bool:
    """Whether a turn of a loop ends a transaction."""
    return any(isinstance(n, ast.Attribute) and n.attr in ("commit", "begin", "transaction") for n in ast.walk(loop))
