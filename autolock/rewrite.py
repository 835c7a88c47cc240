"""Carries plans out in memory, and proves each before anyone sees it.

A plan is good when its edits can be made, the findings it is for are gone from the changed tree, no
race is there that was not there before, and planning again leaves its Locations alone. Statement
paths are those of the tree that was planned on, so after each change the analysis is run again, on
all the plans that touch no file in common at once. When that fails, they are taken in smaller lots,
down to one, which is then dropped.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from autolock.findings import Certainty, FileChange, Finding, Problem, Rewrite
from autolock.rewriting.compiling import check_compiles
from autolock.rewriting.engine import Codemods, RewriteError, apply_edits
from autolock.rewriting.formatting import format_changed
from autolock.rewriting.requirements import ADD_REQUIREMENT, required

if TYPE_CHECKING:
    from pathlib import Path

    from autolock.edits import Edit
    from autolock.plan import Plan

Read = Callable[[str], bytes]
Choose = Callable[[Rewrite, tuple[Finding, ...]], "Rewrite | None"]
"""Asked about each proven fix and the findings it ends: takes it, takes it with other contents, or leaves it (None)."""


class Quit(Exception):
    """Raised by a `Choose` to be asked no more; what it has taken stays taken."""


@dataclass(frozen=True, slots=True)
class View:
    """What the analysis says of a tree: all findings, and the plans that mend them."""

    findings: tuple[Finding, ...]
    plans: tuple[Plan, ...]


@dataclass(frozen=True, slots=True)
class Dropped:
    """A plan that was not carried out, with the findings that it was for."""

    fingerprints: tuple[str, ...]
    problem: Problem
    reason: str


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What became of the plans; each rewrite's changes are relative to the tree after the earlier ones."""

    rewrites: tuple[Rewrite, ...]
    dropped: tuple[Dropped, ...]


@dataclass(frozen=True, slots=True)
class Tree:
    """The files as they are: where they lie, how they are read, and what the analysis says of changed ones."""

    root: Path
    read: Read
    view: View
    view_with: Callable[[Mapping[str, bytes]], View]
    codemods: Codemods


def rewrite(tree: Tree, wanted: Sequence[Plan], choose: Choose | None = None) -> Rewritten:
    """Carry out the plans of `tree.view` that are wanted."""
    return _Rewriting(tree, wanted, choose).run()


class _Draft(NamedTuple):
    """A plan and what it makes of the files."""

    plan: Plan
    rewrite: Rewrite


_Key = tuple[str, ...]


def _key(plan: Plan) -> _Key:
    """What a plan can be known by again in another analysis."""
    return plan.locations


