"""`autolock routes`."""

from pathlib import Path
from typing import Annotated

import typer

from autolock.cli import options as o
from autolock.cli.console import complain, emit, use_color, width_of
from autolock.cli.progress import progress_bar
from autolock.errors import AutolockError

Format = Annotated[str, typer.Option("--format", metavar="FORMAT", help="table, json or openapi.")]
OpenApi = Annotated[
    Path | None,
    typer.Option("--openapi", metavar="FILE", help="An OpenAPI document whose operations the routes are joined with."),
]

#: Wide enough for seven columns.
_WIDTH = 160


def routes(
    paths: o.Paths = None,
    openapi: OpenApi = None,
    select: o.Select = None,
    ignore: o.Ignore = None,
    certainty: o.CertaintyOption = None,
    severity: o.SeverityOption = None,
    format: Format = "table",
    output: o.Output = None,
    jobs: o.Jobs = None,
    cache: o.Cache = True,
    quiet: o.Quiet = False,
) -> int:
    """List routes with the state and tables that they read and write. Exit code 0, 2: could not run."""
    from autolock import api
    from autolock.report.routes import FORMATS, rendered

    if format not in FORMATS:
        raise AutolockError(f'unknown format "{format}"', f"one of {', '.join(FORMATS)}")
    with progress_bar(wanted=not quiet) as progress:
        chosen = o.run_options(
            select=select,
            ignore=ignore,
            certainty=certainty,
            severity=severity,
            unsafe=None,
            jobs=jobs,
            cache=cache,
            baseline=None,
            verbose=False,
            progress=progress,
        )
        listing = api.routes(paths or ["."], openapi=openapi, **chosen)
    complain(listing.report.errors)
    color = use_color() and output is None
    emit(rendered(listing, format, width=width_of(output, _WIDTH), color=color), output)
    return 2 if listing.report.errors and listing.report.statistics.files == 0 else 0
