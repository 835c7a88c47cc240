"""What a forge knows: repositories with their pull requests and issues. Everything of git's is asked of git."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from forge.git import Bare, ChangedFile, Commit, GitError, Person
from forge.people import Access, App, Installation, Role, User, role

BODY_LIMIT = 65536


@dataclass(eq=False)
class Label:
    id: int
    name: str
    color: str = "ededed"
    description: str = ""  # GitHub gives null; its description of pull requests does not let it be


@dataclass(eq=False)
class Reaction:
    id: int
    user: User
    content: str
    created: float


@dataclass(eq=False)
class Comment:
    """A comment below an issue or a pull request."""

    id: int
    item: Issue
    author: User
    body: str
    created: float
    updated: float
    app: App | None = None
    reactions: list[Reaction] = field(default_factory=list)


@dataclass(eq=False)
class Issue:
    """An issue, and what a pull request shares with it."""

    id: int
    number: int
    repository: Repository
    author: User
    title: str
    body: str
    created: float
    updated: float
    state: str = "open"
    closed: float | None = None
    closed_by: User | None = None
    app: App | None = None
    locked: bool = False
    labels: dict[str, Label] = field(default_factory=dict)
    assignees: dict[str, User] = field(default_factory=dict)
    comments: list[Comment] = field(default_factory=list)

    @property
    def is_pull(self) -> bool:
        return isinstance(self, Pull)


@dataclass(eq=False)
class ReviewComment:
    """A comment on a line of a pull request's diff."""

    id: int
    pull: Pull
    review: int
    author: User
    body: str
    path: str
    side: str
    original_line: int | None
    original_start_line: int | None
    start_side: str | None
    commit_id: str
    diff_hunk: str
    created: float
    updated: float
    in_reply_to: int | None = None

    @property
    def is_on_file(self) -> bool:
        return self.original_line is None

    @property
    def line(self) -> int | None:
        """Where its line stands in the head of today, or None where the line was changed: the comment is outdated."""
        return self._now(self.original_line)

    @property
    def start_line(self) -> int | None:
        return self._now(self.original_start_line) if self.line is not None else None

    def _now(self, number: int | None) -> int | None:
        if number is None or self.side == "LEFT":
            return number
        return self.pull.repository.git.line_now(self.path, number, self.commit_id, self.pull.head_sha)


@dataclass(eq=False)
class Review:
    id: int
    author: User
    body: str
    state: str
    commit_id: str
    submitted: float | None


@dataclass(eq=False)
class Pull(Issue):
    """A pull request between two branches: the base is the repository's, the head the source's, a fork or itself."""

    source: Repository = field(kw_only=True)
    head: str = ""
    base: str = ""
    head_sha: str = ""
    base_sha: str = ""
    draft: bool = False
    maintainer_can_modify: bool = False
    merged: bool = False
    merged_at: float | None = None
    merged_by: User | None = None
    merge_sha: str | None = None
    requested_reviewers: dict[str, User] = field(default_factory=dict)
    requested_teams: dict[str, str] = field(default_factory=dict)
    reviews: list[Review] = field(default_factory=list)
    review_comments: list[ReviewComment] = field(default_factory=list)
    mergeability_asked: tuple[str, str] | None = None

    @property
    def fork_point(self) -> str:
        return self.repository.git.merge_base(self.base_sha, self.head_sha) or self.base_sha

    @property
    def commits(self) -> list[Commit]:
        return self.repository.git.commits(self.base_sha, self.head_sha)

    @property
    def files(self) -> tuple[ChangedFile, ...]:
        return self.repository.changed(self.fork_point, self.head_sha)

    def mergeable(self) -> bool | None:
        """Whether it merges without a conflict. As on GitHub, who asks first after a push learns None: it is not known
        yet."""
        ends = (self.base_sha, self.head_sha)
        if self.state == "closed":
            return None
        if self.mergeability_asked != ends:
            self.mergeability_asked = ends
            return None
        return self.repository.git.merged_tree(*ends) is not None


