"""From findings to plans: one Guard for each Location, for all of its writers, or a reason why there is none."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from autolock.database.session_windows import SessionWindow
from autolock.database.splits import SplitWindow
from autolock.database.windows import RowWindow
from autolock.deployment.windows import ProcessWindow
from autolock.edits import Edit
from autolock.findings import Finding, Fix, Safety
from autolock.llm.exchanges import ExchangeWindow
from autolock.llm.windows import ModelWindow
from autolock.planning.anew import anew
from autolock.planning.blocks import Refusal, Sources
from autolock.planning.conditions import ask_again
from autolock.planning.exchanges import Exchanges
from autolock.planning.guards import Guarding, Guards
from autolock.planning.homes import frozen
from autolock.planning.kinds import LockKind
from autolock.planning.models import ModelPlans
from autolock.planning.needs import owner_of
from autolock.planning.releases import Releases
from autolock.planning.rowplan import RowPlan
from autolock.planning.rows import RowPlans
from autolock.planning.sessions import SessionPlans
from autolock.planning.turns import Turns
from autolock.program.values import Location

if TYPE_CHECKING:
    from autolock.engine import Analysis
    from autolock.program.windows import RaceWindow


@dataclass(frozen=True, slots=True)
class Plan:
    """A fix that can be carried out: edits over all files, and the findings that it ends.

    `locations` name the state that it guards; a plan is known by them when it is made anew.
    """

    title: str
    reason: str
    safety: Safety
    fingerprints: tuple[str, ...]
    edits: tuple[Edit, ...]
    locations: tuple[str, ...]


#: Windows that are mended one by one.
_Single = RowWindow | SessionWindow | SplitWindow | ModelWindow | ExchangeWindow | ProcessWindow
_ALONE = ("leaked", "re-entered", "opposite-order", "refilled", "waited")
_DEADLOCKS = {
    "re-entered": "split the function into a part that takes the lock and a part that expects it to be held",
    "opposite-order": "take the two locks in the same order everywhere, or use one lock for both",
}

_EXCHANGES = {
    "conversation-shared": "a lock would only let the model see everybody's turns one after the other: keep them under "
    "the key of their conversation",
    "stream-shared": "a lock would make each stream wait for all of the one before: collect the parts in a local "
    "variable, and store the whole of it under its own key",
}

Matched = tuple["RaceWindow", Finding]


def plan(analysis: Analysis, findings: Sequence[Finding]) -> tuple[tuple[Finding, ...], tuple[Plan, ...]]:
    """Plans for findings as `engine.find` made them; gives the findings back with their fixes filled in."""
    windows = (
        {f.fingerprint: m[0] for f, m in zip(findings, analysis.matches, strict=True)}
        if len(analysis.matches) == len(findings)
        else analysis.by_fingerprint
    )
    analysis.by_fingerprint = windows
    planner = _Planner(analysis)
    fixed: dict[str, Fix] = {}
    plans: list[Plan] = []
    for group in _groups([(windows[f.fingerprint], f) for f in findings]):
        fix, made = planner.for_group(group) if not isinstance(group[0][0], _Single) else planner.for_one(group[0])
        fixed.update((f.fingerprint, fix) for _, f in group)
        if made is not None:
            plans.append(made)
    return tuple(f.with_fix(fixed[f.fingerprint]) for f in findings), _together(plans)


def _together(plans: Sequence[Plan]) -> tuple[Plan, ...]:
    """Plans that make the same edits are one: a query that gives rows of two tables is locked once."""
    made: dict[tuple[tuple[Edit, ...], Safety], Plan] = {}
    for each in plans:
        first = made.get((each.edits, each.safety))
        if first is not None:
            ended, guarded = first.fingerprints + each.fingerprints, first.locations + each.locations
            each = replace(first, fingerprints=ended, locations=guarded)
        made[each.edits, each.safety] = each
    return tuple(made.values())


def _groups(matched: Sequence[Matched]) -> list[list[Matched]]:
    """Findings that one lock must end together: of one state, or of states changed in one function."""
    alone = [[m] for m in matched if isinstance(m[0], _Single)]
    matched = [m for m in matched if not isinstance(m[0], _Single)]
    alone += [[m] for m in matched if m[0].kind == "late-read" or m[0].relation in _ALONE]
    loops: dict[object, list[Matched]] = {}
    for window, finding in matched:
        if window.kind == "iteration":
            loops.setdefault((window.function, window.location.base), []).append((window, finding))
    alone.extend(loops.values())
    kinds: dict[Location, list[Matched]] = {}
    for window, finding in matched:
        if window.kind == "lock" and window.relation == "wrong-kind":
            kinds.setdefault(window.location, []).append((window, finding))
    alone.extend(kinds.values())
    pool = [m for m in matched if m[0].kind not in ("iteration", "late-read", "lock") and m[0].relation not in _ALONE]
    groups: list[tuple[set[object], list[Matched]]] = []
    for window, finding in pool:
        keys: set[object] = {owner_of(window.location), (window.function, window.location.root.kind)}
        if window.other is not None:
            keys.add(owner_of(window.other))
        joined = [g for g in groups if g[0] & keys]
        members = [m for g in joined for m in g[1]] + [(window, finding)]
        groups = [g for g in groups if g not in joined]
        groups.append((keys.union(*(g[0] for g in joined)), members))
    return [*(g[1] for g in groups), *alone]


def _elsewhere(window: ProcessWindow) -> str:
    assert window.deployed is not None
    if window.is_file:
        return (
            "no lock of a process helps: hold a lock on the file (`fcntl.flock`, the package filelock) from the read "
            "to the write, or keep what is in it in a database"
        )
    return (
        f"no lock of a process helps: keep `{window.location.base}` where all processes see it, in a row that one "
        "UPDATE changes on its condition, or in Redis; until then start one process "
        f"({window.deployed.where}: `{window.deployed.text}`)"
    )


class _Planner:
    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self.sources = Sources(analysis.program)
        self.guards = Guards(analysis.program, analysis.machine, self.sources, analysis.deployed)
        self.rows = RowPlans(analysis, self.sources)
        self.sessions = SessionPlans(analysis, self.sources)
        self.models = ModelPlans(analysis, self.sources)

    def for_group(self, group: list[Matched]) -> tuple[Fix, Plan | None]:
        """The fix of a group of findings, with its plan where there is one."""
        window = group[0][0]
        try:
            guarding = self.guarding(group)
        except Refusal as refusal:
            return Fix(Safety.NONE, _by_hand(window), refusal.reason), None
        files = tuple(dict.fromkeys(e.path for e in guarding.edits))
        locations = tuple(sorted({_key(w) for w, _ in group}))
        safety, reason = Safety.SAFE, guarding.reason
        if guarding.slow:
            safety = Safety.UNSAFE
            reason = f"{guarding.slow} under the lock, and all others wait for as long. {reason}"
        if guarding.hidden:
            safety = Safety.UNSAFE
            reason = f"{guarding.hidden}: if it is the same state, it would do without the lock. {reason}"
        fix = Fix(safety, guarding.title, reason, files)
        fingerprints = tuple(f.fingerprint for _, f in group)
        return fix, Plan(guarding.title, reason, safety, fingerprints, tuple(guarding.edits), locations)

    def for_one(self, matched: Matched) -> tuple[Fix, Plan | None]:
        """The fix of a finding about rows, a session or a model."""
        window, finding = matched
        assert isinstance(window, _Single)
        try:
            made = self.made(window)
        except Refusal as refusal:
            return Fix(Safety.NONE, f"Guard `{window.shown}` by hand", refusal.reason), None
        files = tuple(dict.fromkeys(e.path for e in made.edits))
        fix = Fix(made.safety, made.title, made.reason, files)
        key = f"{window.kind}:{window.shown}:{window.function.path}:{window.function.name}"
        if isinstance(window, SessionWindow) and window.call is not None:
            key += f":{ast.unparse(window.call)}"
        return fix, Plan(made.title, made.reason, made.safety, (finding.fingerprint,), tuple(made.edits), (key,))

    def made(self, window: _Single) -> RowPlan:
        """The plan of a window that is mended alone; raises Refusal."""
        if isinstance(window, ModelWindow):
            return self.models.plan(window)
        if isinstance(window, ExchangeWindow) and window.kind == "turns-mixed":
            return Turns(self.guards).plan(window)
        if isinstance(window, ExchangeWindow):
            raise Refusal(_EXCHANGES[window.kind])
        if isinstance(window, ProcessWindow):
            raise Refusal(_elsewhere(window))
        if isinstance(window, SessionWindow):
            return self.sessions.plan(window)
        if isinstance(window, SplitWindow):
            return RowPlan(*self.rows.splits.plan(window))
        return self.rows.plan(window)

    def guarding(self, group: list[Matched]) -> Guarding:
        window = group[0][0]
        if window.kind == "iteration":
            return self.snapshot([w for w, _ in group])
        if window.kind == "late-read":
            raise Refusal(
                "a lock would only make the requests wait for each other: pass the value as an "
                "argument, or keep it in a local or a ContextVar"
            )
        if window.relation == "refilled":
            raise Refusal(
                "a lock would make every reader wait for the whole of it: fill a new container, and put it in the "
                "place of the old one when it is complete"
            )
        if window.relation == "waited":
            return ask_again(self.sources, window)
        if window.kind == "lock" and window.relation == "leaked":
            uses = self.analysis.machine.trace.locks
            taken = next(u for u in uses if u.node is window.lock_node and u.style == "acquire")
            return Releases(self.analysis.program, self.sources).plan(taken)
        if window.relation in ("re-entered", "opposite-order"):
            raise Refusal(_DEADLOCKS[window.relation])
        if window.kind == "lock":
            return LockKind(self.analysis.program, self.analysis.machine, self.sources).to_asyncio(window)
        windows = [w for w, _ in group]
        if any(w.relation == "dropped-lock" for w in windows):
            raise Refusal(
                "the lock is taken out of its table while others may wait for it: leave it there, or take it out only "
                "when nobody has it or waits"
            )
        if not any(w.race for w in windows) and any(not self._in_coroutine(w) for w in windows):
            raise Refusal(
                "nothing can run in between today; when something awaits here, take a lock round both in the coroutine"
            )
        owners = _owners(windows)
        if any(w.exchange is not None for w in windows):
            with suppress(Refusal):
                return Exchanges(self.guards).plan(owners, windows)
        try:
            guarding = self.guards.plan(owners, windows)
        except Refusal:
            summed = anew(self.analysis.machine, self.sources, windows)
            if not summed:
                raise
            return self.guards.plan(owners, windows, summed)
        return self.at_the_write(owners, windows) or guarding if guarding.slow else guarding

    def at_the_write(self, owners: Sequence[Location], windows: Sequence[RaceWindow]) -> Guarding | None:
        """Sums that are made at their writes, for which nobody waits; None where there is more to do."""
        summed = anew(self.analysis.machine, self.sources, windows)
        try:
            guarding = self.guards.plan(owners, windows, summed) if summed else None
        except Refusal:
            return None
        return guarding if guarding is not None and not guarding.slow else None

    def _in_coroutine(self, window: RaceWindow) -> bool:
        facts = self.analysis.program.function(window.function)
        return (facts is not None and facts.is_async) or window.context != "event loop"

    def snapshot(self, windows: Sequence[RaceWindow]) -> Guarding:
        """Loop over a copy, in all loops of one function over one container; raises Refusal."""
        base, edits = windows[0].location.base, []
        for window in windows:
            node = window.first
            if not isinstance(node, ast.For):
                raise Refusal("only a plain `for` loop can run over a copy")
            if node in self.analysis.machine.trace.drained:
                raise Refusal(
                    f"`{base}` is emptied right after a loop over it: what is added meanwhile would not be in the copy "
                    "and be thrown away; put a new container in its place first, and loop over the old one"
                )
            at = self.sources.blocks(window.function.path).spot(node).path
            edits.append(Edit(window.function.path, "snapshot-iteration", frozen(at=at, copy="list")))
        return Guarding(
            edits,
            f"Loop over a copy of `{base}`",
            "The copy is made in one step, so that what others add or remove meanwhile cannot upset the loop.",
        )


def _key(window: RaceWindow) -> str:
    """A name for a window that lasts while lines move; one loop of a function is told from another by its text."""
    loop = ast.unparse(window.first).split("\n")[0] if window.kind == "iteration" and window.first is not None else ""
    return f"{window.kind}:{window.location.base}:{window.function.path}:{window.function.name}:{loop}"


def _owners(windows: Sequence[RaceWindow]) -> list[Location]:
    """The states that the lock guards, the one it is named after first."""
    found: list[Location] = []
    for window in sorted(windows, key=lambda w: (not w.race, w.first.lineno if w.first else 0)):
        for location in (window.location, window.other):
            if location is not None and owner_of(location) not in found:
                found.append(owner_of(location))
    return found


def _by_hand(window: RaceWindow) -> str:
    if window.kind == "late-read":
        return "Keep the request's data out of shared objects"
    return f"Guard `{window.location.base}` by hand"
