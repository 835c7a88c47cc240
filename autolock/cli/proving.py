"""What `prove` and `fix --prove` share: how the application is run."""

import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from autolock.findings import Report
    from autolock.prove.proof import Bounds
    from autolock.prove.prover import Prover

App = Annotated[str, typer.Option("--app", metavar="MODULE:NAME", help="The application, where it is not found.")]
Python = Annotated[
    str,
    typer.Option(
        "--python",
        metavar="FILE",
        help="The interpreter with the application's packages; else that of the active environment, or .venv.",
    ),
]
ScenarioFile = Annotated[
    Path | None, typer.Option("--scenario", metavar="FILE", help="How to drive the application, in TOML.")
]
Requests = Annotated[int, typer.Option("--requests", min=2, max=5, metavar="N", help="Requests that are sent at once.")]
Instances = Annotated[
    int | None,
    typer.Option(
        "--instances",
        min=1,
        max=2,
        metavar="N",
        help="Instances of the application on one database; 2 where its deployment has several workers.",
        show_default=False,
    ),
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Where chance begins, for three requests and more.")]
Preemptions = Annotated[int, typer.Option("--preemptions", min=0, metavar="N", help="Most preemptions a schedule.")]
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


def seconds_of(said: str | float) -> float:
    """A time in seconds: `60`, `60s`, `1.5m`, `1h`. Raises typer.BadParameter for anything else, and for none."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", str(said).strip())
    seconds = float(found[1]) * _UNITS[found[2]] if found is not None else 0.0
    if seconds <= 0:
        raise typer.BadParameter(f"{str(said)!r} is no time: write 60, 60s or 2m")
    return seconds


Budget = Annotated[
    float, typer.Option("--budget", parser=seconds_of, metavar="TIME", help="Most time for a set of requests: 60s, 2m.")
]


@contextmanager
def unwound() -> Iterator[None]:
    """Let a request to end (SIGTERM, a closed terminal) unwind the process as Ctrl-C does: nothing is left behind."""
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, _interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def prover_of(
    report: "Report",
    *,
    app: str,
    python: str,
    scenario: Path | None,
    bounds: "Bounds",
    quiet: bool,
) -> "Prover":
    """A prover for the findings of a report and its fixes. Says, unless `quiet`, that the application is run."""
    from autolock.api import combined
    from autolock.prove.application import interpreter_of
    from autolock.prove.prover import Prover
    from autolock.prove.scenario import Scenario

    interpreter = python or interpreter_of(Path(report.root))
    if not quiet:
        by = f" by {interpreter}" if interpreter != sys.executable else ""
        print(f"runs the application in a copy of {report.root}{by}", file=sys.stderr)
    watched = sys.stderr.isatty() and not quiet
    return Prover(
        Path(report.root),
        combined(report),
        frozenset(fingerprint for rewrite in report.rewrites for fingerprint in rewrite.fingerprints),
        app=app,
        python=interpreter,
        scenario=Scenario.read(scenario) if scenario else Scenario(),
        bounds=bounds,
        progress=(lambda text: print(text, file=sys.stderr)) if watched else (lambda text: None),
    )


def instances_of(report: "Report", asked: int | None) -> int:
    """How many instances to play: as many as were asked for, else two where the deployment has several workers."""
    from autolock.deployment.files import deployments_below

    return asked or (2 if any(deployments_below(Path(report.root))) else 1)
