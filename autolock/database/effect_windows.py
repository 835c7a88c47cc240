"""From what was started early to Windows: the row that it is about is committed after it."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autolock.database.session_windows import SessionWindow
from autolock.program.mentions import Mentions
from autolock.program.trace import context_name
from autolock.program.windows import RaceWindow, meeting

if TYPE_CHECKING:
    from autolock.database.sessions import Sessions
    from autolock.database.trace import Commit, DatabaseTrace, Effect, RowWrite
    from autolock.program.linker import Program, Ref
    from autolock.program.values import FunctionValue


@dataclass(slots=True)
class EffectWindow(SessionWindow):
    """A Window from something that leaves the process to the commit of the row that it is about.

    `kind` is effect-early, or effect-dependency when a dependency commits, after the response.
    """

    effect: Effect | None = None
    commit: Commit | None = None


class EffectFinder:
    """Turns what was started with rows pending into windows."""

    def __init__(self, program: Program, trace: DatabaseTrace, sessions: Sessions) -> None:
        self.mentions = Mentions(program)
        self.trace = trace
        self.providers = {p.provider.ref: p.provider for p in sessions.provided if not p.made}

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
        return found

    def of(self, effect: Effect) -> Iterator[EffectWindow]:
        for write in effect.pending:
            commit = next(iter(write.commits), None)
            if commit is None or commit.entry is not effect.entry or write.session is None:
                continue
            provider = self.providers.get(commit.function)
            if effect.kind == "background task" and (provider is None or self.ends_early(provider.ref)):
                continue  # it runs after the commit
            yield self.window(effect, write, commit, provider)
            return

    def ends_early(self, provider: Ref) -> bool:
        """Whether a dependency ends before the response is sent: `Depends(provider, scope="function")`."""
        return all(
            any(
                k.arg == "scope" and isinstance(k.value, ast.Constant) and k.value.value == "function" for k in keywords
            )
            for keywords in (call.keywords for _, _, call in self.mentions.depends(provider))
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
