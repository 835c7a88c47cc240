"""What the analysis says of a tree of files, and which part of it the user wants to hear."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autolock import registry
from autolock.config import Settings, selected
from autolock.database.project import DatabaseFacts, ProjectDatabases
from autolock.errors import AutolockError
from autolock.findings import Certainty, Finding, Problem
from autolock.outcomes import Mending, Outcome, Outcomes, Part, look_into, without_collection
from autolock.program.giving_up import INTERNAL
from autolock.program.load import Loaded, load, processors
from autolock.source import decode
from autolock.suppress import apply_suppressions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from autolock.listing.routes import Route
    from autolock.options import Progress
    from autolock.plan import Plan
    from autolock.program.linker import Ref
    from autolock.program.parts import Answers, Divided
    from autolock.program.trace import Nearby, Reach
    from autolock.rewrite import View, ViewWith
    from autolock.workspace import Workspace

#: The share of a program's statements above which following only some entry points saves too little.
_MOST = 0.3


@dataclass(frozen=True, slots=True)
class Shown:
    """The findings that the user asked for, in order, and what became of the others."""

    findings: tuple[Finding, ...]
    suppressed: int
    baselined: int
    notes: tuple[Problem, ...]


class Survey:
    """One analysis of a workspace.

    `findings` are all there are, of every rule: which rule a window belongs to and which plan mends
    it must not depend on what the user wants to see.
    """

    def __init__(
        self, workspace: Workspace, facts_dir: Path | None, progress: Progress, *, mending: bool = False
    ) -> None:
        self._workspace = workspace
        settings = workspace.settings
        with without_collection():
            self.loaded: Loaded = load(
                workspace.root,
                workspace.files,
                jobs=settings.jobs,
                cache_dir=facts_dir,
                cache_root=workspace.project,
                overlay=workspace.overlay,
                progress=lambda done, total: progress("reading", done, total),
            )
            progress("analysing", 0, 0)
            records = self.loaded.records
            self._lock_names = frozenset(settings.lock_names)
            self._divided = self.loaded.divided()
            self._databases = ProjectDatabases(
                self._divided.imports,
                self._divided.tables,
                self._divided.processes,
                workspace.root,
                settings.llm,
                settings.lock_backend,
            )
            outcomes = Outcomes(
                self._divided,
                {path: record.digest for path, record in records.items()},
                {path: record.lines for path, record in records.items()},
                self._lock_names,
                self._databases,
                folder=facts_dir,
                prefix=os.path.relpath(workspace.root, workspace.project),
                mending=mending,
            )
            self._outcomes = outcomes.all(settings.jobs or processors())
        self.findings = tuple(finding for outcome in self._outcomes.values() for finding in outcome.findings)
        self._viewed = {
            part: _Viewed.of(part, outcome, outcomes.mending.get(part, Mending((), {})), self._divided.names.makers)
            for part, outcome in self._outcomes.items()
            if part in outcomes.mending or not outcome.findings
        }

    @property
    def routes(self) -> int:
        """How many routes the application has."""
        return len({route for outcome in self._outcomes.values() for route in outcome.routes})

    @property
    def stopped(self) -> tuple[Problem, ...]:
        """Where the analysis gave up, and why."""
        return tuple(
            Problem(label, f"not followed: {why}") for label, why in self._stops if not why.startswith(INTERNAL)
        )

    @property
    def failures(self) -> tuple[Problem, ...]:
        """Where autolock itself failed; all else was analysed."""
        failed = [(label, why) for label, why in self._stops if why.startswith(INTERNAL)]
        return tuple(Problem(label, f"not followed: {why}", "please report it") for label, why in failed)

    @property
    def _stops(self) -> list[tuple[str, str]]:
        return sorted(stop for outcome in self._outcomes.values() for stop in outcome.stopped)

    def view(self) -> View:
        """The findings and the plans that mend them."""
        return self._view_of(self._divided, frozenset())

    def view_with(self, overlay: Mapping[str, bytes]) -> View:
        """The same for the tree that it would be if the files of `overlay` had those contents."""
        code = {path: content for path, content in overlay.items() if path in self.loaded.records}
        return self._view_of(self.loaded.divided_with(code), code.keys())

    def near(self, functions: AbstractSet[Ref]) -> ViewWith | None:
        """`view_with` that goes only by the entry points that lead to some functions; None where that is most of it.

        What it says holds of those entry points among themselves, so it can be compared with what it says of the
        unchanged tree and with nothing else.
        """
        # Imported late, as only fixes need it.
        from autolock.program.trace import Nearby

        files = {function.path for function in functions}
        reach = [one for viewed in self._viewed.values() if not viewed.files.isdisjoint(files) for one in viewed.reach]
        near = [one for one in reach if any(_is_in(reached, functions) for reached in one[1].functions)]
        if _statements(near) > _statements(reach) * _MOST:
            return None
        nearby = Nearby(
            frozenset(label for label, _ in near), frozenset().union(*(reached.functions for _, reached in reach))
        )

        def view_with(overlay: Mapping[str, bytes]) -> View:
            code = {path: content for path, content in overlay.items() if path in self.loaded.records}
            return self._view_of(self.loaded.divided_with(code), files | code.keys(), nearby)

        return view_with

    def _view_of(self, divided: Divided, changed: AbstractSet[str], nearby: Nearby | None = None) -> View:
        """What all parts together say; what the unchanged tree was asked before is not asked again."""
        # Imported late, as only fixes need it.
        from autolock.rewrite import View

        findings: list[Finding] = []
        plans: list[Plan] = []
        with without_collection():
            for part in divided.parts:
                if divided.is_inert(part):
                    continue
                viewed = self._viewed.get(part)
                if viewed is None or not viewed.holds(divided, changed):
                    only = None if changed.isdisjoint(part) else nearby
                    viewed = _viewed(divided, part, self._lock_names, self._databases.facts, only)
                    if changed.isdisjoint(viewed.files):
                        self._viewed[part] = viewed
                findings += viewed.findings
                plans += viewed.plans
        return View(tuple(findings), tuple(plans))

    def routes_with(self, findings: Sequence[Finding]) -> list[Route]:
        """The routes of all applications, with what they work on and the findings that are about them."""
        # Imported late, as only one command needs it.
        from autolock.listing.routes import RouteLister

        routes: list[Route] = []
        with without_collection():
            for part in self._divided.parts:
                if self._divided.is_inert(part):
                    continue
                looked = look_into(
                    self._divided, part, self._lock_names, self._databases.facts, keep=False, mending=True
                )
                routes += RouteLister(looked.analysis, findings).routes()
        return sorted(routes, key=lambda route: (route.path, route.method, route.handler))

    def shown(self) -> Shown:
        """The findings that comments, options, configuration and baseline leave, the worst first."""
        settings = self._workspace.settings
        silenced = apply_suppressions(self.findings, self._marked_texts(), registry.rule_names(), self._runs)
        wanted = [finding for finding in silenced.kept if self._is_wanted(finding)]
        wanted.sort(key=_order)
        if settings.baseline is None:
            return Shown(tuple(wanted), silenced.silenced, 0, silenced.notes)
        return _without_known(wanted, settings.baseline, silenced.silenced, silenced.notes, self._workspace.files)

    def texts(self, findings: Sequence[Finding]) -> dict[str, str]:
        """The decoded text of the files that findings point into."""
        paths = sorted({finding.place.path for finding in findings})
        return {path: text for path in paths if (text := self._text(path)) is not None}

    def _marked_texts(self) -> dict[str, str]:
        return {path: text for path in self.loaded.marked if (text := self._text(path)) is not None}

    def _text(self, path: str) -> str | None:
        try:
            source = decode(self.loaded.read(path), path)
        except OSError:  # it was there a moment ago
            return None
        return None if isinstance(source, Problem) else source.text

    def _is_wanted(self, finding: Finding) -> bool:
        settings = self._workspace.settings
        return (
            self._runs(finding.rule, finding.place.path)
            and (finding.certainty is Certainty.RACE or settings.certainty is Certainty.LATENT)
            and finding.severity.rank <= settings.severity.rank
        )

    def _runs(self, rule: str, path: str) -> bool:
        return selected(rule, self._workspace.root / path, self._workspace.settings)


def baseline_file(settings: Settings) -> Path:
    """The file that a baseline is recorded in."""
    if settings.baseline is None:
        raise AutolockError("there is no file to record the baseline in", "name one with --baseline FILE")
    return settings.baseline


def _without_known(
    findings: Sequence[Finding], baseline: Path, suppressed: int, notes: tuple[Problem, ...], files: Sequence[str]
) -> Shown:
    """What a baseline leaves; its entries for these files that are gone are worth a note."""
    from autolock.baseline import read_baseline, split

    left = split(findings, read_baseline(baseline))
    checked = set(files)
    gone = tuple(
        Problem(
            entry.path,
            f"{entry.rule} in {entry.function or 'the module'} is gone, but in {baseline.name}",
            "record the baseline anew",
        )
        for entry in left.gone
        if entry.path in checked
    )
    return Shown(left.new, suppressed, left.known, notes + gone)


@dataclass(frozen=True, slots=True)
class _Viewed:
    """What one part says, with the files and the names of the project that it depends on."""

    findings: tuple[Finding, ...]
    plans: tuple[Plan, ...]
    files: frozenset[str]
    answers: Answers
    makers: frozenset[str]
    reach: tuple[tuple[str, Reach], ...]

    @staticmethod
    def of(part: Part, outcome: Outcome, mending: Mending, makers: frozenset[str]) -> _Viewed:
        """What the outcome of a part says, with the plans that mend its findings."""
        files = frozenset((*part, *(path for path, _ in outcome.strays)))
        reach = tuple(mending.reach.items())
        return _Viewed(outcome.findings, mending.plans, files, outcome.answers, makers, reach)

    def holds(self, divided: Divided, changed: AbstractSet[str]) -> bool:
        return (
            self.files.isdisjoint(changed) and self.makers == divided.names.makers and divided.names.holds(self.answers)
        )


def _viewed(
    divided: Divided, part: Part, lock_names: frozenset[str], databases: DatabaseFacts, nearby: Nearby | None
) -> _Viewed:
    looked = look_into(divided, part, lock_names, databases, keep=True, mending=True, nearby=nearby)
    files, reach = looked.strays.union(part), tuple(looked.reach.items())
    return _Viewed(looked.findings, looked.plans, files, looked.answers, divided.names.makers, reach)


def _is_in(reached: Ref, functions: AbstractSet[Ref]) -> bool:
    """Whether a function is one of some, or is defined in one of them."""
    names = reached.name.split(".")
    return any(reached._replace(name=".".join(names[: end + 1])) in functions for end in range(len(names)))


def _statements(entries: Sequence[tuple[str, Reach]]) -> int:
    return sum(reach.statements for _, reach in entries)


def _order(finding: Finding) -> tuple[int, str, int, int, str]:
    place = finding.place
    return finding.severity.rank, place.path, place.line, place.column, finding.rule
