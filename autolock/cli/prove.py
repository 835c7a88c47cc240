"""`autolock prove`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autolock.cli import options as o
from autolock.cli import proving as p
from autolock.cli.console import complain, drawn_for, emit, say
from autolock.cli.progress import progress_bar
from autolock.errors import AutolockError

if TYPE_CHECKING:
    from autolock.findings import Report
    from autolock.prove.proof import Proof, Subject
    from autolock.prove.prover import Prover

WITNESSED = 1
_FORMATS = ("text", "json", "markdown", "sarif")

Which = Annotated[str, typer.Option("--finding", metavar="FINGERPRINT", help="Only this finding; a beginning will do.")]
Route = Annotated[
    str, typer.Option("--route", metavar="'POST /path'", help="The findings of this route, or the route itself.")
]
Against = Annotated[str, typer.Option("--against", metavar="SIDE", help="before, after the fixes, or both.")]
WriteTests = Annotated[
    Path | None, typer.Option("--write-tests", metavar="DIR", help="Write a pytest file for each witnessed race.")
]
WriteNuclei = Annotated[
    Path | None, typer.Option("--write-nuclei", metavar="DIR", help="Write a Nuclei template for each witnessed race.")
]
Init = Annotated[
    bool, typer.Option("--init", help="Write a scenario to begin with, to the file of --scenario or prove.toml.")
]


def prove(
    path: Annotated[str, typer.Argument(metavar="PATH", help="The repository or folder.")] = ".",
    app: p.App = "",
    python: p.Python = "",
    finding: Which = "",
    route: Route = "",
    scenario: p.ScenarioFile = None,
    against: Against = "both",
    requests: p.Requests = 2,
    preemptions: p.Preemptions = 2,
    seed: p.Seed = 0,
    instances: p.Instances = None,
    budget: p.Budget = 60.0,
    init: Init = False,
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
    prover = p.prover_of(
        report,
        app=app,
        python=python,
        scenario=None if init else scenario,
        bounds=Bounds(requests, preemptions, seconds=budget, seed=seed, instances=p.instances_of(report, instances)),
        quiet=quiet or format != "text",
    )
    if init:
        _write_scenario(prover, wanted, scenario or Path("prove.toml"))
        return 0
    with p.unwound(), prover:
        proofs = prover.prove(wanted, before=against != "after", after=against != "before")
    emit(_rendered(format, proofs, report, output, quiet=quiet), output)
    if write_tests is not None:
        from autolock.prove.generated import GeneratedTests

        tests = GeneratedTests(write_tests, prover.root, prover.application, prover.scenario)
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


def _write_scenario(prover: "Prover", subjects: list["Subject"], path: Path) -> None:
    if path.exists():
        raise AutolockError(f"{path}: exists already", "name another file with --scenario")
    with p.unwound(), prover:
        inferred = prover.infer(subjects)
    emit(inferred.scenario(subjects, path.name), path)
    say(f"wrote {path}; look for FILL IN")


def _name_files(paths: list[Path], *, quiet: bool) -> None:
    for path in () if quiet else paths:
        say(f"wrote {path}")
