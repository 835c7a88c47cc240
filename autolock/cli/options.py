"""The options that commands share, each declared once, and what they come to."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from autolock.cli.progress import ProgressBar
from autolock.deployment.backend import LockBackend
from autolock.findings import Certainty, Severity
from autolock.options import Options

Paths = Annotated[
    list[str] | None,
    typer.Argument(metavar="PATH", help="Repositories, folders, files; - is standard input.", show_default=False),
]
Select = Annotated[
    list[str] | None,
    typer.Option("--select", metavar="RULE,...", help="Only these rules: ids, names or families.", show_default=False),
]
Ignore = Annotated[
    list[str] | None, typer.Option("--ignore", metavar="RULE,...", help="Not these rules.", show_default=False)
]
CertaintyOption = Annotated[
    Certainty | None,
    typer.Option("--certainty", help="The lowest to show: race leaves out what is atomic today.", show_default=False),
]
SeverityOption = Annotated[Severity | None, typer.Option("--severity", help="The lowest to show.", show_default=False)]
Unsafe = Annotated[
    bool | None,
    typer.Option("--unsafe/--no-unsafe", help="Also fixes that a reviewer must agree to.", show_default=False),
]
LockBackendOption = Annotated[
    LockBackend | None,
    typer.Option(
        "--lock-backend",
        help="postgres: take advisory locks where the rows of a check cannot be locked.",
        show_default=False,
    ),
]
Format = Annotated[
    str, typer.Option("--format", metavar="FORMAT", help="text, json, sarif, github, markdown or a plugin's.")
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write there, not to standard output.")
]
Jobs = Annotated[
    int | None, typer.Option("--jobs", "-j", min=1, metavar="N", help="Processes, by default one a processor.")
]
Cache = Annotated[bool, typer.Option("--cache/--no-cache", help="Use and keep the facts of unchanged files.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="One line a finding, and no summary.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Also say where the analysis stopped, and why.")]
Baseline = Annotated[
    Path | None, typer.Option("--baseline", metavar="FILE", help="Leave out the findings recorded there.")
]


def run_options(
    *,
    select: Sequence[str] | None,
    ignore: Sequence[str] | None,
    certainty: Certainty | None,
    severity: Severity | None,
    unsafe: bool | None,
    lock_backend: LockBackend | None = None,
    jobs: int | None,
    cache: bool,
    baseline: Path | None,
    verbose: bool,
    progress: ProgressBar,
) -> Options:
    """The options of a run as `autolock.check` and `autolock.fix` take them."""
    return Options(
        select=rules(select),
        ignore=rules(ignore),
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


def rules(lists: Sequence[str] | None) -> list[str] | None:
    """The rules of `--select A,B --select C`; None where the option was not given."""
    if not lists:
        return None
    return [rule.strip() for rules in lists for rule in rules.split(",") if rule.strip()]
