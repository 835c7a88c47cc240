"""Carries plans out in memory, and proves each before anyone sees it.

A plan is good when its edits can be made, the findings it is for are gone from the changed tree, no
race is there that was not there before, and planning again leaves its Locations alone. Statement
paths are those of the tree that was planned on, so after each change the analysis is run again, on
as many plans at once as can be. When that fails, those that are seen to be at fault are put off, and the others
tried again without them; those that are seen to be at fault once more, in other company, are dropped. Where none
is seen, plans are taken in smaller lots, down to one, which is then dropped.

Where it can be, all this goes by the few entry points that matter to the plans, and its result is proven on the whole.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from autolock.edits import ADD_REQUIREMENT
from autolock.findings import Certainty, FileChange, Finding, Problem, Rewrite
from autolock.rewriting.compiling import check_compiles
from autolock.rewriting.edited import edited_functions, told_functions
from autolock.rewriting.engine import Codemods, RewriteError, apply_edits
from autolock.rewriting.formatting import format_changed
from autolock.rewriting.requirements import required
from codemods.parsing import parse
from codemods.paths import PlaceError, StatementPath

if TYPE_CHECKING:
    from pathlib import Path

    from autolock.edits import Edit
    from autolock.plan import Plan
    from autolock.program.linker import Ref

Read = Callable[[str], bytes]
ViewWith = Callable[[Mapping[str, bytes]], "View"]
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
    view_with: ViewWith
    codemods: Codemods
    near: Callable[[frozenset[Ref]], ViewWith | None] = lambda functions: None


def rewrite(tree: Tree, wanted: Sequence[Plan], choose: Choose | None = None) -> Rewritten:
    """Carry out the plans of `tree.view` that are wanted."""
    nearby = _nearby(tree, wanted) if choose is None and len(wanted) >= _WORTH_LOOKING_NEAR else None
    return nearby or _Rewriting(tree, wanted, choose).run()


def _nearby(tree: Tree, wanted: Sequence[Plan]) -> Rewritten | None:
    """The plans tried by what leads to the functions that they edit, and those that are good proven once as a whole.

    None where that is not enough to see what they mend, or does not come to the same.
    """
    ended = {fingerprint for plan in wanted for fingerprint in plan.fingerprints}
    told = told_functions(finding for finding in tree.view.findings if finding.fingerprint in ended)
    view_with = tree.near(edited_functions(wanted, tree.read) | told)
    if view_with is None:
        return None
    view = view_with({})
    seen = {finding.fingerprint for finding in view.findings}
    if not all(plan in view.plans and seen.issuperset(plan.fingerprints) for plan in wanted):
        return None
    trial = _Rewriting(replace(tree, view=view, view_with=view_with), wanted, None)
    trial.carry_out()
    whole = _Rewriting(tree, wanted, None)
    if trial.taken:
        trial.view = tree.view_with(trial.overlay)
        if whole.objection(trial.taken, trial.view):
            return None
    else:
        trial.view = tree.view
    return trial.result()


class _Draft(NamedTuple):
    """A plan and what it makes of the files."""

    plan: Plan
    rewrite: Rewrite


_Key = tuple[str, ...]

#: Plans below which the proof of all of them is hardly ever one of several.
_WORTH_LOOKING_NEAR = 4
_STILL_FOUND = "the race is still found after it"
_AGAIN = "a second run would change the result again"

_WHOLE = ""
#: What gives something new a name, where two plans for one file might choose the same; and what takes the use of a name
#: away, where the last plan removes its import.
_NAMING = frozenset({"define-lock", "wrap-in-lock", "wrap-checked", "double-checked", "replace-lock"})
_FREEING = frozenset({"gather-in-sequence", "undecorate", "yield-session"})
_NAMES = "names"


def _function_at(tree: ast.Module, at: str) -> str:
    """The path of the outermost statement round a place that is no class: of the function or method that it is in."""
    path = StatementPath.parse(at)
    node: ast.AST = tree
    for number, step in enumerate(path.steps, 1):
        node = getattr(node, step.field)[step.index]
        if not isinstance(node, ast.ClassDef):
            return str(StatementPath(path.steps[:number]))
    return at


def _meet(some: set[str], others: set[str]) -> bool:
    """Whether two plans need the same of a file, or one of them all of it."""
    return any(
        _WHOLE in (one, other) or f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")
        for one in some
        for other in others
    )


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
    made: dict[tuple[str, bytes, str], bytes] = field(default_factory=dict)
    trees: dict[tuple[str, bytes], ast.Module] = field(default_factory=dict)
    taken: list[Plan] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.view = self.tree.view
        self.pending = dict.fromkeys(map(_key, self.wanted))
        self.apart: set[_Key] = set()
        # Whoever chooses sees one fix at a time, each on top of those that were taken.
        self.at_once = sys.maxsize if self.choose is None else 1

    def run(self) -> Rewritten:
        """Carry out what can be carried out, and tell of the rest."""
        return self.result() if self.carry_out() else Rewritten(tuple(self.rewrites), tuple(self.dropped))

    def result(self) -> Rewritten:
        """What became of the plans, those included that are no plans any more with the others carried out."""
        self._drop_overtaken()
        return Rewritten(tuple(self.rewrites), tuple(self.dropped))

    def carry_out(self) -> bool:
        """Try plans until each is taken, left or dropped; False when the user wants no more."""
        at_once = self.at_once
        batch: list[Plan] = []
        while batch := batch or self._next(at_once):
            drafts, batch = self._drafts(batch), []
            if not drafts:
                continue
            plans = [draft.plan for draft in drafts]
            view = self.tree.view_with(self._overlay_with(draft.rewrite for draft in drafts))
            objection = self.objection(plans, view)
            if objection and len(plans) > 1:
                left = self._without_faulty(plans, view)
                if left is None:
                    at_once = len(plans) // 2
                batch = left or []
                continue
            at_once = self.at_once
            if objection:
                self._drop(plans[0], objection)
            elif not self._take(drafts, view):
                return False
        return True

    def _next(self, at_once: int) -> list[Plan]:
        """The next plans to try together: those that were at fault before when no other is left."""
        plans = [plan for plan in self.view.plans if _key(plan) in self.pending]
        promising = [plan for plan in plans if _key(plan) not in self.apart]
        batch: list[Plan] = []
        touched: dict[str, set[str]] = {}
        for plan in promising or plans:
            spots = self._spots(plan)
            if len(batch) < at_once and not any(_meet(spots[path], touched.get(path, set())) for path in spots):
                batch.append(plan)
                for path, names in spots.items():
                    touched.setdefault(path, set()).update(names)
        return batch

    def _spots(self, plan: Plan) -> dict[str, set[str]]:
        """What of each file a plan needs for itself, for plans that are made without each other: functions, names.

        An import that several need is made once.
        """
        found: dict[str, set[str]] = {edit.path: set() for edit in plan.edits}
        for edit in plan.edits:
            at = str(edit.arguments.get("at", ""))
            if edit.codemod in _NAMING:
                found[edit.path].add(_NAMES)
            elif edit.codemod in _FREEING or (not at and edit.codemod != "import-name"):
                found[edit.path].add(_WHOLE)
            if at:
                found[edit.path].add(self._function_at(edit.path, at))
        return found

    def _function_at(self, path: str, at: str) -> str:
        try:
            source = self._before(path)
            if (path, source) not in self.trees:
                self.trees[path, source] = parse(source)
            return _function_at(self.trees[path, source], at)
        except (OSError, SyntaxError, ValueError, PlaceError, AttributeError, IndexError):
            return at.partition(".")[0]  # carrying the plan out will say what is wrong

    def _drafts(self, batch: Sequence[Plan]) -> list[_Draft]:
        """The plans carried out, each on top of the others; those that cannot be are dropped, or left for later."""
        drafts: list[_Draft] = []
        edits: dict[str, list[Edit]] = {}
        after: dict[str, bytes] = {}
        for plan in batch:
            together = {edit.path: list(edits.get(edit.path, ())) for edit in plan.edits}
            for edit in plan.edits:
                together[edit.path].append(edit)
            try:
                changes = self._changes(together, after)
            except (RewriteError, OSError) as error:
                if edits.keys().isdisjoint(together):
                    self._drop(plan, str(error))
                continue
            if changes:
                made = Rewrite(plan.title, plan.reason, plan.safety, plan.fingerprints, changes)
                drafts.append(_Draft(plan, made))
                edits |= together
                after |= {change.path: change.after for change in changes}
            elif edits.keys().isdisjoint(together):
                self._drop(plan, "its edits change nothing")
        return drafts

    def _changes(self, edits: Mapping[str, Sequence[Edit]], after: Mapping[str, bytes]) -> tuple[FileChange, ...]:
        """What the edits make of files that are in `after` changed already. Raises RewriteError or OSError."""
        changes = (self._change(path, of_file, after.get(path)) for path, of_file in edits.items())
        return tuple(change for change in changes if change.before != change.after)

    def _change(self, path: str, edits: Sequence[Edit], shown: bytes | None) -> FileChange:
        before = self._before(path)
        if any(edit.codemod == ADD_REQUIREMENT for edit in edits):
            return FileChange(path, before, required(path, before, edits))
        return FileChange(path, before if shown is None else shown, self._edited(path, before, edits))

    def _edited(self, path: str, before: bytes, edits: Sequence[Edit]) -> bytes:
        """A file with edits made and formatted; the same edits are made again for every lot that they are part of."""
        key = (path, before, repr(edits))
        if key not in self.made:
            after = apply_edits(before, edits, self.tree.codemods)
            check_compiles(before, after)
            self.made[key] = format_changed(self.tree.root / path, before, after)
        return self.made[key]

    def _before(self, path: str) -> bytes:
        """A file as it is after the rewrites so far. Raises OSError."""
        return self.overlay[path] if path in self.overlay else self.tree.read(path)

    def _overlay_with(self, rewrites: Iterable[Rewrite]) -> dict[str, bytes]:
        return self.overlay | {change.path: change.after for rewrite in rewrites for change in rewrite.changes}

    def objection(self, plans: Sequence[Plan], view: View) -> str:
        """Why the tree that `view` is of is no good result; empty when it is one."""
        if any(_is_left(plan, view) for plan in plans):
            return _STILL_FOUND
        if brought := self._brought(view):
            return _would_bring(brought[0])
        return _AGAIN if any(_is_made_again(plan, view) for plan in plans) else ""

    def _brought(self, view: View) -> list[Finding]:
        """The races of a changed tree that were not there before."""
        new = _races(view) - _races(self.view)
        return [finding for finding in view.findings if finding.fingerprint in new]

    def _without_faulty(self, plans: Sequence[Plan], view: View) -> list[Plan] | None:
        """The plans of a lot that failed that are to be tried again; None where nobody can tell whose fault it is."""
        faults = self._faults(plans, view)
        twice = [plan for plan in plans if faults.get(_key(plan)) and _key(plan) in self.apart]
        for plan in twice:
            self._drop(plan, faults[_key(plan)])
        if not twice and (len(faults) == len(plans) or self.apart.issuperset(faults)):
            return None
        self.apart |= faults.keys()
        return [plan for plan in plans if _key(plan) not in faults]

    def _faults(self, plans: Sequence[Plan], view: View) -> dict[_Key, str]:
        """The plans that seem to be at fault, and what they do; empty for one of several that may have done it.

        A race that is new may come from a plan for the same function, or else from one that edits its file.
        """
        faults = {_key(plan): _STILL_FOUND for plan in plans if _is_left(plan, view)}
        for finding in self._brought(view):
            near = [plan for plan in plans if any(edit.path == finding.place.path for edit in plan.edits)]
            here = [plan for plan in near if any(f.place.function == finding.place.function for f in self._ended(plan))]
            suspects = here or near
            for plan in suspects:
                faults.setdefault(_key(plan), _would_bring(finding) if len(suspects) == 1 else "")
        return {_key(plan): _AGAIN for plan in plans if _is_made_again(plan, view)} | faults

    def _take(self, drafts: Sequence[_Draft], view: View) -> bool:
        """Keep proven rewrites, or what the user makes of the one there is; False when the user wants no more."""
        taken = [draft.rewrite for draft in drafts]
        for draft in drafts:
            del self.pending[_key(draft.plan)]
            self.taken.append(draft.plan)
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


def _is_left(plan: Plan, view: View) -> bool:
    return any(finding.fingerprint in plan.fingerprints for finding in view.findings)


def _is_made_again(plan: Plan, view: View) -> bool:
    return any(_key(other) == _key(plan) for other in view.plans)


def _would_bring(finding: Finding) -> str:
    return f"it would bring {finding.rule} {finding.name} in {finding.place.function or finding.place.path}"


def _races(view: View) -> Counter[str]:
    return Counter(finding.fingerprint for finding in view.findings if finding.certainty is Certainty.RACE)
