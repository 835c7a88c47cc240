"""What every plan for rows asks: the session at hand, the dialect, the names in a file."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from autolock.database.objects import Query, Session
from autolock.database.windows import RowWindow
from autolock.edits import Edit
from autolock.planning.blocks import Refusal, Sources
from autolock.planning.callers import (
    session_of_object,
    session_through_calls,
)
from autolock.planning.homes import HomeFinder, frozen
from autolock.planning.names import written
from autolock.planning.opened import OpenedPlans
from autolock.planning.splits import SplitPlans
from autolock.planning.sums import SumPlans
from autolock.planning.wrappers import without_wrappers
from autolock.program.linker import Ref

if TYPE_CHECKING:
    from autolock.engine import Analysis


MAPPERS = frozenset({"sqlalchemy", "sqlmodel"})
_SESSIONS = frozenset({"Session", "AsyncSession", "AsyncConnection", "Connection"})


class RowBase:
    """The program and its runs, and how a function can name the session."""

    def __init__(self, analysis: Analysis, sources: Sources) -> None:
        self.analysis = analysis
        self.program = analysis.program
        self.machine = analysis.machine
        self.trace = analysis.machine.database.rows.trace
        self.sources = sources
        self.homes = HomeFinder(analysis.program, sources)
        self.splits = SplitPlans(analysis, sources)
        self.sums = SumPlans(analysis.program, sources, self.homes, self.trace)
        self.opened = OpenedPlans(analysis.program, sources, self.trace, self.splits)

    @property
    def dialect(self) -> str:
        return self.machine.database.dialect

    @staticmethod
    def loads_joined(query: Query) -> bool:
        """Whether a query reads other tables' rows beside its own."""
        text = ast.unparse(query.spot.node) if query.spot is not None else ""
        eager = query.model is not None and any(
            r.lazy in ("joined", "immediate_joined") for r in query.model.relationships.values()
        )
        return "joinedload" in text or "outerjoin" in text or eager

    def session_at(self, window: RowWindow, function: Ref) -> str:
        """The session as a function on the way can write it, through what it calls where it has none itself."""
        look = window.look
        try:
            return self.session_name(function, look.session)
        except Refusal:
            name = session_of_object(function, look.session)
            then = window.write or window.second or look
            stacks = (without_wrappers(self.program, stack) for stack in (look.stack, then.stack))
            name = name or session_through_calls(function, look.session, *stacks)
            if name is None:
                raise
            return name

    def session_name(self, function: Ref, session: Session) -> str:
        """The session, as the function can write it."""
        spoken = session.names.get(function)
        if spoken:
            return spoken
        node = self.sources.node_of(function)
        assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for argument in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]:
            kind, _ = self.machine.type_of_annotation(function.path, argument.annotation, function.name)
            library, _, name = kind.name.rpartition(".")
            if kind.kind == "external" and name in _SESSIONS and library.partition(".")[0] in MAPPERS:
                return argument.arg
        raise Refusal("the function has no session at hand: lock the row where it is loaded")

    def error_name(self, function: Ref) -> tuple[str, list[Edit]]:
        """`IntegrityError` in the function's file, imported where it is not."""
        return "IntegrityError", self.imported(function, "sqlalchemy.exc", "IntegrityError")

    def imported(
        self, function: Ref, module: str, name: str, libraries: frozenset[str] = frozenset({"sqlalchemy"})
    ) -> list[Edit]:
        """The edit that makes a name known in a function's file, where it is not; raises Refusal.

        It may be known from any of the `libraries`.
        """
        found = self.program.resolve(function.path, name, function.name)
        if found is None:
            return [Edit(function.path, "import-name", frozen(module=module, name=name, alias=""))]
        if found[0].kind != "external" or found[0].name.partition(".")[0] not in libraries:
            raise Refusal(f"the name {name} is taken here")
        return []

    def looking(self, path: str, look: ast.stmt | None, found: ast.expr) -> str:
        """The source of a look: as it is written where it is in one place."""
        return written(self.sources, path, found) if getattr(look, "value", None) is found else ast.unparse(found)
