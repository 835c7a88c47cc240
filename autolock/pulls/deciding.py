"""From what should be proposed and what is proposed already to what is to be done; nothing is asked or changed here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from autolock.forges.base import PullState
from autolock.pulls.marker import Marker, marker_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from autolock.forges.base import Pull
    from autolock.pulls.groups import Group


class Deed(str, Enum):
    """What is done about one group or one pull request."""

    OPEN = "open"
    UPDATE = "update"
    LEAVE = "leave"
    HOLD = "hold"
    CLOSE = "close"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Branch:
    """A group's branch as the remote has it: its commit, whether autolock alone has made it, and as it should be now.

    `own` is known from the commit's message, for a branch whose pull request does not say so (yet).
    """

    commit: str
    own: bool
    current: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One deed: for a group, for a pull request, or both; `why` is a sentence for people.

    `expected` is the commit that the branch is at, empty where there is none. `anew` asks for a commit on the newest
    base even if the one that is there would do.
    """

    deed: Deed
    why: str
    group: Group | None = None
    pull: Pull | None = None
    marker: Marker | None = None
    expected: str = ""
    anew: bool = False


@dataclass(frozen=True, slots=True)
class Redo:
    """Branches that somebody has asked to be made again: on the newest base, and even over commits of other people."""

    rebased: frozenset[str] = frozenset()
    recreated: frozenset[str] = frozenset()


NOTHING = Redo()


@dataclass(frozen=True, slots=True)
class Scope:
    """What a run looks at: a base branch, a folder or file of it, and rules; empty for every rule.

    What it finds nothing of is gone only where it has looked.
    """

    base: str
    within: str = "."
    rules: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()

    def has(self, pull: Pull, marker: Marker) -> bool:
        """Whether a pull request is about this alone."""
        if self.ignored.intersection(marker.rules) or (self.rules and not self.rules.issuperset(marker.rules)):
            return False
        return pull.base == self.base and marker.within == self.within


@dataclass(frozen=True, slots=True)
class Room:
    """How many pull requests more may be open at once, and how many may be opened now; and why no more."""

    at_once: int
    now: int
    why: str = ""


def decide(
    groups: Sequence[Group],
    pulls: Sequence[Pull],
    branches: Mapping[str, Branch],
    room: Room,
    scope: Scope,
    redo: Redo = NOTHING,
) -> tuple[Step, ...]:
    """The steps, those that free a branch or a place first.

    `groups` are without what was closed unmerged. `branches` are those of the remote that begin with the prefix.
    """
    open_pulls = {pull.head: pull for pull in pulls if pull.state is PullState.OPEN}
    wanted = {group.branch for group in groups}
    steps = [_ended(pull, branches, scope) for head, pull in open_pulls.items() if head not in wanted]
    freed = sum(1 for step in steps if step.deed is Deed.CLOSE)
    left = min(room.at_once + freed, room.now)
    for group in groups:
        step = _for_group(group, open_pulls.get(group.branch), branches.get(group.branch), redo, scope)
        if step.deed is Deed.OPEN:
            if left <= 0:
                step = Step(Deed.WAIT, room.why, group)
            left -= 1
        steps.append(step)
    return tuple(steps)


#: In the body of a pull request that autolock has closed itself, whose findings nobody has turned down.
GONE_MARK = "<!-- autolock:gone -->"


def turned_down(pulls: Sequence[Pull], here: frozenset[str], asked_again: frozenset[int]) -> tuple[Pull, ...]:
    """The pull requests that somebody has closed unmerged, of which there are findings still `here`.

    Those that are asked for again are left out.
    """
    closed = (p for p in pulls if p.state is PullState.CLOSED and p.number not in asked_again)
    return tuple(p for p in closed if GONE_MARK not in p.body and here.intersection(fingerprints_of(p)))


def fingerprints_of(pull: Pull) -> frozenset[str]:
    """The findings that a pull request is about; none where it is not from autolock."""
    marker = marker_in(pull.body)
    return frozenset(marker.fingerprints) if marker is not None else frozenset()


def _ended(pull: Pull, branches: Mapping[str, Branch], scope: Scope) -> Step:
    """What becomes of an open pull request whose findings are gone."""
    marker = marker_in(pull.body)
    if marker is None:
        return Step(Deed.LEAVE, f"#{pull.number} on a branch of that name is somebody else's", pull=pull)
    if not scope.has(pull, marker):
        return Step(Deed.LEAVE, f"#{pull.number} is about what this run does not look at", pull=pull)
    if _is_touched(marker, branches.get(pull.head)):
        why = f"nothing of it is found any more, but #{pull.number} has commits that are not autolock's"
        return Step(Deed.HOLD, why, pull=pull, marker=marker)
    branch = branches.get(pull.head)
    why = f"nothing of #{pull.number} is found any more"
    return Step(Deed.CLOSE, why, pull=pull, marker=marker, expected=branch.commit if branch is not None else "")


def _for_group(group: Group, pull: Pull | None, branch: Branch | None, redo: Redo, scope: Scope) -> Step:
    if pull is None:
        if branch is not None and not branch.own:
            why = f"the branch {group.branch} is there already, and not from autolock"
            return Step(Deed.HOLD, why, group)
        return Step(Deed.OPEN, "", group, expected=branch.commit if branch is not None else "")
    marker = marker_in(pull.body)
    if marker is None:
        return Step(Deed.HOLD, f"#{pull.number} has that branch, and is not from autolock", group, pull)
    if not scope.has(pull, marker):
        why = f"#{pull.number} has that branch, for {pull.base} and {marker.within}"
        return Step(Deed.HOLD, why, group, pull)
    over = group.branch in redo.recreated
    if _is_touched(marker, branch) and not over:
        why = f"#{pull.number} has commits that are not autolock's"
        return Step(Deed.HOLD, why, group, pull, marker)
    anew = over or group.branch in redo.rebased
    current = branch is not None and branch.current and branch.commit == marker.head
    if current and not anew and marker.settled and marker.fingerprints == group.fingerprints:
        return Step(Deed.LEAVE, f"#{pull.number} is as it should be", group, pull, marker)
    expected = branch.commit if branch is not None else ""
    return Step(Deed.UPDATE, f"#{pull.number} is behind", group, pull, marker, expected, anew)


def _is_touched(marker: Marker, branch: Branch | None) -> bool:
    """Whether a branch is at another commit than autolock has left it at."""
    return branch is not None and branch.commit not in (marker.head, marker.previous)
