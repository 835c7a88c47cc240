"""The fixes of a commit's files, made in a folder of its own: the user's checkout is neither read nor changed."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from autolock.api import fix
from autolock.errors import AutolockError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autolock.findings import Finding, Place, Report, Rewrite
    from autolock.options import Options
    from autolock.pulls.git import Repository
    from autolock.pulls.groups import Alone


@contextmanager
def fixed(repository: Repository, commit: str, within: str, options: Options) -> Iterator[tuple[Report, Alone]]:
    """The report of a folder of a commit with its fixes, and a way to have some of them alone.

    Paths begin at the top of the repository. Raises AutolockError where the commit has no such folder.
    """
    with repository.checked_out(commit) as top:
        folder = top / within
        if not folder.exists():
            raise AutolockError(f"{within}: not in {commit[:10]}", "name a folder that is")

        def again(wanted: frozenset[str]) -> Report:
            def chosen(rewrite: Rewrite, ended: tuple[Finding, ...]) -> Rewrite | None:
                return rewrite if wanted.intersection(rewrite.fingerprints) else None

            return _from_top(fix([folder], choose=chosen, **options), top)

        yield _from_top(fix([folder], **options), top), again


def _from_top(report: Report, top: Path) -> Report:
    """The report with the paths of findings and changes as they are from the top of the repository.

    Without rewrites of what is a symbolic link: the file that it leads to is another one, perhaps of no repository.
    """
    root = Path(report.root).resolve()
    own = tuple(r for r in report.rewrites if all((root / c.path).resolve() == root / c.path for c in r.changes))
    report = replace(report, rewrites=own)
    start = Path(report.root).resolve().relative_to(top.resolve()).as_posix()
    if start == ".":
        return report
    return replace(
        report,
        findings=tuple(_moved(finding, start) for finding in report.findings),
        rewrites=tuple(
            replace(r, changes=tuple(replace(c, path=f"{start}/{c.path}") for c in r.changes)) for r in report.rewrites
        ),
    )


def _moved(finding: Finding, start: str) -> Finding:
    """A finding with its paths below a folder."""

    def below(place: Place) -> Place:
        return replace(place, path=f"{start}/{place.path}")

    steps = tuple(replace(step, place=below(step.place)) for step in finding.window.steps)
    return replace(finding, place=below(finding.place), window=replace(finding.window, steps=steps))
