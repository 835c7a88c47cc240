"""`autolock prove`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autolock.cli import options as o
from autolock.cli.console import complain, drawn_for, emit, say
from autolock.cli.progress import progress_bar
from autolock.errors import AutolockError

if TYPE_CHECKING:
    from autolock.findings import Report
    from autolock.prove.proof import Proof

WITNESSED = 1
_FORMATS = ("text", "json", "markdown", "sarif")

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
WriteNuclei = Annotated[
    Path | None, typer.Option("--write-nuclei", metavar="DIR", help="Write a Nuclei template for each witnessed race.")
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
    write_nuclei: WriteNuclei = None,
    select: o.Select = None,
    ignore: o.Ignore = None,
    unsafe: o.Unsafe = None,
    format: Annotated[str, typer.Option("--format", metavar="FORMAT", help="text, json, markdown or sarif.")] = "text",
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
    if format not in _FORMATS:
        raise AutolockError(f"--format {format}: prove writes text, json, markdown or sarif")
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
    emit(_rendered(format, proofs, report, output, quiet=quiet), output)
    if write_tests is not None:
        from autolock.prove.generated import GeneratedTests

        tests = GeneratedTests(write_tests, root, prover.application, prover.scenario)
        _name_files(tests.write(proofs), quiet=quiet)
    if write_nuclei is not None:
        from autolock.prove.nuclei import NucleiTemplates

        _name_files(NucleiTemplates(write_nuclei, prover.scenario.setup).write(proofs), quiet=quiet)
    return WITNESSED if any(proof.fix_fails for proof in proofs) else 0


def _rendered(format: str, proofs: list["Proof"], report: "Report", output: Path | None, *, quiet: bool) -> str:
    from autolock.prove.telling import Lanes, document

    root = Path(report.root)
    drawn = drawn_for(output, quiet=quiet, verbose=False)
    if format == "json":
        return json.dumps({"version": 1, "proofs": [document(proof) for proof in proofs]}, indent=2) + "\n"
    if format == "markdown":
        from autolock.report.proofs_markdown import render_proofs_markdown

        return render_proofs_markdown(proofs, root)
    if format == "sarif":
        from autolock.report.proofs_sarif import render_proofs_sarif

        return render_proofs_sarif(proofs, report, drawn, Lanes(root))
    from autolock.report.proofs import render_proofs

    return render_proofs(proofs, root, drawn)


def _name_files(paths: list[Path], *, quiet: bool) -> None:
    for path in () if quiet else paths:
        say(f"wrote {path}")
