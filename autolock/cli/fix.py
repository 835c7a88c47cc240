"""`autolock fix`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autolock.cli import options as o
from autolock.cli import proving as p
from autolock.cli.check import could_run
from autolock.cli.console import complain, emit, on_terminal, render, say, use_color
from autolock.cli.progress import progress_bar
from autolock.errors import AutolockError
from autolock.findings import Finding, Report, Safety

if TYPE_CHECKING:
    from autolock.options import Options
    from autolock.prove.fixes import ProvenFixes
    from autolock.prove.prover import Prover
    from autolock.rewrite import Choose

DIFFERENT = 1
REMAINING = 1

Apply = Annotated[bool, typer.Option("--apply", help="Write the files; autolock undo puts them back.")]
Interactive = Annotated[bool, typer.Option("--interactive", "-i", help="Ask about each fix, and write those taken.")]
AllowDirty = Annotated[bool, typer.Option("--allow-dirty", help="Also write files with uncommitted changes.")]
DiffContext = Annotated[int, typer.Option("--diff-context", "-U", min=0, metavar="N", help="Unchanged lines shown.")]
Prove = Annotated[
    bool, typer.Option("--prove", help="Run the application, and leave out fixes after which the race is still there.")
]


def fix(
    paths: o.Paths = None,
    apply: Apply = False,
    interactive: Interactive = False,
    allow_dirty: AllowDirty = False,
    select: o.Select = None,
    ignore: o.Ignore = None,
    certainty: o.CertaintyOption = None,
    severity: o.SeverityOption = None,
    lock_backend: o.LockBackendOption = None,
    unsafe: o.Unsafe = None,
    format: o.Format = "text",
    output: o.Output = None,
    diff_context: DiffContext = 3,
    baseline: o.Baseline = None,
    jobs: o.Jobs = None,
    cache: o.Cache = True,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
    prove: Prove = False,
    app: p.App = "",
    python: p.Python = "",
    scenario: p.ScenarioFile = None,
    preemptions: p.Preemptions = 2,
    budget: p.Budget = 60.0,
    instances: p.Instances = None,
) -> int:
    """Rewrite races: a diff, or the files themselves with --apply.

    With --prove the application is run, in a copy of the tree, and each fix carries what was seen before and after it.
    Exit code 0: nothing to do, 1: there is a diff, 2: could not run; with --apply 0, or 1 when findings remain.
    """
    from autolock import api, registry

    registry.reporter(format)  # a wrong name fails before a long run, not after it
    named = paths or ["."]
    if prove and (interactive or "-" in named):
        raise AutolockError("--prove runs a whole application", "name its folder, without --interactive")
    source = sys.stdin.buffer.read() if "-" in named and not interactive else None
    applied = apply or interactive
    with progress_bar(wanted=not quiet and not interactive) as progress:
        chosen = o.run_options(
            select=select,
            ignore=ignore,
            certainty=certainty,
            severity=severity,
            unsafe=unsafe,
            lock_backend=lock_backend,
            jobs=jobs,
            cache=cache,
            baseline=baseline,
            verbose=verbose,
            progress=progress,
        )
        chosen["source"] = source
        report = api.fix(
            named,
            apply=applied and not prove,
            allow_dirty=allow_dirty,
            choose=_chooser(named, diff_context) if interactive else None,
            **chosen,
        )
    if prove:
        from autolock.prove.proof import Bounds

        chosen["progress"] = None
        prover = p.prover_of(
            report,
            app=app,
            python=python,
            scenario=scenario,
            bounds=Bounds(preemptions=preemptions, seconds=budget, instances=p.instances_of(report, instances)),
            quiet=quiet or format != "text",
        )
        with p.unwound(), prover:
            proven = _proven(prover, report, named, chosen)
        if applied or proven.withheld:
            report = api.fix(named, apply=applied, allow_dirty=allow_dirty, choose=proven.choose, **chosen)
        report = proven.told(report)
    complain(report.errors if quiet else (*report.errors, *report.notes))
    if format != "text":
        emit(render(api.standalone(report), format, output, quiet=quiet, verbose=verbose), output)
    elif not applied:
        emit(_diff(report, diff_context, output, explained=prove), output)
    elif source is not None:
        emit(_rewritten(report, source), output)
    elif not quiet:
        emit(_deeds(report, explained=prove), output)
    if not quiet:
        _summarise(report, applied=applied)
    if applied:
        return REMAINING if api.remaining(report) else could_run(report)
    return DIFFERENT if report.rewrites else could_run(report)


def _chooser(named: list[str], context: int) -> "Choose":
    if "-" in named:
        raise AutolockError("--interactive reads the answers from standard input", "name a file instead of -")
    # Imported late, as all that only fixes need: libcst takes longer than a check of a small project.
    from autolock.cli.interactive import Chooser

    return Chooser(context)


def _proven(prover: "Prover", report: Report, named: list[str], chosen: "Options") -> "ProvenFixes":
    from autolock.api import fix
    from autolock.prove.fixes import prove_fixes

    return prove_fixes(prover, report, lambda choose: fix(named, choose=choose, **chosen))


def _diff(report: Report, context: int, output: Path | None, *, explained: bool) -> bytes:
    """On a terminal each fix under its reason, else one patch for `git apply`, which reads over reasons above it."""
    from autolock.api import combined
    from autolock.cli.diffs import colored, headed
    from autolock.deliver.patch import unified_diff
    from autolock.report.lines import one_line

    if output is None and on_terminal():
        return "".join(headed(rewrite, context, color=use_color()) for rewrite in report.rewrites).encode()
    patch = unified_diff(combined(report), context)
    if explained:
        reasons = (f"# {one_line(rewrite.title)}\n#   {one_line(rewrite.reason)}\n" for rewrite in report.rewrites)
        patch = "".join(reasons).encode() + patch
    return colored(patch).encode() if output is None and use_color() else patch


def _rewritten(report: Report, source: bytes) -> bytes:
    """What was read from standard input, with its fixes."""
    from autolock.api import combined

    return next((change.after for change in combined(report)), source)


def _deeds(report: Report, *, explained: bool) -> str:
    """What was written: a line a fix, and its reason where that is asked for."""
    return "".join(
        f"fixed {', '.join(_rules(report, rewrite.fingerprints))} in "
        f"{', '.join(change.path for change in rewrite.changes)}: {rewrite.title}\n"
        + (f"  {rewrite.reason}\n" if explained else "")
        for rewrite in report.rewrites
    )


def _rules(report: Report, fingerprints: tuple[str, ...]) -> list[str]:
    ended = [finding for finding in report.findings if finding.fingerprint in fingerprints]
    return list(dict.fromkeys(f"{finding.rule} {finding.name}" for finding in ended))


def _summarise(report: Report, *, applied: bool) -> None:
    from autolock.api import combined, remaining
    from autolock.report.text import count

    left = remaining(report)
    for finding in left:
        place = finding.place
        say(f"{place.path}:{place.line}: {finding.rule} {finding.name} not fixed: {_why_not(finding)}")
    fixed = f"{count(len(report.rewrites), 'fix').replace('fixs', 'fixes')} in {count(len(combined(report)), 'file')}"
    if report.rewrites:
        hint = "autolock undo puts them back" if applied else "autolock fix --apply writes them"
        say(f"{fixed}, {count(len(left), 'finding')} left; {hint}")
    elif left:
        say(f"nothing to fix, {count(len(left), 'finding')} left")
    else:
        say("no races found" if not report.findings else "nothing to fix")


def _why_not(finding: Finding) -> str:
    reason = " ".join((finding.fix.reason or finding.fix.title or "there is no automatic fix").split())
    if finding.fix.safety is Safety.UNSAFE:
        return f"unsafe, pass --unsafe to have it: {reason}"
    return reason