@dataclass(eq=False)
class Status:
    id: int
    sha: str
    context: str
    state: str
    description: str | None
    target_url: str | None
    creator: User
    created: float


@dataclass(eq=False)
class CheckRun:
    id: int
    app: App
    name: str
    head_sha: str
    status: str = "queued"
    conclusion: str | None = None
    details_url: str | None = None
    external_id: str | None = None
    started: str | None = None
    completed: str | None = None
    title: str | None = None
    summary: str | None = None
    text: str | None = None
    annotations: list[dict[str, Any]] = field(default_factory=list)


class Repository:
    """A bare repository with a clone of nothing: what is in it was committed here, pushed, or sent to the API."""

    def __init__(
        self,
        world: World,
        owner: User,
        name: str,
        *,
        private: bool,
        default_branch: str,
        parent: Repository | None = None,
    ) -> None:
        self.world = world
        self.parent = parent
        self.id = world.number()
        self.owner = owner
        self.name = name
        self.private = private
        self.default_branch = default_branch
        self.git = Bare(world.folder / owner.login / f"{name}.git", default_branch)
        self.items: dict[int, Issue] = {}
        self.labels: dict[str, Label] = {}
        self.statuses: list[Status] = []
        self.check_runs: dict[int, CheckRun] = {}
        self.collaborators: dict[str, str] = {}
        self.verified: set[str] = set()
        self.actions_may_open_pulls = True
        self.created = world.time()
        self.changed = cache(self.git.changed)

    @property
    def full_name(self) -> str:
        return f"{self.owner.login}/{self.name}"

    @property
    def path(self) -> Path:
        return self.git.path

    @property
    def clone_url(self) -> str:
        return f"{self.world.url}/{self.full_name}.git"

    @property
    def pulls(self) -> dict[int, Pull]:
        return {number: item for number, item in self.items.items() if isinstance(item, Pull)}

    @property
    def issues(self) -> dict[int, Issue]:
        """The issues that are no pull requests."""
        return {number: item for number, item in self.items.items() if not item.is_pull}

    def role(self, user: User) -> Role:
        if user is self.owner:
            return Role.ADMIN
        return role(self.collaborators[user.login]) if user.login in self.collaborators else user.role

    # What is in git

    def head(self, branch: str) -> str | None:
        """The commit that the branch points to."""
        return self.branches().get(branch)

    def branches(self) -> dict[str, str]:
        return {name.removeprefix("refs/heads/"): sha for name, sha in self.git.refs("refs/heads/").items()}

    def commits(self, branch: str, since: str | None = None) -> list[Commit]:
        """The commits that the branch has and `since` (the default branch) does not, the oldest first."""
        return self.git.commits(self._sha(since or self.default_branch), self._sha(branch))

    def files(self, ref: str | None = None) -> dict[str, str]:
        """Every file of a branch or commit with its text."""
        entries = self.git.entries(self._sha(ref or self.default_branch), recursive=True)
        return {
            entry.path: self.git.read_blob(entry.sha).decode(errors="replace")
            for entry in entries
            if entry.kind == "blob"
        }

    def commit(
        self,
        branch: str,
        files: Mapping[str, str | bytes | None],
        *,
        message: str = "Change files",
        author: User | None = None,
        base: str | None = None,
    ) -> str:
        """Put a commit on the branch (made at `base`, the default branch, where it is not there yet).

        A file of None is removed. Returns the sha.
        """
        with self.world.lock:
            parent = self.head(branch) or self.head(base or self.default_branch)
            contents = {path: text.encode() if isinstance(text, str) else text for path, text in files.items()}
            self.git.add_commit(branch, parent, contents, message, self.person(author or self.world.founder))
            self.follow()
            return self._sha(branch)

    def force(self, branch: str, sha: str) -> None:
        """Make the branch point to the commit."""
        with self.world.lock:
            self.git.set_ref(f"refs/heads/{branch}", sha)
            self.follow()

    def delete_branch(self, branch: str) -> None:
        with self.world.lock:
            self.git.delete_ref(f"refs/heads/{branch}")
            self.follow()

    def _sha(self, name: str) -> str:
        """The commit of a branch or sha; raises KeyError where there is none."""
        found = self.git.resolve(name)
        if found is None:
            raise KeyError(name)
        return found

    def person(self, user: User) -> Person:
        return Person(user.login, user.email, self.world.time())

    # Pull requests and issues

    def open_pull(
        self,
        head: str,
        *,
        base: str | None = None,
        title: str = "Change something",
        body: str = "",
        by: User | None = None,
        draft: bool = False,
        source: Repository | None = None,
    ) -> Pull:
        """Open a pull request, without any of the checks that a face makes; `source` is a fork that has the head."""
        with self.world.lock:
            base, source = base or self.default_branch, source or self
            pull = Pull(
                **self._new(title, body, by),
                source=source,
                head=head,
                base=base,
                head_sha=source.head(head) or "",
                base_sha=self.head(base) or "",
                draft=draft,
            )
            self.items[pull.number] = pull
            self._publish(pull)
            return pull

    def open_issue(self, *, title: str, body: str = "", by: User | None = None) -> Issue:
        with self.world.lock:
            issue = Issue(**self._new(title, body, by))
            self.items[issue.number] = issue
            return issue

    def _new(self, title: str, body: str, by: User | None) -> dict[str, Any]:
        now = self.world.time()
        return {
            "id": self.world.number(),
            "number": len(self.items) + 1,
            "repository": self,
            "author": by or self.world.founder,
            "title": title,
            "body": body,
            "created": now,
            "updated": now,
        }

    def comment(self, number: int, body: str, by: User | None = None, app: App | None = None) -> Comment:
        with self.world.lock:
            item = self.items[number]
            now = self.world.time()
            comment = Comment(self.world.number(), item, by or self.world.founder, body, now, now, app)
            item.comments.append(comment)
            return comment

    def close(self, number: int, by: User | None = None) -> None:
        with self.world.lock:
            item = self.items[number]
            item.state, item.closed, item.closed_by = "closed", self.world.time(), by or self.world.founder

    def reopen(self, number: int) -> None:
        with self.world.lock:
            item = self.items[number]
            item.state, item.closed, item.closed_by = "open", None, None
            self.follow()

    def merge(
        self, number: int, by: User | None = None, *, method: str = "merge", title: str | None = None, text: str = ""
    ) -> str:
        """Merge a pull request for good: by a merge commit, or by one commit on the base (`squash`, `rebase`).

        Returns the new head of the base; raises GitError where the two are in conflict.
        """
        with self.world.lock:
            pull = self.pulls[number]
            who = by or self.world.founder
            tree = self.git.merged_tree(pull.base_sha, pull.head_sha)
            if tree is None:
                raise GitError("Merge conflict")
            person = self.person(who)
            parents = [pull.base_sha, pull.head_sha] if method == "merge" else [pull.base_sha]
            subject = title or (
                f"Merge pull request #{number} from {pull.source.owner.login}/{pull.head}"
                if method == "merge"
                else f"{pull.title} (#{number})"
            )
            sha = self.git.write_commit(tree, parents, f"{subject}\n\n{text or pull.title}", person, person)
            self.close(number, by)
            pull.merged, pull.merged_at, pull.merged_by, pull.merge_sha = True, pull.closed, who, sha
            self.force(pull.base, sha)
            return sha

    def opened(self, head: str, base: str, source: Repository) -> Pull | None:
        """The pull request that is open for these two branches."""
        for pull in self.pulls.values():
            if (pull.head, pull.base, pull.source, pull.state) == (head, base, source, "open"):
                return pull
        return None

    def source(self, owner: str) -> Repository | None:
        """Where a pull request's head is that is written `owner:branch`: this repository or a fork of it."""
        if owner.lower() in ("", self.owner.login.lower()):
            return self
        forks = (one for one in self.world.repositories.values() if one.parent is self)
        return next((fork for fork in forks if fork.owner.login.lower() == owner.lower()), None)

    def label(self, name: str) -> Label:
        """The label with this name (whatever its case), made where there is none."""
        known = next((label for label in self.labels.values() if label.name.lower() == name.lower()), None)
        if known is None:
            known = self.labels[name] = Label(self.world.number(), name)
        return known

    def follow(self) -> None:
        """Let the open pull requests follow what happened to their branches, as every forge does after a push."""
        if self.parent:
            self.parent.follow()
        for pull in self.pulls.values():
            if pull.state != "open":
                continue
            head, base = pull.source.head(pull.head), self.head(pull.base)
            if head is None or base is None:
                self.close(pull.number)
                continue
            moved = (pull.head_sha, pull.base_sha) != (head, base)
            pull.head_sha, pull.base_sha, before = head, base, pull.head_sha
            if moved:
                self._publish(pull)
                pull.updated = self.world.time()
                self._settle(pull, before)

    def _publish(self, pull: Pull) -> None:
        """Name its last commit as GitHub and Gitea do, and as GitLab does, so that git can fetch it."""
        self.bring(pull.source, pull.head_sha)
        self.git.set_ref(f"refs/pull/{pull.number}/head", pull.head_sha)
        number = list(self.pulls).index(pull.number) + 1
        self.git.set_ref(f"refs/merge-requests/{number}/head", pull.head_sha)

    def bring(self, source: Repository, sha: str) -> None:
        """Have a commit here that is in a fork."""
        if source is not self:
            self.git.run("fetch", "--quiet", str(source.path), sha)

    def _settle(self, pull: Pull, before: str) -> None:
        """Close a pull request that has no commits left: merged by hand, or its branch was put back onto the base."""
        if not self.git.is_ancestor(pull.head_sha, pull.base_sha):
            return
        self.close(pull.number)
        if pull.head_sha == before:
            pull.merged, pull.merged_at, pull.merged_by = True, pull.closed, pull.closed_by
            pull.merge_sha = pull.base_sha


