"""What autolock asks of a forge, in the words of pull requests whatever the forge calls them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from autolock.errors import AutolockError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from autolock.forges.texts import NewLines


class ForgeError(AutolockError):
    """The forge said no, or did not answer for as long as is reasonable to wait.

    `status` is that of its answer, 0 where there was none. `taken` tells that what was to be made is there already.
    """

    def __init__(self, message: str, hint: str = "", *, status: int = 0, taken: bool = False) -> None:
        super().__init__(message, hint)
        self.status = status
        self.taken = taken


class PullState(str, Enum):
    """Whether a pull request can still be merged, and if not, why."""

    OPEN = "open"
    CLOSED = "closed"
    MERGED = "merged"


class Outcome(str, Enum):
    """What a check of a commit says."""

    SUCCESS = "success"
    FAILURE = "failure"
    NEUTRAL = "neutral"


@dataclass(frozen=True, slots=True)
class Pull:
    """A pull request as the forge has it; `head` and `base` are names of branches, `head_commit` the last of its own.

    `opened` and `closed` are when it was, in seconds since 1970, the latter 0 for one that is open. `ours` is whether
    the branch is in the repository itself and not in somebody's fork.
    """

    number: int
    title: str
    body: str
    head: str
    head_commit: str
    base: str
    state: PullState
    draft: bool
    url: str
    author: str
    opened: float = 0.0
    ours: bool = True
    closed: float = 0.0


@dataclass(frozen=True, slots=True)
class NewPull:
    """A pull request to be opened."""

    title: str
    body: str
    head: str
    base: str
    draft: bool = False


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment below a pull request or an issue, `made` in seconds since 1970."""

    number: int
    body: str
    author: str
    made: float = 0.0


@dataclass(frozen=True, slots=True)
class LineComment:
    """A comment on lines `first` to `last` of the new side of a diff; `number` is 0 before it is made."""

    path: str
    first: int
    last: int
    body: str
    number: int = 0
    author: str = ""


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue, for the dashboard."""

    number: int
    title: str
    body: str
    open: bool
    author: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Annotation:
    """What a check says about lines of a file; `level` is notice, warning or failure."""

    path: str
    first: int
    last: int
    title: str
    message: str
    level: str = "warning"


@dataclass(frozen=True, slots=True)
class Check:
    """What autolock says of a commit as a whole, under a name, with annotations where the forge has them."""

    commit: str
    outcome: Outcome
    title: str
    summary: str
    annotations: tuple[Annotation, ...] = ()
    url: str = ""
    name: str = "autolock"


@dataclass(frozen=True, slots=True)
class NewCommit:
    """A commit to be made by the forge itself; `files` are modes and whole contents by the path from the top."""

    parent: str
    message: str
    files: Mapping[str, tuple[str, bytes]]


class Forge(Protocol):
    """One repository on one forge.

    Every method raises ForgeError where the forge refuses, or cannot be reached within the client's patience. What
    makes something new looks, before it tries again, whether a try that seemed to fail has made it.
    """

    name: str
    #: The longest body of a pull request, issue or comment, in characters.
    body_limit: int

    def default_branch(self) -> str:
        """The branch that pull requests are for unless something else is said."""

    def me(self) -> str:
        """The account that the token belongs to; empty where the token may not ask."""

    def pulls(self, prefix: str, branches: Sequence[str]) -> Sequence[Pull]:
        """Pull requests of the repository's own branches that begin with `prefix`, the newest first.

        All that are open; of those that ended, all of `branches`, and the latest of others.
        """

    def pull(self, number: int) -> Pull:
        """One pull request."""

    def open_pull(self, new: NewPull) -> Pull:
        """Open one; or the one that is open for that branch already."""

    def update_pull(self, number: int, *, title: str, body: str) -> None:
        """Give it another title and body."""

    def close_pull(self, number: int) -> None:
        """Close it unmerged."""

    def comments(self, number: int) -> Sequence[Comment]:
        """The comments below a pull request or issue, the oldest first."""

    def add_comment(self, number: int, body: str) -> None:
        """Say something below a pull request or issue."""

    def edit_comment(self, number: int, comment: int, body: str) -> None:
        """Say something else in a comment, of the pull request or issue `number`, that was made before."""

    def add_labels(self, number: int, labels: Sequence[str]) -> None:
        """Put labels on a pull request, those it has stay."""

    def request_reviews(self, number: int, reviewers: Sequence[str]) -> None:
        """Ask people, or teams as `owner/team`, for a review."""

    def assign(self, number: int, assignees: Sequence[str]) -> None:
        """Assign people."""

    def head_ref(self, number: int) -> str:
        """The reference under which git can fetch a pull request's last commit, also of one from a fork."""

    def changed_lines(self, number: int) -> Mapping[str, NewLines]:
        """The new side of a pull request's diff, for each file that the forge shows the diff of."""

    def suggestion(self, lines: int, text: str) -> str:
        """Markdown that offers `text` in place of the `lines` lines that end where the comment stands."""

    def line_comments(self, number: int) -> Sequence[LineComment]:
        """The comments on lines of a pull request."""

    def add_line_comment(self, number: int, commit: str, comment: LineComment) -> None:
        """Comment on lines that the diff shows."""

    def edit_line_comment(self, number: int, comment: LineComment) -> None:
        """Give a comment on lines another text."""

    def delete_line_comment(self, number: int, comment: int) -> None:
        """Take back a comment on lines."""

    def report(self, check: Check) -> None:
        """Say what autolock says of a commit: the same name replaces what was said before."""

    def may_write(self, user: str) -> bool:
        """Whether somebody may push to the repository."""

    def issues(self, title: str) -> Sequence[Issue]:
        """Issues of that title, the oldest first."""

    def open_issue(self, title: str, body: str) -> Issue:
        """Open an issue."""

    def update_issue(self, number: int, body: str, *, open: bool = True) -> None:
        """Give an issue another body, and open or close it."""
