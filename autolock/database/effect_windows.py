"""From what was started, or answered, early to Windows: the row that it is about is committed after it."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from autolock.database.harm import is_invented
from autolock.database.session_windows import SessionWindow
from autolock.program.mentions import Mentions
from autolock.program.trace import context_name
from autolock.program.windows import RaceWindow, meeting

if TYPE_CHECKING:
    from autolock.database.objects import Session
    from autolock.database.sessions import Sessions
    from autolock.database.trace import Commit, DatabaseTrace, Effect, RowWrite
    from autolock.program.linker import Program, Ref
    from autolock.program.values import FunctionValue


@dataclass(slots=True)
class EffectWindow(SessionWindow):
    """A Window from something that leaves the process to the commit of the row that it is about.

    `kind` is effect-early, effect-dependency when a dependency commits, after the response, or effect-answer when it
    is the response itself that says too early that there is a row. `late` are then the rows that may be refused after
    it, and `columns` those of the first that are why.
    """

    effect: Effect | None = None
    commit: Commit | None = None
    late: list[RowWrite] = field(default_factory=list)
    columns: tuple[str, ...] = ()


class EffectFinder:
    """Turns what was started with rows pending into windows."""

    def __init__(self, program: Program, trace: DatabaseTrace, sessions: Sessions) -> None:
        self.mentions = Mentions(program)
        self.trace = trace
        self._ends_early: dict[Ref, bool] = {}
        self.providers = {p.provider.ref: p.provider for p in sessions.provided if not p.made} | sessions.generators

    def windows(self) -> list[RaceWindow]:
        """All windows, one for each statement that starts something."""
        groups: dict[object, list[EffectWindow]] = defaultdict(list)
        for effect in self.trace.effects:
            for window in self.of(effect):
                groups[id(effect.stack[-1].statement)].append(window)
        found: list[RaceWindow] = []
        for group in groups.values():
            group[0].entries = list({id(e): e for w in group for e in w.entries}.values())
            found.append(group[0])
        return found + self.answers()

    def answers(self) -> list[RaceWindow]:
        """A window for each dependency that commits rows of which the client has been told already."""
        checked = {id(c.write) for c in self.trace.candidates}
        looks: dict[Session, int] = {}
        for _, look in self.trace.reads:
            looks[look.session] = max(looks.get(look.session, 0), look.serial)
        found: dict[Ref, EffectWindow] = {}
        for commit in self.trace.commits:
            provider = self.provider_of(commit)
            if provider is None or commit.entry.kind != "route" or self.ends_early(provider.ref):
                continue
            for write in commit.unsent:
                flushed = commit.session.autoflush and looks.get(commit.session, 0) > write.serial
                columns = () if flushed or id(write) in checked else refusable(write)
                if columns:
                    window = found.setdefault(provider.ref, self.answer(write, commit, provider, columns))
                    window.late.append(write)
                    window.entries.append(commit.entry)
        for window in found.values():
            window.entries = list({id(e): e for e in window.entries}.values())
        return list(found.values())

    def of(self, effect: Effect) -> Iterator[EffectWindow]:
        for write in effect.pending:
            commit = next(iter(write.commits), None)
            if commit is None or commit.entry is not effect.entry or write.session is None:
                continue
            provider = self.provider_of(commit)
            if effect.kind == "background task" and (provider is None or self.ends_early(provider.ref)):
                continue  # it runs after the commit
            yield self.window(effect, write, commit, provider)
            return

    def provider_of(self, commit: Commit) -> FunctionValue | None:
        """The dependency that commits, itself or by a method of what it gives."""
        return next((self.providers[f.function] for f in commit.stack if f.function in self.providers), None)

    def ends_early(self, provider: Ref) -> bool:
        """Whether a dependency ends before the response is sent: `Depends(provider, scope="function")`."""
        if provider not in self._ends_early:
            calls = (call for _, _, call in self.mentions.depends(provider))
            self._ends_early[provider] = all(_is_for_function(call) for call in calls)
        return self._ends_early[provider]

    def answer(
        self, write: RowWrite, commit: Commit, provider: FunctionValue, columns: tuple[str, ...]
    ) -> EffectWindow:
        statement = next(f.statement for f in commit.stack if f.function == provider.ref)
        return EffectWindow(
            "effect-answer",
            write.location,
            provider.ref,
            statement,
            statement,
            commit.entry,
            True,
            context_name(commit.context),
            name=write.model.ref.name,
            session=write.session,
            provider=provider,
            steps=[write, commit],
            commit=commit,
            columns=columns,
        )

    def window(self, effect: Effect, write: RowWrite, commit: Commit, provider: FunctionValue | None) -> EffectWindow:
        outer = effect.stack[0]
        function, first, last = outer.function, outer.statement, outer.statement
        if commit.stack[0].serial == outer.serial:
            function, first, last = meeting(effect.stack, commit.stack)
        assert function is not None
        return EffectWindow(
            "effect-dependency" if provider is not None else "effect-early",
            write.location,
            function,
            first,
            last,
            effect.entry,
            True,
            context_name(effect.context),
            entries=[effect.entry],
            name=write.model.ref.name,
            session=write.session,
            provider=provider,
            steps=[write, effect, commit],
            effect=effect,
            commit=commit,
        )


def _is_for_function(call: ast.Call) -> bool:
    scope = next((k.value for k in call.keywords if k.arg == "scope"), None)
    return isinstance(scope, ast.Constant) and scope.value == "function"


def refusable(write: RowWrite) -> tuple[str, ...]:
    """The columns of a new row that the client names and that no two rows may have alike; none where there are none."""
    row = write.row
    if write.form != "insert" or row is None:
        return ()
    for unique in write.model.uniques:
        given = {name: row.fields.get(f".{name}") for name in unique}
        generated = any(name not in write.model.columns or write.model.columns[name].primary_key for name in unique)
        if generated or not any(value is not None and value.request for value in given.values()):
            continue
        if not any(value is None or is_invented(value) for value in given.values()):
            return tuple(sorted(unique))
    return ()
