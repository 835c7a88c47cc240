"""Carries out what was decided, in an order in which a crash at any point leaves nothing lost and nothing doubled."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from autolock import __version__
from autolock.forges.base import ForgeError, NewCommit, NewPull
from autolock.pulls.body import body_of, closing_reason
from autolock.pulls.deciding import GONE_MARK, Deed
from autolock.pulls.git import GitError
from autolock.pulls.marker import Marker
from autolock.pulls.messages import message_of, title_of
from autolock.pulls.owners import owners_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from autolock.forges.base import Forge, Pull
    from autolock.pulls.deciding import Step
    from autolock.pulls.git import Repository
    from autolock.pulls.groups import Group
    from autolock.pulls.settings import PullSettings

_HELD_MARK = "<!-- autolock:held -->"
_CODEOWNERS = "codeowners"


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a group's pull request is made of."""

    group: Group
    title: str
    message: str
    commit: str
    within: str = "."

    def marker(self, previous: str, *, settled: bool) -> Marker:
        """What the body hides."""
        group = self.group
        return Marker(
            group.name,
            group.rules,
            group.fingerprints,
            self.commit,
            previous,
            self.title,
            __version__,
            settled,
            self.within,
        )


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a step, for people; `group` is the branch it was about, `failed` where it could not be done."""

    deed: Deed
    text: str
    url: str = ""
    group: str = ""
    failed: bool = False


class Base:
    """The commit that proposals are made on, and how its repository writes commits."""

    def __init__(
        self,
        repository: Repository,
        branch: str,
        commit: str,
        settings: PullSettings,
        *,
        conventional: bool,
        within: str = ".",
        maker: Callable[[NewCommit], str] | None = None,
    ) -> None:
        """`within` is what of the repository was looked at.

        `maker` is the forge where it is to make the commits itself, so that it signs them.
        """
        self.repository = repository
        self.branch = branch
        self.commit = commit
        self._settings = settings
        self._conventional = conventional
        self._within = within
        self._maker = maker

    def proposal(self, group: Group, there: str = "") -> Proposal:
        """The commit for a group, made but not pushed, with its title and message.

        `there` is a commit that is taken if it makes the same change, on a base to which it still applies.
        """
        settings = self._settings
        name, address = self.repository.author(settings.author)
        author = f"{name} <{address}>"
        title = title_of(group, conventional=self._conventional)
        message = message_of(group, title, author, sign_off=settings.sign_off, co_authors=settings.co_authors)
        if there and self.repository.same_change(self.commit, there, group.changes):
            return Proposal(group, title, message, there, self._within)
        if self._maker is None:
            made = self.repository.commit(self.commit, group.changes, message, author)
            return Proposal(group, title, message, made, self._within)
        files = self.repository.kept(self.commit, group.changes)
        commit = self._maker(NewCommit(self.commit, message, files))
        self.repository.fetch(commit, commit)
        return Proposal(group, title, message, commit, self._within)


class Carrier:
    """Carries steps out on a forge and its git repository."""

    def __init__(
        self, forge: Forge, base: Base, settings: PullSettings, note: Callable[[str], None], *, commands: bool = False
    ) -> None:
        self._forge = forge
        self._base = base
        self._settings = settings
        self._note = note
        self._commands = commands

    def carry(self, step: Step) -> Told:
        """Carry out one step; what the forge or git refuses is told, so that the others are carried out anyhow."""
        deeds = {Deed.OPEN: self._open, Deed.UPDATE: self._update, Deed.CLOSE: self._close, Deed.HOLD: self._hold}
        deed = deeds.get(step.deed)
        branch = step.group.branch if step.group is not None else ""
        told = Told(step.deed, step.why, step.pull.url if step.pull is not None else "", branch)
        try:
            return deed(step, told) if deed is not None else told
        except (ForgeError, GitError) as error:
            return replace(told, text=str(error), failed=True)

    def _open(self, step: Step, told: Told) -> Told:
        assert step.group is not None
        proposal = self._base.proposal(step.group, step.expected)
        self._push(proposal, step.expected)
        settled = not (self._settings.labels or self._settings.reviewers or self._settings.assignees)
        marker = proposal.marker("", settled=settled)
        new = NewPull(
            proposal.title, self._body(step.group, marker), step.group.branch, self._base.branch, self._settings.draft
        )
        pull = self._forge.open_pull(new)
        if not settled:
            self._settle(pull, proposal, marker, proposal.title)
        return replace(told, text=f"opened #{pull.number}: {proposal.title}", url=pull.url)

    def _update(self, step: Step, told: Told) -> Told:
        assert step.group is not None
        assert step.pull is not None
        assert step.marker is not None
        proposal = self._base.proposal(step.group, "" if step.anew else step.expected)
        marker = proposal.marker(step.expected, settled=step.marker.settled)
        # A title that somebody has chosen stays.
        title = proposal.title if step.pull.title == step.marker.title else step.pull.title
        if marker != step.marker:
            self._forge.update_pull(step.pull.number, title=title, body=self._body(step.group, marker))
        self._push(proposal, step.expected)
        if not marker.settled:
            self._settle(step.pull, proposal, marker, title)
        return replace(told, text=f"updated #{step.pull.number}: {proposal.title}")

    def _push(self, proposal: Proposal, expected: str) -> None:
        """Push a commit, unless another run of autolock has pushed the same one."""
        if proposal.commit == expected:
            return
        branch = proposal.group.branch
        try:
            self._base.repository.push(branch, proposal.commit, expected)
        except GitError as error:
            if not error.rejected or self._base.repository.heads(branch).get(branch) != proposal.commit:
                raise

    def _settle(self, pull: Pull, proposal: Proposal, marker: Marker, title: str) -> None:
        """Ask for labels, reviewers and assignees, once; what the forge refuses of that is told and let be."""
        paths = [change.path for change in proposal.group.changes]
        reviewers, assignees = (
            self._people(names, paths, but=pull.author)
            for names in (self._settings.reviewers, self._settings.assignees)
        )
        asked: tuple[tuple[Callable[[int, Sequence[str]], None], Sequence[str]], ...] = (
            (self._forge.add_labels, self._settings.labels),
            (self._forge.request_reviews, reviewers),
            (self._forge.assign, assignees),
        )
        for ask, names in asked:
            self._ask(ask, pull.number, names)
        body = self._body(proposal.group, replace(marker, settled=True))
        self._forge.update_pull(pull.number, title=title, body=body)

    def _ask(self, ask: Callable[[int, Sequence[str]], None], number: int, names: Sequence[str]) -> None:
        """Ask for all at once; where one of them is refused, for each alone."""
        try:
            if names:
                ask(number, names)
        except ForgeError as error:
            if error.status not in (403, 404, 422):
                raise
            if len(names) == 1:
                self._note(f"#{number}: {names[0]}: {error}")
            else:
                for name in names:
                    self._ask(ask, number, [name])

    def _people(self, names: Sequence[str], paths: Sequence[str], *, but: str) -> list[str]:
        found: dict[str, None] = {}
        for name in names:
            owned = owners_of(self._base.repository, self._base.commit, paths) if name == _CODEOWNERS else [name]
            found.update(dict.fromkeys(owned))
        return [name for name in found if name != but]

    def _close(self, step: Step, told: Told) -> Told:
        assert step.pull is not None
        assert step.marker is not None
        pull = step.pull
        if GONE_MARK not in pull.body:
            self._forge.update_pull(pull.number, title=pull.title, body=f"{pull.body}\n{GONE_MARK}")
        self._say_once(pull.number, GONE_MARK, closing_reason(step.marker.rules))
        self._forge.close_pull(pull.number)
        if step.expected:  # not with commits that somebody has pushed since
            self._base.repository.delete(pull.head, step.expected)
        return replace(told, text=f"closed #{pull.number}: {step.why}")

    def _hold(self, step: Step, told: Told) -> Told:
        pull = step.pull
        if pull is not None and step.marker is not None:
            text = (
                "This branch has commits that are not autolock's, so autolock leaves it alone: nothing will be pushed "
                "to it. Delete them, or close this pull request, to have autolock's own version again."
            )
            self._say_once(pull.number, _HELD_MARK, text)
        return told

    def _say_once(self, number: int, mark: str, text: str) -> None:
        if not any(mark in comment.body for comment in self._forge.comments(number)):
            self._forge.add_comment(number, f"{text}\n\n{mark}")

    def _body(self, group: Group, marker: Marker) -> str:
        limit = self._forge.body_limit - len(GONE_MARK) - 1  # which may be added to it one day
        return body_of(group, marker, limit, commands=self._commands)
