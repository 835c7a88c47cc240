"""`autolock prove`."""

import json
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from autolock.cli import options as o
from autolock.cli.console import complain, draws_lines, emit, on_terminal, say, use_color
from autolock.cli.progress import progress_bar
from autolock.errors import AutolockError

WITNESSED = 1

App = Annotated[str, typer.Option("--app", metavar="MODULE:NAME", help="The application, where it is not found.")]
Python = Annotated[
    str, typer.Option("--python", metavar="FILE", help="The interpreter with the application's packages.")
]
Which = Annotated[str, typer.Option("--finding", metavar="FINGERPRINT", help="Only this finding; a beginning will do.")]
Route = Annotated[
    str, typer.Option("--route", metavar="'POST /path'", help="The findings of this route, or the route itself.")
]
ScenarioFile = Annotated[
    Path | None, typer.Option("--scenario", metavar="FILE", help="How to drive the application, in TOML.")
]
Against = Annotated[str, typer.Option("--against", metavar="SIDE", help="before, after the fixes, or both.")]
Preemptions = Annotated[int, typer.Option("--preemptions", min=0, metavar="N", help="Most preemptions a schedule.")]
Budget = Annotated[float, typer.Option("--budget", min=0.1, metavar="SECONDS", help="Most time for a set of requests.")]
WriteTests = Annotated[
    Path | None, typer.Option("--write-tests", metavar="DIR", help="Write a pytest file for each witnessed race.")
]


def prove(
    path: Annotated[str, typer.Argument(metavar="PATH", help="The repository or folder.")] = ".",
    app: App = "",
    python: Python = "",
    finding: Which = "",
    route: Route = "",
    scenario: ScenarioFile = None,
    against: Against = "both",
    preemptions: Preemptions = 2,
    budget: Budget = 60.0,
    write_tests: WriteTests = None,
    select: o.Select = None,
    ignore: o.Ignore = None,
    unsafe: o.Unsafe = None,
    format: Annotated[str, typer.Option("--format", metavar="FORMAT", help="text or json.")] = "text",
    output: o.Output = None,
    quiet: o.Quiet = False,
) -> int:
    """Run the application, replay the races that were found, and show that the fixes end them.

    Executes the application's code, in a copy of the tree. Exit code 0: every fix that was driven holds,
    1: a race is still there after its fix, 2: could not run.
    """
    from autolock import api
    from autolock.prove.proof import Bounds, Subject
    from autolock.prove.prover import Prover
    from autolock.prove.scenario import Scenario

    if against not in {"before", "after", "both"}:
        raise AutolockError(f"--against {against}: it is before, after or both")
    if format not in {"text", "json"}:
        raise AutolockError(f"--format {format}: prove writes text or json")
    with progress_bar(wanted=not quiet) as progress:
        chosen = o.run_options(
            select=select,
            ignore=ignore,
            certainty=None,
            severity=None,
            unsafe=unsafe,
            jobs=None,
            cache=True,
            baseline=None,
            verbose=False,
            progress=progress,
        )
        report = api.fix([path], **chosen)
    complain(report.errors)
    wanted = [
        Subject.of(one, report.findings)
        for one in report.findings
        if one.fingerprint.startswith(finding) and (not route or route in one.routes)
    ]
    if not wanted and finding:
        raise AutolockError(f"no finding {finding}; `autolock check --format json` gives their fingerprints")
    if not wanted and route:
        wanted = [Subject((route,))]
    root = Path(report.root)
    prover = Prover(
        root,
        api.combined(report),
        app=app,
        python=python or sys.executable,
        scenario=Scenario.read(scenario) if scenario else Scenario(),
        bounds=Bounds(preemptions=preemptions, seconds=budget),
        progress=lambda text: print(text, file=sys.stderr) if sys.stderr.isatty() and not quiet else None,
    )
    if not quiet and format == "text":
        print(f"runs the application in a copy of {root}", file=sys.stderr)
    proofs = prover.prove(wanted, before=against != "after", after=against != "before")
    if format == "json":
        from autolock.prove.telling import document

        emit(json.dumps({"version": 1, "proofs": [document(proof) for proof in proofs]}, indent=2) + "\n", output)
    else:
        from autolock.report.proofs import render_proofs

        width = shutil.get_terminal_size().columns if on_terminal() and output is None else 100
        color = output is None and use_color()
        emit(render_proofs(proofs, root, width=width, color=color, unicode=draws_lines(), quiet=quiet), output)
    if write_tests is not None:
        from autolock.prove.generated import GeneratedTests

        for written in GeneratedTests(write_tests, root, prover.application, prover.scenario).write(proofs):
            if not quiet:
                say(f"wrote {written}")
    return WITNESSED if any(proof.fix_fails for proof in proofs) else 0
