"""The body of a pull request: what can go wrong, what is changed, how it was checked, what it does not cover."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autolock.findings import Safety
from autolock.report.markdown import cell, code, drawn, fenced, html_text, prose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from autolock.findings import Finding
    from autolock.pulls.groups import Group
    from autolock.pulls.marker import Marker

#: Of how many findings the picture is drawn at most; the others are in the table.
_PICTURES = 5

_CHECKED = (
    "Every rewrite parses, taking it back gives the original to the byte, the analysis of the result finds the window "
    "closed and nothing new, and a second run changes nothing. The application was not run."
)
_NOT_COVERED = (
    "What the analysis cannot see: code that is reached only through names made at run time, other programs that use "
    "the same data, and, for locks in memory, other processes."
)


def body_of(group: Group, marker: Marker, limit: int, *, commands: bool = False) -> str:
    """The body of a group's pull request, at most `limit` characters long.

    Pictures go first where it would be longer, then rows of the table. `commands` tells of what can be said to the bot.
    The same group gives the same body, apart from the marker.
    """
    for pictures, rows in _shorter(len(group.findings)):
        text = "\n".join(_lines(group, marker, pictures, rows, commands=commands))
        if len(text) <= limit:
            return text
    return str(marker)


def _shorter(findings: int) -> Iterator[tuple[int, int]]:
    """How many pictures and rows there may be, from the most to the fewest."""
    for pictures in range(min(_PICTURES, findings), -1, -1):
        yield pictures, findings
    rows = findings
    while rows:
        rows //= 2
        yield 0, rows


def _lines(group: Group, marker: Marker, pictures: int, rows: int, *, commands: bool) -> Iterator[str]:
    yield from _section("What can go wrong", lambda: _pictures(group, pictures))
    yield from _section("What is changed", lambda: _table(group, rows))
    yield from _section("Why this ends it, and what it does not cover", lambda: _reasons(group))
    yield from _section("How it was checked", lambda: _checked(group))
    yield from _section("Yours to decide", lambda: _decisions(commands=commands))
    yield str(marker)


def _section(title: str, contents: Callable[[], Iterator[str]]) -> Iterator[str]:
    yield f"### {title}"
    yield ""
    yield from contents()
    yield ""


def _pictures(group: Group, most: int) -> Iterator[str]:
    yield prose(group.findings[0].message)
    for number, finding in enumerate(group.findings[:most]):
        if not finding.window.steps:
            continue
        yield ""
        place = f"{finding.place.path}:{finding.place.line}"
        yield f"<details{' open' if number == 0 else ''}>"
        yield f"<summary>{html_text(f'{finding.location} in {finding.place.function}, {place}')}</summary>"
        yield ""
        yield from fenced(drawn(finding))
        yield ""
        yield "</details>"


def _table(group: Group, rows: int) -> Iterator[str]:
    guards = {f: rewrite.title for rewrite in group.rewrites for f in rewrite.fingerprints}
    yield "| severity | rule | place | shared state | what two requests at once do | guard |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for finding in group.findings[:rows]:
        cells = (
            finding.severity.value,
            f"{code(finding.rule)} {prose(finding.name)}",
            f"{code(f'{finding.place.path}:{finding.place.line}')}{_routes(finding)}",
            code(finding.location),
            prose(finding.message),
            prose(guards.get(finding.fingerprint, "")),
        )
        yield f"| {' | '.join(cell(text) for text in cells)} |"
    if rows < len(group.findings):
        yield ""
        yield f"and {len(group.findings) - rows} more"


def _routes(finding: Finding) -> str:
    return f" ({', '.join(map(code, finding.routes[:3]))})" if finding.routes else ""


def _reasons(group: Group) -> Iterator[str]:
    for reason in dict.fromkeys(rewrite.reason for rewrite in group.rewrites):
        yield f"* {prose(reason)}"
    if any(rewrite.safety is Safety.UNSAFE for rewrite in group.rewrites):
        yield "* **A reviewer must agree to this one:** it may change more than the race, as said above."
    yield f"* {_NOT_COVERED}"


def _checked(group: Group) -> Iterator[str]:
    yield _CHECKED
    yield ""
    yield "To see it for yourself, on this branch and on its base:"
    yield ""
    yield "```sh"
    yield f"git fetch origin && git switch {group.branch}"
    yield "pip install autolock"
    yield f"autolock check --certainty race --select {','.join(group.rules)}"
    yield f"autolock prove --finding {group.findings[0].fingerprint}   # runs the application, plays the race"
    yield "```"


def _decisions(*, commands: bool) -> Iterator[str]:
    yield "* Commits that you push to this branch stay: autolock leaves the branch alone from then on."
    yield "* Close this pull request, and these findings are not proposed again until you ask for it."
    if commands:
        yield "* Say `@\u200bautolock rebase`, `recreate`, `ignore` or `explain` with an `@` in a comment."


def closing_reason(rules: Sequence[str]) -> str:
    """Why a pull request is closed whose findings are gone."""
    return (
        f"autolock finds none of these any more ({', '.join(rules)}): they were mended, moved or removed on the base "
        "branch. Nothing is left for this pull request to do."
    )
