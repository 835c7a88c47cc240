"""What a repository says about the pull requests that it wants: [tool.autolock.pr]."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from autolock.findings import Severity


class Grouping(str, Enum):
    """What shares a pull request."""

    RULE = "rule"
    LOCATION = "location"
    ALL = "all"


class CommitStyle(str, Enum):
    """How the first line of a commit is written: as the repository's own are, or one way in any case."""

    AUTO = "auto"
    CONVENTIONAL = "conventional"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class PullSettings:
    """Settings of pull requests.

    `base` is the branch they are for, empty for the forge's default. `severity` is the lowest that is proposed,
    `unsafe` also proposes fixes that a reviewer must agree to. `forge` and `api` are for hosts whose name does
    not say what they are. `max_open` and `per_hour` bound how many there are at once, and how many are opened within
    an hour. `schedule` holds times at which new ones may be opened, in UTC, as in "mon-fri 06:00-18:00"; empty for any.
    `reviewers` and `assignees` are accounts, teams as "owner/team", and "codeowners" for who owns the changed files.
    `author` is "Name <address>" of the commits, empty for what git is configured with. `sign_off` adds a
    Signed-off-by line of the author, `co_authors` are further "Name <address>". `check` reports each run on the base's
    commit, `dashboard` keeps an issue with what is proposed and what is not.
    """

    base: str = ""
    forge: str = ""
    api: str = ""
    group: Grouping = Grouping.RULE
    severity: Severity = Severity.MEDIUM
    unsafe: bool = False
    draft: bool = False
    max_open: int = 5
    per_hour: int = 5
    schedule: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()
    commits: CommitStyle = CommitStyle.AUTO
    author: str = ""
    sign_off: bool = False
    co_authors: tuple[str, ...] = ()
    check: bool = True
    dashboard: bool = False


PULL_DEFAULTS = PullSettings()
