"""`autolock pr`: from a checkout to pull requests that say what is true of its base branch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from autolock.api import fix
from autolock.errors import AutolockError
from autolock.findings import Certainty
from autolock.forges.base import Check, ForgeError, Outcome, PullState
from autolock.forges.remotes import connect, remote_of, token_for
from autolock.pulls.carrying import Base, Carrier, Told
from autolock.pulls.dashboard import keep_dashboard
from autolock.pulls.deciding import Branch, Room, Step, decide, suppressed
from autolock.pulls.git import Access, Repository
from autolock.pulls.groups import PREFIX, Group, groups_of
from autolock.pulls.marker import marker_in
from autolock.pulls.messages import is_conventional, is_own
from autolock.pulls.schedule import is_open

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from autolock.findings import Finding, Report, Rewrite
    from autolock.forges.base import Forge, Pull
    from autolock.options import Options
    from autolock.pulls.carrying import Proposal
    from autolock.pulls.settings import PullSettings

#: Said in a comment of a closed pull request by somebody who may push, this asks for its findings again.
AGAIN = "@autolock recreate"
_USERS = {"github": "x-access-token", "gitlab": "oauth2", "gitea": "autolock"}
_HABIT = 100
_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Proposed:
    """What a run came to: what was told of each step, and the findings of the base without a pull request."""

    told: tuple[Told, ...]
    left: tuple[Finding, ...]
    notes: tuple[str, ...] = ()


class Session:
    """One base branch of one repository: its findings, what is proposed for it already, and what is to be done."""

    def __init__(
        self, repository: Repository, forge: Forge | None, settings: PullSettings, options: Options, within: str
    ) -> None:
        self._repository = repository
        self._forge = forge
        self._settings = settings
        self._options = options
        self._within = within
        self._notes: list[str] = []
        branch = settings.base or (forge.default_branch() if forge is not None else _guessed_base(repository))
        commit = repository.fetch_base(branch)
        subjects = repository.subjects(commit, _HABIT)
        self.base = Base(repository, branch, commit, settings, conventional=is_conventional(subjects, settings.commits))

    def proposals(self) -> list[Proposal]:
        """What would be proposed if nothing were yet."""
        with self._fixed() as (report, again):
            return [self.base.proposal(g) for g in groups_of(report, self._settings.group, frozenset(), again)]

    def steps(self) -> tuple[tuple[Step, ...], Report]:
        """What is to be done, and the findings of the base."""
        assert self._forge is not None
        with self._fixed() as (report, again):
            every = groups_of(report, self._settings.group, frozenset(), again)
            pulls = self._forge.pulls(PREFIX, [group.branch for group in every])
            left_out = suppressed(pulls, self._asked_again(pulls, report))
            groups = groups_of(report, self._settings.group, left_out, again) if left_out else every
        branches = self._branches(groups)
        return decide(groups, pulls, branches, self._room(pulls)), report

    def run(self) -> Proposed:
        """Do it."""
        assert self._forge is not None
        steps, report = self.steps()
        carrier = Carrier(self._forge, self.base, self._settings, self._notes.append)
        told = tuple(map(carrier.carry, steps))
        proposed = {f for step in steps if step.group is not None for f in step.group.fingerprints}
        left = tuple(finding for finding in report.findings if finding.fingerprint not in proposed)
        if self._settings.dashboard:
            keep_dashboard(self._forge, told, left)
        self._report(told, left)
        return Proposed(told, left, tuple(self._notes))

    @contextmanager
    def _fixed(self) -> Iterator[tuple[Report, Callable[[frozenset[str]], Report]]]:
        """The fixes of the base's own files, and a way to have some of them alone; their paths begin at the top."""
        with self._repository.checked_out(self.base.commit) as top:
            folder = top / self._within
            if not folder.exists():
                raise AutolockError(f"{self._within}: not in {self.base.branch}", "name a folder that is")

            def again(wanted: frozenset[str]) -> Report:
                def chosen(rewrite: Rewrite, ended: tuple[Finding, ...]) -> Rewrite | None:
                    return rewrite if wanted.intersection(rewrite.fingerprints) else None

                return _from_top(fix([folder], choose=chosen, **self._options), top)

            yield _from_top(fix([folder], **self._options), top), again

    def _branches(self, groups: Sequence[Group]) -> dict[str, Branch]:
        """The remote's branches of autolock, each compared with the group that it is for."""
        heads = self._repository.heads(f"{PREFIX}*")
        wanted = {group.branch: group for group in groups}
        found: dict[str, Branch] = {}
        for name, commit in heads.items():
            group = wanted.get(name)
            if group is None:
                found[name] = Branch(commit, own=False, current=False)
                continue
            self._repository.fetch(name, commit)
            own = is_own(self._repository.message(commit), group)
            current = self._repository.same_change(self.base.commit, commit, group.changes)
            found[name] = Branch(commit, own, current)
        return found

    def _asked_again(self, pulls: Sequence[Pull], report: Report) -> frozenset[int]:
        """The pull requests closed unmerged whose findings are there still, and are asked for again."""
        assert self._forge is not None
        here = {finding.fingerprint for finding in report.findings}
        found: set[int] = set()
        for pull in pulls:
            marker = marker_in(pull.body) if pull.state is PullState.CLOSED else None
            if marker is None or not here.intersection(marker.fingerprints):
                continue
            asking = {c.author for c in self._forge.comments(pull.number) if AGAIN in c.body}
            if any(self._forge.may_write(author) for author in asking):
                found.add(pull.number)
        return frozenset(found)

    def _room(self, pulls: Sequence[Pull]) -> Room:
        """What the settings leave to be opened now."""
        now = datetime.now(timezone.utc)
        if not is_open(self._settings.schedule, now):
            return Room(0, 0, f"not now: the schedule is {', '.join(self._settings.schedule)}")
        mine = [pull for pull in pulls if marker_in(pull.body) is not None]
        open_now = sum(1 for pull in mine if pull.state is PullState.OPEN)
        lately = sum(1 for pull in mine if pull.opened > time.time() - _HOUR)
        at_once, now_left = self._settings.max_open - open_now, self._settings.per_hour - lately
        bound = f"{self._settings.per_hour} an hour" if now_left < at_once else f"{self._settings.max_open} at once"
        return Room(max(at_once, 0), max(now_left, 0), f"later: no more than {bound}")

    def _report(self, told: Sequence[Told], left: Sequence[Finding]) -> None:
        """A check of the base's commit, also when there is nothing to say."""
        if not self._settings.check:
            return
        assert self._forge is not None
        proposed = sum(1 for one in told if one.group)
        title = f"{proposed} proposed, {len(left)} left to people" if proposed or left else "no races found"
        outcome = Outcome.NEUTRAL if proposed or left else Outcome.SUCCESS
        try:
            self._forge.report(Check(self.base.commit, outcome, title, title))
        except ForgeError as error:
            if error.status not in (403, 404):
                raise
            self._notes.append(f"the check of {self.base.commit[:10]} was not reported: {error}")


