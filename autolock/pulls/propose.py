"""`autolock pr`: from a checkout to pull requests that say what is true of its base branch."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from autolock import registry
from autolock.config import resolve_rules
from autolock.findings import Certainty
from autolock.forges.base import Check, ForgeError, Outcome, PullState
from autolock.pulls.carrying import Base, Carrier, Told
from autolock.pulls.commands import AGAIN, command_in
from autolock.pulls.dashboard import keep_dashboard
from autolock.pulls.deciding import NOTHING, Branch, Redo, Room, Scope, Step, decide, fingerprints_of, turned_down
from autolock.pulls.fixing import fixed
from autolock.pulls.groups import PREFIX, groups_of
from autolock.pulls.marker import marker_in
from autolock.pulls.messages import is_conventional, is_own
from autolock.pulls.schedule import is_open

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from autolock.findings import Finding, Report
    from autolock.forges.base import NewCommit, Pull
    from autolock.options import Options
    from autolock.pulls.carrying import Proposal
    from autolock.pulls.connection import Connection
    from autolock.pulls.groups import Group
    from autolock.pulls.settings import PullSettings

_HABIT = 100
_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Proposed:
    """What a run came to: what was told of each step, and the findings of the base without a pull request."""

    told: tuple[Told, ...]
    left: tuple[Finding, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """The steps that are to be taken, the findings of the base, and the pull requests that people did not want."""

    steps: tuple[Step, ...]
    report: Report
    turned_down: tuple[Pull, ...]


class Session:
    """One base branch of one repository: its findings, what is proposed for it already, and what is to be done."""

    def __init__(
        self,
        connected: Connection,
        settings: PullSettings,
        options: Options,
        *,
        redo: Redo = NOTHING,
        maker: Callable[[NewCommit], str] | None = None,
    ) -> None:
        """`redo` is what somebody has asked to be made again, `maker` makes commits for a bot that listens to comments.

        Without one they are made by git.
        """
        self._repository = repository = connected.repository
        self._forge = forge = connected.forge
        self._settings = settings
        self._within = connected.within
        self._options: Options = {
            "certainty": Certainty.RACE,
            "severity": settings.severity,
            "unsafe": settings.unsafe,
            "cache": False,  # the folder is another one each time
            **options,
        }
        self._notes: list[str] = []
        branch = settings.base or (forge.default_branch() if forge is not None else repository.default_branch())
        commit = repository.fetch_base(branch)
        subjects = repository.subjects(commit, _HABIT)
        conventional = is_conventional(subjects, settings.commits)
        self._bot = maker is not None
        self._redo = redo
        self.base = Base(
            repository, branch, commit, settings, conventional=conventional, within=self._within, maker=maker
        )

    def proposals(self) -> list[Proposal]:
        """What would be proposed if nothing were yet."""
        with fixed(self._repository, self.base.commit, self._within, self._options) as (report, again):
            return [self.base.proposal(g) for g in groups_of(report, self._settings.group, frozenset(), again)]

    def decision(self) -> Decision:
        """What is to be done."""
        assert self._forge is not None
        with fixed(self._repository, self.base.commit, self._within, self._options) as (report, again):
            every = groups_of(report, self._settings.group, frozenset(), again)
            pulls = self._forge.pulls(PREFIX, [group.branch for group in every])
            here = frozenset(finding.fingerprint for finding in report.findings)
            down = turned_down(pulls, here, self._asked_again(pulls, here))
            left_out = frozenset(fingerprint for pull in down for fingerprint in fingerprints_of(pull))
            groups = groups_of(report, self._settings.group, left_out, again) if left_out else every
        branches = self._branches(groups)
        return Decision(decide(groups, pulls, branches, self._room(pulls), self._scope(), self._redo), report, down)

    def run(self) -> Proposed:
        """Do it."""
        assert self._forge is not None
        decision = self.decision()
        carrier = Carrier(self._forge, self.base, self._settings, self._notes.append, commands=self._bot)
        told = tuple(map(carrier.carry, decision.steps))
        proposed = {f for step in decision.steps if step.group is not None for f in step.group.fingerprints}
        left = tuple(finding for finding in decision.report.findings if finding.fingerprint not in proposed)
        if self._settings.dashboard:
            keep_dashboard(self._forge, told, left, decision.turned_down)
        self._report(told, left)
        return Proposed(told, left, tuple(self._notes))

    def _scope(self) -> Scope:
        """What this run looks at."""
        known = registry.rule_names()
        rules = frozenset(resolve_rules(self._options.get("select") or (), known, ""))
        ignored = frozenset(resolve_rules(self._options.get("ignore") or (), known, ""))
        return Scope(self.base.branch, self._within, rules, ignored)

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
            self._repository.fetch(f"refs/heads/{name}", commit)
            own = is_own(self._repository.message(commit), group)
            current = self._repository.same_change(self.base.commit, commit, group.changes)
            found[name] = Branch(commit, own, current)
        return found

    def _asked_again(self, pulls: Sequence[Pull], here: frozenset[str]) -> frozenset[int]:
        """Those of the pull requests turned down that somebody who may write has asked for again."""
        assert self._forge is not None
        found: set[int] = set()
        for pull in turned_down(pulls, here, frozenset()):
            # What was said before it was closed has been done then.
            said = (c for c in self._forge.comments(pull.number) if c.made >= pull.closed)
            asking = {c.author for c in said if command_in(c.body) == AGAIN}
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
