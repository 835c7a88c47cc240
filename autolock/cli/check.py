"""`autolock check`."""

from typing import Annotated

import typer

from autolock.cli import options as o
from autolock.cli.console import complain, emit, render, say
from autolock.cli.progress import progress_bar
from autolock.findings import Report
from autolock.report.text import count

NOTHING_FOUND, FOUND, COULD_NOT_RUN = 0, 1, 2

WriteBaseline = Annotated[
    bool, typer.Option("--write-baseline", help="Record today's findings in the baseline file, and succeed.")
]


def check(
    paths: o.Paths = None,
    select: o.Select = None,
    ignore: o.Ignore = None,
    certainty: o.CertaintyOption = None,
    severity: o.SeverityOption = None,
    lock_backend: o.LockBackendOption = None,
    format: o.Format = "text",
    output: o.Output = None,
    baseline: o.Baseline = None,
    write_baseline: WriteBaseline = False,
    jobs: o.Jobs = None,
    cache: o.Cache = True,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> int:
    """Find races. Exit code 0: none, 1: some, 2: could not run."""
    from autolock import api, registry

    registry.reporter(format)  # a wrong name fails before a long run, not after it
    with progress_bar(wanted=not quiet) as progress:
        chosen = o.run_options(
            select=select,
            ignore=ignore,
            certainty=certainty,
            severity=severity,
            unsafe=None,
            lock_backend=lock_backend,
            jobs=jobs,
            cache=cache,
            baseline=baseline,
            verbose=verbose,
            progress=progress,
        )
        report = api.check(paths or ["."], write_baseline=write_baseline, **chosen)
    complain(report.errors)
    if write_baseline:
        say(f"autolock: recorded {count(len(report.findings), 'finding')} in the baseline")
        return could_run(report)
    if format == "text" and not quiet and not verbose:
        complain(report.notes)
    code = FOUND if report.findings else could_run(report)
    if code != COULD_NOT_RUN or format != "text":
        emit(render(report, format, output, quiet=quiet, verbose=verbose), output)
    return code


def could_run(report: Report) -> int:
    """The exit code of a run without findings: it fails where something is wrong and no file was analysed."""
    if report.statistics.files == 0 and not report.errors:
        say(f"autolock: {report.root}: no Python files here")
    return COULD_NOT_RUN if report.errors and report.statistics.files == 0 else NOTHING_FOUND