def open_session(
    path: Path, remote: str, settings: PullSettings, *, offline: bool, **options: Unpack[Options]
) -> Session:
    """A session for a path of a checkout. With `offline` the forge is not asked.

    Raises AutolockError for what is missing: a remote, a token, a base.
    """
    named = path if path.is_dir() else path.parent
    if not named.exists():
        raise AutolockError(f"{path}: does not exist")
    look = Repository(named, remote, Access())
    chosen: Options = {
        "certainty": Certainty.RACE,
        "severity": settings.severity,
        "unsafe": settings.unsafe,
        "cache": False,  # the folder is another one each time
        **options,
    }
    within = path.resolve().relative_to(look.top.resolve()).as_posix()
    if offline:
        return Session(look, None, settings, chosen, within)
    there = remote_of(look.url, kind=settings.forge, api=settings.api)
    token = token_for(there.kind)
    repository = Repository(named, remote, Access(_USERS[there.kind], token))
    return Session(repository, connect(there, token), settings, chosen, within)


def _guessed_base(repository: Repository) -> str:
    """The branch that a clone was made of, where no forge can be asked."""
    found = repository.heads("main", "master")
    return next((name for name in ("main", "master") if name in found), "main")


def _from_top(report: Report, top: Path) -> Report:
    """The report with the paths of findings and changes as they are from the top of the repository."""
    start = Path(report.root).resolve().relative_to(top.resolve()).as_posix()
    if start == ".":
        return report

    def moved(path: str) -> str:
        return f"{start}/{path}"

    return replace(
        report,
        findings=tuple(replace(f, place=replace(f.place, path=moved(f.place.path))) for f in report.findings),
        rewrites=tuple(
            replace(r, changes=tuple(replace(c, path=moved(c.path)) for c in r.changes)) for r in report.rewrites
        ),
    )
