"""The Python interface: what the command line does, as functions that return data."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from autolock.findings import FileChange, Finding, Fix, Report, Rewrite, Safety, Statistics
from autolock.survey import Survey, baseline_file
from autolock.workspace import Workspace, journal_of, open_workspace

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Unpack

    from autolock.findings import Problem
    from autolock.listing.openapi import Listing
    from autolock.listing.routes import Route
    from autolock.options import Options
    from autolock.rewrite import Choose, Dropped, Rewritten
    from autolock.survey import Shown

Paths = Sequence[str | os.PathLike[str]]


def check(paths: Paths = (".",), *, write_baseline: bool = False, **options: Unpack[Options]) -> Report:
    """Find races in repositories, folders and files; `-` is one file on standard input.

    With `write_baseline`, record what is found in the baseline file instead of comparing with it.
    Raises AutolockError when the configuration or an option is wrong.
    """
    run = _Run(paths, options, new_baseline=write_baseline)
    if write_baseline:
        from autolock.baseline import write_baseline as record

        record(baseline_file(run.configured), run.shown.findings)
    return run.report()


def fix(
    paths: Paths = (".",),
    *,
    apply: bool = False,
    allow_dirty: bool = False,
    choose: Choose | None = None,
    **options: Unpack[Options],
) -> Report:
    """Find races and rewrite the code; the report's `rewrites` are the proven fixes.

    Nothing is written without `apply`; with it, all files are or none, and `undo` puts them back.
    `choose` is asked about each fix: it returns it, or leaves it out by returning None, or raises
    `autolock.rewrite.Quit`. Raises AutolockError when the configuration or an option is wrong, or
    the files cannot be written: `allow_dirty` lets files with uncommitted changes be written too.
    """
    run = _Run(paths, options, mending=True)
    rewritten = run.rewrite(choose)
    if apply:
        _write(run.workspace, rewritten.rewrites, allow_dirty=allow_dirty)
    return run.report(rewritten)


def routes(
    paths: Paths = (".",), *, openapi: str | os.PathLike[str] | None = None, **options: Unpack[Options]
) -> Listing:
    """List the routes of an application with the state and tables that they read and write, and what is found there.

    `openapi` is a file with the application's OpenAPI document, whose operations the routes are joined with. Raises
    AutolockError when the configuration, an option or that file is wrong.
    """
    from autolock.listing.openapi import Document, Listing

    document = Document.read(openapi) if openapi is not None else None
    run = _Run(paths, options)
    return Listing.of(run.routes(), run.report(), document)


def undo(path: str | os.PathLike[str] = ".") -> tuple[str, ...]:
    """Put the files of the last applied run in the project of `path` back, and return them.

    The paths are relative to the project. Raises AutolockError, with nothing changed, when there is
    no such run or a file of it has changed since.
    """
    from autolock.deliver.undo import undo_last

    project, cache_dir = journal_of(path)
    return tuple(undo_last(project, cache_dir))


def combined(report: Report) -> tuple[FileChange, ...]:
    """All rewrites of a report as one change a file."""
    from autolock.deliver.patch import combine

    return combine(report.rewrites)


def remaining(report: Report) -> tuple[Finding, ...]:
    """The findings of a report that none of its rewrites ends."""
    ended = {fingerprint for rewrite in report.rewrites for fingerprint in rewrite.fingerprints}
    return tuple(finding for finding in report.findings if finding.fingerprint not in ended)


def standalone(report: Report) -> Report:
    """The report with rewrites that each apply to the files on disk, for those who take one and leave the others.

    A rewrite then brings along the earlier ones that it builds on: those of its own files, and of theirs.
    """
    from autolock.deliver.patch import combine

    return replace(
        report,
        rewrites=tuple(
            replace(rewrite, changes=combine(_built_on(rewrite, report.rewrites[:number])))
            for number, rewrite in enumerate(report.rewrites)
        ),
    )


def _built_on(rewrite: Rewrite, earlier: Sequence[Rewrite]) -> list[Rewrite]:
    needed = [rewrite]
    files = {change.path for change in rewrite.changes}
    for one in reversed(earlier):
        if files.intersection(change.path for change in one.changes):
            needed.append(one)
            files.update(change.path for change in one.changes)
    return needed[::-1]


class _Run:
    """One check of a workspace; `configured` are the settings before `new_baseline` puts the baseline aside."""

    def __init__(self, paths: Paths, options: Options, *, new_baseline: bool = False, mending: bool = False) -> None:
        self._started = time.perf_counter()
        self._progress = options.get("progress") or (lambda stage, done, total: None)
        self._verbose = options.get("verbose", False)
        workspace = open_workspace(paths, options)
        self.configured = workspace.settings
        if new_baseline:
            workspace = replace(workspace, settings=replace(workspace.settings, baseline=None))
        self.workspace: Workspace = workspace
        self._survey = Survey(workspace, _facts_dir(workspace, options), self._progress, mending=mending)
        self.shown: Shown = self._survey.shown()

    def routes(self) -> list[Route]:
        """The routes, with the findings that are shown."""
        self._progress("listing", 0, 0)
        return self._survey.routes_with(self.shown.findings)

    def rewrite(self, choose: Choose | None) -> Rewritten:
        """The plans of the findings that are shown, carried out."""
        from autolock import registry
        from autolock.rewrite import Tree, rewrite

        self._progress("rewriting", 0, 0)
        survey, workspace = self._survey, self.workspace
        view = survey.view()
        tree = Tree(workspace.root, survey.loaded.read, view, survey.view_with, registry.codemods(), survey.near)
        shown = {finding.fingerprint for finding in self.shown.findings}
        offered = (Safety.SAFE, Safety.UNSAFE) if workspace.settings.unsafe else (Safety.SAFE,)
        wanted = [plan for plan in view.plans if plan.safety in offered and shown.intersection(plan.fingerprints)]
        return rewrite(tree, wanted, choose)

    def report(self, rewritten: Rewritten | None = None) -> Report:
        """Everything that the run found out."""
        survey, shown, counts = self._survey, self.shown, self._survey.loaded.counts
        dropped = rewritten.dropped if rewritten else ()
        return Report(
            root=str(self.workspace.root),
            findings=_without_fixes(shown.findings, dropped),
            errors=(*self.workspace.errors, *survey.loaded.problems, *survey.failures),
            notes=(*self.workspace.notes, *shown.notes, *(drop.problem for drop in dropped), *self._stopped()),
            rewrites=rewritten.rewrites if rewritten else (),
            statistics=Statistics(
                files=counts.files,
                lines=counts.lines,
                parsed=counts.parsed,
                cached=counts.cached,
                functions=counts.functions,
                routes=survey.routes,
                suppressed=shown.suppressed,
                baselined=shown.baselined,
                seconds=time.perf_counter() - self._started,
            ),
            texts=survey.texts(shown.findings),
        )

    def _stopped(self) -> tuple[Problem, ...]:
        return self._survey.stopped if self._verbose else ()


def _facts_dir(workspace: Workspace, options: Options) -> Path | None:
    if not options.get("cache", True) or workspace.overlay or not workspace.files:
        return None
    from autolock.deliver.cachedir import cache_dir_or_none

    return cache_dir_or_none(workspace.cache_dir)


def _without_fixes(findings: tuple[Finding, ...], dropped: Sequence[Dropped]) -> tuple[Finding, ...]:
    """The findings, those whose rewrite failed its proof with what is left to say of it."""
    reasons = {fingerprint: drop.reason for drop in dropped for fingerprint in drop.fingerprints}
    return tuple(_without_fix(finding, reasons.get(finding.fingerprint)) for finding in findings)


def _without_fix(finding: Finding, reason: str | None) -> Finding:
    if reason is None:
        return finding
    return finding.with_fix(Fix(Safety.NONE, finding.fix.title, f"the rewrite was dropped: {reason}"))


def _write(workspace: Workspace, rewrites: Sequence[Rewrite], *, allow_dirty: bool) -> None:
    if workspace.overlay or not rewrites:
        return  # the caller prints what was read from standard input
    from autolock.deliver.apply import apply_changes
    from autolock.deliver.patch import combine

    changes = [
        FileChange(workspace.in_project(change.path), change.before, change.after) for change in combine(rewrites)
    ]
    apply_changes(workspace.project, changes, workspace.cache_dir, allow_dirty=allow_dirty)
