"""`autolock review`."""

import os
import re
from pathlib import Path
from typing import Annotated

import typer

from autolock.cli import options as o
from autolock.cli.console import emit, say
from autolock.cli.pr import Remote, Where, needed
from autolock.errors import AutolockError
from autolock.options import Options

FOUND = 1

Number = Annotated[
    int | None,
    typer.Option("--pull", metavar="N", min=1, help="The pull request, by default the one the job runs for."),
]


def review(
    path: Where = Path("."),
    pull: Number = None,
    remote: Remote = "origin",
    select: o.Select = None,
    ignore: o.Ignore = None,
    severity: o.SeverityOption = None,
    jobs: o.Jobs = None,
    quiet: o.Quiet = False,
) -> int:
    """Comment on a pull request: on the lines that it changes, with fixes that can be applied with a click.

    Exit code 0: no race on lines that it changes, 1: there are, 2: could not run.
    """
    with needed():
        from autolock.forges.base import ForgeError
        from autolock.pulls.connection import connection
        from autolock.pulls.review import Reviewer, reviewed
    from autolock.config import load_settings

    number = pull or _number_of_job()
    connected = connection(path, remote, load_settings(path).pr)
    assert connected.forge is not None
    there = connected.forge.pull(number)
    options: Options = {
        "severity": severity,
        "select": o.rules(select),
        "ignore": o.rules(ignore),
        "jobs": jobs,
    }
    remarks = reviewed(connected, connected.forge, there, options)
    try:
        Reviewer(connected.forge, there).say(remarks)
    except ForgeError as error:
        if error.status != 403:
            raise
        # A job for a fork's pull request may only read; what was found is still said below, and by the exit code.
        say(f"autolock: not commented: {error}")
    for remark in () if quiet else remarks:
        finding = remark.finding
        place = f"{finding.place.path}:{finding.place.line}"
        emit(f"{place}: {finding.rule} {finding.name}: {'suggested' if remark.suggestion else 'annotated'}\n")
    return FOUND if remarks else 0


def _number_of_job() -> int:
    """The pull request that a job of GitHub, Gitea or GitLab runs for. Raises AutolockError where it is none."""
    found = re.fullmatch(r"refs/pull/(\d+)/(?:merge|head)", os.environ.get("GITHUB_REF", ""))
    text = found[1] if found else os.environ.get("CI_MERGE_REQUEST_IID", "")
    if not text.isdigit():
        raise AutolockError("which pull request to review is not said", "pass --pull N")
    return int(text)
