"""The analysis as a whole: from a linked program to findings."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from autolock.database.effect_windows import EffectFinder
from autolock.database.project import NO_FACTS, DatabaseFacts
from autolock.database.session_windows import SessionFinder
from autolock.database.splits import order_windows, split_windows
from autolock.database.windows import RowFinder
from autolock.deployment.windows import ProcessFinder
from autolock.llm.exchanges import ExchangeFinder, mark
from autolock.llm.windows import ModelFinder
from autolock.program.entries import follow_everything
from autolock.program.linker import Program
from autolock.program.machine import Machine
from autolock.program.trace import Entry, Nearby
from autolock.program.unreached import follow_unreached
from autolock.program.windows import Finder, RaceWindow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from autolock.deployment.backend import LockBackend
    from autolock.deployment.evidence import Deployed
    from autolock.findings import Finding
    from autolock.plan import Plan
    from autolock.rules.base import Match, Rule


@dataclass(slots=True)
class Analysis:
    """What the analysis knows of a program. `stopped` says where it gave up, and why, `deployed` what starts several
    processes of it, `backend` what locks the user wants where rows cannot be locked."""

    program: Program
    machine: Machine
    entries: list[Entry]
    windows: list[RaceWindow]
    stopped: dict[str, str]
    deployed: Deployed | None = None
    backend: LockBackend | None = None
    matches: list[tuple[RaceWindow, Rule, Match]] = field(default_factory=list)
    by_fingerprint: dict[str, RaceWindow] = field(default_factory=dict)


def analyse(
    program: Program,
    lock_names: frozenset[str] = frozenset(),
    known: Mapping[str, object] | None = None,
    databases: DatabaseFacts = NO_FACTS,
    nearby: Nearby | None = None,
    *,
    mending: bool = False,
) -> Analysis:
    """Follow every entry point of a program and find the Windows that two of them can enter at once.

    `databases` is what is known of the project's databases, `known` are attributes of the interpreter
    that need not be computed from all of the program's files. With `nearby` only the entry points that it names are
    followed, and those that all others depend on. When `mending`, the machine notes what each of them reaches.
    """
    machine = Machine(program, lock_names, databases)
    vars(machine).update(known or {})
    machine.nearby, machine.mending = nearby, mending
    with _deep_recursion():
        entries = follow_everything(machine)
        entries += follow_unreached(machine)
    if nearby is not None:
        machine.reached |= nearby.reached
    windows = Finder(program, machine.trace, machine.warmed).windows()
    rows = machine.database.rows.trace
    deployed = databases.deployments.of(tuple(program.modules))
    windows += RowFinder(program, rows, machine.database.models, machine.trace.stopped, deployed).windows()
    windows += [*split_windows(program, rows), *order_windows(rows)]
    windows += SessionFinder(program, machine.database.sessions).windows()
    windows += EffectFinder(program, rows, machine.database.sessions).windows()
    calls = machine.models.calls
    mark(windows, calls)
    windows = ExchangeFinder(program, machine.trace, calls).windows(windows)
    windows += ModelFinder(program, calls).windows()
    if deployed is not None:
        windows += ProcessFinder(program, machine.trace, machine.warmed).across(deployed)
    return Analysis(program, machine, entries, windows, dict(machine.trace.stopped), deployed, databases.backend)


def find(analysis: Analysis, rules: Sequence[Rule]) -> tuple[tuple[Finding, ...], tuple[Plan, ...]]:
    """The findings of the given rules (for each Window the first rule that is about it), and the plans for them."""
    from autolock.telling import finding_of

    findings: list[Finding] = []
    analysis.matches.clear()
    # What is said of a model's conversation says more than what holds of any state.
    rules = sorted(rules, key=lambda rule: rule.category != "llm")
    for window in analysis.windows:
        for rule in rules:
            match = rule.match(window)
            if match is not None:
                findings.append(finding_of(analysis, window, rule, match, findings))
                analysis.matches.append((window, rule, match))
                break
    if not findings:
        return (), ()
    # Imported late: an analysis that finds nothing does without all that plans are made of.
    from autolock.plan import plan

    return plan(analysis, findings)


@contextmanager
def _deep_recursion() -> Iterator[None]:
    """The interpreter follows calls by recursion; a few hundred calls need more than Python's usual limit."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, 5_000))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
