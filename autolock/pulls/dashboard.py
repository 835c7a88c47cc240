"""An issue that lists what is proposed, what was refused and why; kept true, opened only when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autolock.forges.texts import same_text
from autolock.pulls.deciding import Deed
from autolock.report.markdown import cell, code, prose

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from autolock.findings import Finding
    from autolock.forges.base import Forge, Pull
    from autolock.pulls.carrying import Told

TITLE = "autolock: race conditions"
_MARK = "<!-- autolock:dashboard -->"
_ROWS = 200
_STATES = {Deed.HOLD: " (held: it is not autolock's alone)"}


def keep_dashboard(forge: Forge, told: Sequence[Told], left: Sequence[Finding], down: Sequence[Pull]) -> None:
    """Bring the dashboard issue up to date; an issue of that title that autolock has not made is left alone."""
    body = "\n".join(_lines(told, left, down))[: forge.body_limit]
    issue = next((i for i in forge.issues(TITLE) if _MARK in i.body), None)
    if issue is None:
        forge.open_issue(TITLE, body)
    elif issue.open and not same_text(issue.body, body):  # who closes it does not want it
        forge.update_issue(issue.number, body)


def _lines(told: Sequence[Told], left: Sequence[Finding], down: Sequence[Pull]) -> Iterator[str]:
    yield _MARK
    yield "Kept by autolock; what is written here by hand is overwritten."
    yield ""
    yield "### Pull requests"
    yield ""
    listed = [one for one in told if one.group]
    for one in listed:
        yield f"* {code(one.group)}: {one.url or prose(one.text)}{_STATES.get(one.deed, '')}"
    if not listed:
        yield "None: there is nothing to propose."
    yield ""
    if down:
        yield "### Closed unmerged, and not proposed again"
        yield ""
        yield from (f"* {pull.url}: {prose(pull.title)}" for pull in down)
        yield ""
    if left:
        yield "### Findings without a pull request"
        yield ""
        yield "| severity | rule | place | why |"
        yield "| --- | --- | --- | --- |"
        for finding in left[:_ROWS]:
            # No line numbers: they change with every edit above, and the issue with them.
            place = f"{code(finding.place.path)} {code(finding.place.function)}"
            cells = (finding.severity.value, code(finding.rule), place, prose(finding.fix.reason or finding.fix.title))
            yield f"| {' | '.join(cell(text) for text in cells)} |"
        if len(left) > _ROWS:
            yield ""
            yield f"and {len(left) - _ROWS} more"