@dataclass
class _Rewriting:
    """One run of `rewrite`: the changed files so far, and what the analysis says of the tree with them."""

    tree: Tree
    wanted: Sequence[Plan]
    choose: Choose | None
    overlay: dict[str, bytes] = field(default_factory=dict)
    rewrites: list[Rewrite] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.view = self.tree.view
        self.pending = dict.fromkeys(map(_key, self.wanted))
        # Whoever chooses sees one fix at a time, each on top of those that were taken.
        self.at_once = sys.maxsize if self.choose is None else 1

    def run(self) -> Rewritten:
        """Try plans until each is taken, left or dropped."""
        at_once = self.at_once
        while batch := self._next(at_once):
            drafts = self._drafts(batch)
            if not drafts:
                continue
            view = self.tree.view_with(self._overlay_with(draft.rewrite for draft in drafts))
            objection = self._objection([draft.plan for draft in drafts], view)
            if objection and len(drafts) > 1:
                at_once = len(drafts) // 2
                continue
            at_once = self.at_once
            if objection:
                self._drop(drafts[0].plan, objection)
            elif not self._take(drafts, view):
                return self._result()
        self._drop_overtaken()
        return self._result()

    def _result(self) -> Rewritten:
        return Rewritten(tuple(self.rewrites), tuple(self.dropped))

    def _next(self, at_once: int) -> list[Plan]:
        """The next plans to try together: no two of them touch the same file."""
        batch: list[Plan] = []
        touched: set[str] = set()
        for plan in self.view.plans:
            files = {edit.path for edit in plan.edits}
            if _key(plan) in self.pending and not files & touched and len(batch) < at_once:
                batch.append(plan)
                touched |= files
        return batch

    def _drafts(self, batch: Sequence[Plan]) -> list[_Draft]:
        """The plans carried out, but for those that cannot be, which are dropped."""
        drafts: list[_Draft] = []
        for plan in batch:
            try:
                changes = self._changes(plan)
            except (RewriteError, OSError) as error:
                self._drop(plan, str(error))
                continue
            if changes:
                made = Rewrite(plan.title, plan.reason, plan.safety, plan.fingerprints, changes)
                drafts.append(_Draft(plan, made))
            else:
                self._drop(plan, "its edits change nothing")
        return drafts

    def _changes(self, plan: Plan) -> tuple[FileChange, ...]:
        """Raises RewriteError or OSError."""
        edits: dict[str, list[Edit]] = {}
        for edit in plan.edits:
            edits.setdefault(edit.path, []).append(edit)
        changes = (self._change(path, file_edits) for path, file_edits in edits.items())
        return tuple(change for change in changes if change.before != change.after)

    def _change(self, path: str, edits: Sequence[Edit]) -> FileChange:
        before = self.overlay[path] if path in self.overlay else self.tree.read(path)
        if any(edit.codemod == ADD_REQUIREMENT for edit in edits):
            return FileChange(path, before, required(path, before, edits))
        after = apply_edits(before, edits, self.tree.codemods)
        check_compiles(before, after)
        return FileChange(path, before, format_changed(self.tree.root / path, before, after))

    def _overlay_with(self, rewrites: Iterable[Rewrite]) -> dict[str, bytes]:
        return self.overlay | {change.path: change.after for rewrite in rewrites for change in rewrite.changes}

    def _objection(self, plans: Sequence[Plan], view: View) -> str:
        """Why the tree that `view` is of is no good result; empty when it is one."""
        left = {finding.fingerprint for finding in view.findings}
        if any(left.intersection(plan.fingerprints) for plan in plans):
            return "the race is still found after it"
        if new := _races(view) - _races(self.view):
            fingerprint = next(iter(new))
            found = next(finding for finding in view.findings if finding.fingerprint == fingerprint)
            return f"it would bring {found.rule} {found.name} in {found.place.function or found.place.path}"
        again = {_key(plan) for plan in view.plans}
        if any(_key(plan) in again for plan in plans):
            return "a second run would change the result again"
        return ""

    def _take(self, drafts: Sequence[_Draft], view: View) -> bool:
        """Keep proven rewrites, or what the user makes of the one there is; False when the user wants no more."""
        taken = [draft.rewrite for draft in drafts]
        for draft in drafts:
            del self.pending[_key(draft.plan)]
        if self.choose is not None:
            (only,) = drafts
            try:
                chosen = self.choose(only.rewrite, self._ended(only.plan))
            except Quit:
                return False
            taken = [] if chosen is None else [chosen]
        self.rewrites += taken
        self.overlay = self._overlay_with(taken)
        if taken == [draft.rewrite for draft in drafts]:
            self.view = view
        elif taken:
            self.view = self.tree.view_with(self.overlay)
        return True

    def _ended(self, plan: Plan) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.view.findings if finding.fingerprint in plan.fingerprints)

    def _drop(self, plan: Plan, reason: str) -> None:
        del self.pending[_key(plan)]
        problem = Problem(plan.edits[0].path if plan.edits else "", f'the fix "{plan.title}" was dropped: {reason}')
        self.dropped.append(Dropped(plan.fingerprints, problem, reason))

    def _drop_overtaken(self) -> None:
        """Tell of plans that are no plans any more now that others are carried out, though their races are there."""
        left = {finding.fingerprint for finding in self.view.findings}
        for plan in self.wanted:
            if _key(plan) in self.pending and left.intersection(plan.fingerprints):
                self._drop(plan, "it does not go together with another fix")


def _races(view: View) -> Counter[str]:
    return Counter(finding.fingerprint for finding in view.findings if finding.certainty is Certainty.RACE)
