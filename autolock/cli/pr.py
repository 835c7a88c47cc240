"""`autolock pr`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autolock.cli import options as o
from autolock.cli.console import emit, say
from autolock.errors import AutolockError
from autolock.pulls.settings import Grouping

if TYPE_CHECKING:
    from autolock.pulls.carrying import Proposal

FAILED = 1

Where = Annotated[Path, typer.Argument(metavar="PATH", help="A checkout, or a folder or file in it.")]
Remote = Annotated[str, typer.Option("--remote", metavar="NAME", help="The git remote to open them on.")]
BaseBranch = Annotated[
    str, typer.Option("--base", metavar="BRANCH", help="The branch they are for, by default the forge's default.")
]
Group = Annotated[Grouping | None, typer.Option("--group", help="What shares a pull request.", show_default=False)]
Draft = Annotated[bool | None, typer.Option("--draft/--no-draft", help="Open them as drafts.", show_default=False)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print branches, commits, titles and bodies; change nothing.")]


@contextmanager
def needed() -> Iterator[None]:
    """Says how to install what is not there: what only pull requests need is no part of the base install."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise AutolockError(f"pull requests need {error.name}", "pip install 'autolock[pr]'") from None


def pr(
    path: Where = Path("."),
    remote: Remote = "origin",
    base: BaseBranch = "",
    group: Group = None,
    draft: Draft = None,
    dry_run: DryRun = False,
    select: o.Select = None,
    ignore: o.Ignore = None,
    jobs: o.Jobs = None,
    quiet: o.Quiet = False,
) -> int:
    """Open pull requests with the fixes, and keep them true: update those that are behind, close those that are done.

    Works on the base branch as the remote has it, in a folder of its own; the checkout is not changed. Exit code 0:
    everything is as it should be, 1: something was refused by the forge or git, 2: could not run.
    """
    with needed():
        from autolock.pulls.connection import connection
        from autolock.pulls.propose import Session
    from autolock.config import load_settings

    configured = load_settings(path).pr
    settings = replace(
        configured,
        base=base or configured.base,
        group=group or configured.group,
        draft=configured.draft if draft is None else draft,
    )
    connected = connection(path, remote, settings, offline=dry_run)
    session = Session(connected, settings, {"select": o.rules(select), "ignore": o.rules(ignore), "jobs": jobs})
    if dry_run:
        proposals = session.proposals()
        emit("\n".join(map(_shown, proposals)))
        say(f"{len(proposals)} would be proposed; nothing was changed")
        return 0
    proposed = session.run()
    for one in proposed.told:
        about = f"{one.group}: " if one.group else ""
        line = f"{about}{one.text}{f' {one.url}' if one.url else ''}"
        if one.failed:
            say(f"autolock: {line}")
        elif not quiet:
            emit(f"{line}\n")
    for note in proposed.notes:
        say(f"autolock: {note}")
    if not quiet and not proposed.told:
        say("nothing to propose")
    return FAILED if any(one.failed for one in proposed.told) else 0


def _shown(proposal: "Proposal") -> str:
    """A proposal as a person reviews it before it is made."""
    from autolock.deliver.patch import unified_diff
    from autolock.pulls.body import body_of

    body = body_of(proposal.group, proposal.marker("", settled=True), 65_536)
    patch = unified_diff(proposal.group.changes).decode("utf-8", "replace")
    rule = "=" * 72
    return (
        f"{rule}\nbranch  {proposal.group.branch}\ncommit  {proposal.commit}\ntitle   {proposal.title}\n{rule}\n"
        f"{body}\n{rule}\n{proposal.message}{rule}\n{patch}"
    )