class World:
    """Everything of one forge. The lock is held while a request takes effect, so that every effect is whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""
        self.lock = threading.RLock()
        self.users: dict[str, User] = {}
        self.repositories: dict[str, Repository] = {}
        self.installations: dict[int, Installation] = {}
        self.apps: list[App] = []
        self.accesses: dict[str, Access] = {}
        self.teams: set[str] = set()
        self.spent = 0
        self._limited_until = 0.0
        self._advanced = 0.0
        self._numbers = itertools.count(1001)

    @cached_property
    def founder(self) -> User:
        """Who does what a test does not say somebody did."""
        return self.user("founder", Role.ADMIN)

    def number(self) -> int:
        """An id that nothing else has."""
        return next(self._numbers)

    def time(self) -> float:
        """Seconds since 1970 by the forge's clock."""
        return time.time() + self._advanced

    def advance(self, seconds: float) -> None:
        """Let time pass without waiting."""
        self._advanced += max(0.0, seconds)

    @property
    def limited_until(self) -> float | None:
        """When requests are answered again, or None where they are now."""
        return self._limited_until if self._limited_until > self.time() else None

    def limit(self, seconds: float) -> None:
        """Answer no request of the API until so many seconds are over."""
        self._limited_until = self.time() + seconds

    def user(self, login: str, of: Role = Role.READ, kind: str = "User") -> User:
        """A new account with a token."""
        user = User(self.number(), login, of, kind)
        self.users[login.lower()] = user
        self.accesses[user.token] = Access(user)
        return user

    def account(self, login: str) -> User:
        """The account that owns repositories below this name; an organization where nobody has it."""
        return self.users.get(login.lower()) or self.user(login, Role.NONE, "Organization")

    def repository(self, owner: str, name: str) -> Repository | None:
        return self.repositories.get(f"{owner}/{name}".lower())

    def access(self, token: str) -> Access | None:
        """What a token stands for, or None where it is unknown, expired or of a suspended installation."""
        access = self.accesses.get(token)
        if access is None or (access.expires is not None and access.expires <= self.time()):
            return None
        if access.installation and access.installation.suspended:
            return None
        return access

    def visible(self, access: Access) -> Iterator[Repository]:
        return (repository for repository in self.repositories.values() if access.sees(repository))
