"""Git for pull requests: the base as a folder of its own, commits without a checkout, pushes that overwrite nobody.

The user's work tree, index and branches are left alone, and hooks are not run: they are the repository's code.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from autolock.deliver.worktree import outside_of_hooks
from autolock.errors import AutolockError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from autolock.findings import FileChange

#: Asked by git for a name and a password. The token is in its environment, and nowhere else; the host of a submodule,
#: a mirror or a redirect does not get it.
_ASKPASS = """#!/bin/sh
for origin in "$AUTOLOCK_GIT_SCHEME" https; do
  case "$1" in
  "Username for '$origin://$AUTOLOCK_GIT_HOST'"* | "Username for '$origin://$AUTOLOCK_GIT_HOST/"*)
    printf '%s\\n' "$AUTOLOCK_GIT_USER"; exit ;;
  "Password for '$origin://$AUTOLOCK_GIT_USER@$AUTOLOCK_GIT_HOST'"* | \\
  "Password for '$origin://$AUTOLOCK_GIT_USER@$AUTOLOCK_GIT_HOST/"*)
    printf '%s\\n' "$AUTOLOCK_GIT_TOKEN"; exit ;;
  esac
done
exit 1
"""
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
#: What git says of connections and servers that failed, and the seconds until it is asked again.
_OUTAGE = re.compile(
    r"HTTP 5\d\d|error: 5\d\d|hung up|disconnect|reset by peer|timed out|Empty reply|early EOF|Connection refused"
)
_WAITS = (1.0, 3.0)
_NO_PROMPT = {"GIT_TERMINAL_PROMPT": "0"}
#: Settings of a person that would change what git does or prints here. Nothing is asked of a submodule's host.
_SETTINGS = (
    f"core.hooksPath={os.devnull}",
    "core.fsmonitor=false",
    "core.sparseCheckout=false",  # all files are looked at: those left out would seem to be without findings
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "push.recurseSubmodules=no",
    "log.showSignature=false",
    "i18n.commitEncoding=UTF-8",
    "i18n.logOutputEncoding=UTF-8",
)
#: Files that are kept elsewhere are no Python.
_NO_DOWNLOADS = {"GIT_LFS_SKIP_SMUDGE": "1"}
_DEEPER = 100
_FALLBACK = "autolock <autolock@localhost>"
_AUTHOR = re.compile(r"\s*([^<>\n]+?)\s*<([^<>\s]+)>\s*")


class GitError(AutolockError):
    """Git failed; `rejected` where the remote's branch is not the one that was expected."""

    def __init__(self, message: str, hint: str = "", *, rejected: bool = False) -> None:
        super().__init__(message, hint)
        self.rejected = rejected


@dataclass(frozen=True, slots=True)
class Access:
    """With which name and token git asks the host of a URL over HTTP; all empty for what git has of its own."""

    user: str = ""
    token: str = ""
    url: str = ""


class Repository:
    """The git repository of a checkout and one remote of it."""

    def __init__(self, folder: Path, remote: str, access: Access) -> None:
        self._folder = folder
        self._remote = remote
        self._access = access
        try:
            self.top = Path(os.fsdecode(self._git("rev-parse", "--show-toplevel")).strip())
        except GitError:
            raise AutolockError(f"{folder}: not in a git work tree", "run this in a clone of the repository") from None
        self._folder = self.top  # git means paths from where it runs
        if access.token and self.url.startswith(("http://", "https://")):
            self._remote = self.url  # a name or password that a job has put into it would come before the token

    @property
    def url(self) -> str:
        """The remote's URL without anybody's name or password. Raises AutolockError where there is no such remote."""
        if "://" in self._remote:
            return _CREDENTIALS.sub("", self._remote)
        try:
            found = os.fsdecode(self._git("remote", "get-url", "--push", self._remote)).strip()
        except GitError:
            raise AutolockError(f"{self.top}: no remote is called {self._remote!r}", "pass --remote NAME") from None
        return _CREDENTIALS.sub("", found)

    # -- the remote ------------------------------------------------------------------

    def fetch_base(self, branch: str) -> str:
        """The newest commit of the base branch, fetched. Raises AutolockError where there is no such branch."""
        for _ in range(5):
            commit = self.heads(branch).get(branch)
            if commit is None:
                raise AutolockError(f"the remote has no branch {branch!r}", "pass --base NAME")
            self.fetch(f"refs/heads/{branch}", commit)
            if self._has(commit):  # or it has been moved in between
                self._deepen(branch)
                return commit
        raise GitError(f"{branch} cannot be fetched: it is moved each time", "run again")

    def _deepen(self, branch: str) -> None:
        """In a shallow clone, get enough of the history to read the habit of commits and to know older branches."""
        if os.fsdecode(self._git("rev-parse", "--is-shallow-repository")).strip() == "true":
            options = ("--no-tags", "--no-write-fetch-head", f"--deepen={_DEEPER}")
            self._git("fetch", *options, self._remote, f"refs/heads/{branch}", network=True)

    def default_branch(self) -> str:
        """The branch that the remote's HEAD is on, where no forge is asked."""
        listed = os.fsdecode(self._git("ls-remote", "--symref", self._remote, "HEAD", network=True))
        found = re.search(r"^ref: refs/heads/(\S+)\tHEAD$", listed, re.MULTILINE)
        return found[1] if found else "main"

    def heads(self, *patterns: str) -> dict[str, str]:
        """The remote's branches that fit a pattern, with their commits."""
        listed = self._git(
            "ls-remote", "--refs", self._remote, *(f"refs/heads/{pattern}" for pattern in patterns), network=True
        )
        lines = (line.split("\t") for line in os.fsdecode(listed).splitlines() if "\t" in line)
        return {name.removeprefix("refs/heads/"): commit for commit, name in lines}

    def fetch(self, reference: str, commit: str) -> None:
        """Get the commit that a reference of the remote is at (`refs/heads/main`), if it is not here."""
        if not self._has(commit):
            self._git("fetch", "--no-tags", "--no-write-fetch-head", self._remote, reference, network=True)

    def push(self, branch: str, commit: str, expected: str) -> None:
        """Move a branch of the remote from the expected commit (empty: there is no such branch) to another.

        Raises GitError, `rejected`, where somebody else has moved it since.
        """
        self._move(branch, commit, expected)

    def delete(self, branch: str, expected: str) -> None:
        """Delete a branch of the remote that is at the expected commit.

        Raises GitError, `rejected`, where somebody else has moved it since.
        """
        self._move(branch, "", expected)

    def _move(self, branch: str, commit: str, expected: str) -> None:
        lease = f"--force-with-lease=refs/heads/{branch}:{expected}"
        try:
            self._git(
                "push", "--no-verify", "--porcelain", lease, self._remote, f"{commit}:refs/heads/{branch}", network=True
            )
        except GitError as error:
            with contextlib.suppress(GitError):
                if self.heads(branch).get(branch, "") == commit:  # it arrived, and only the answer did not
                    return
            if "stale info" in error.message or "[rejected]" in error.message:
                raise GitError(f"{branch} has been moved by somebody else", "run again", rejected=True) from None
            raise

    # -- commits ---------------------------------------------------------------------

    @contextlib.contextmanager
    def checked_out(self, commit: str) -> Iterator[Path]:
        """The files of a commit in a folder that is gone afterwards."""
        with tempfile.TemporaryDirectory(prefix="autolock-") as folder:
            place = Path(os.path.realpath(folder)) / self.top.name
            # With the token: a clone may be partial, and git get files only now.
            add = ("worktree", "add", "--detach", "--quiet", str(place), commit)
            run_git(add, self._folder, self._access, environment=_NO_DOWNLOADS)
            try:
                yield place
            finally:
                with contextlib.suppress(GitError):
                    self._git("worktree", "remove", "--force", str(place))

    def tidy(self) -> None:
        """Remove what a run that was killed has left; for a clone that nobody else uses meanwhile."""
        for line in os.fsdecode(self._git("worktree", "list", "--porcelain")).splitlines():
            place = Path(line.removeprefix("worktree "))
            if line.startswith("worktree ") and place.resolve() != self.top.resolve():
                self._git("worktree", "remove", "--force", "--force", str(place))
                with contextlib.suppress(OSError):
                    place.parent.rmdir()

    def commit(self, parent: str, changes: Sequence[FileChange], message: str, author: str) -> str:
        """A commit on `parent` that changes whole files; returns its name. No branch is moved.

        The same change of the same parent gives the same commit: its time is the parent's.
        """
        with self._as_of(parent) as (git, blob_of):
            for change in changes:
                mode = self._mode(parent, change.path)
                git("update-index", "--add", "--cacheinfo", f"{mode},{blob_of(change)},{change.path}")
            tree = os.fsdecode(git("write-tree")).strip()
        name, address = self.author(author)
        date = os.fsdecode(self._git("show", "-s", "--format=%cI", parent)).strip()
        who = {
            f"GIT_{role}_{part}": value
            for role in ("AUTHOR", "COMMITTER")
            for part, value in (("NAME", name), ("EMAIL", address), ("DATE", date))
        }
        made = self._git("commit-tree", tree, "-p", parent, given=message.encode(), environment=who)
        return os.fsdecode(made).strip()

    def author(self, configured: str) -> tuple[str, str]:
        """Name and address for commits: as configured, else as git has them."""
        own = configured
        if not own:
            name, address = self._setting("user.name"), self._setting("user.email")
            own = f"{name} <{address}>" if name and address else _FALLBACK
        found = _AUTHOR.fullmatch(own)
        if found is None:
            raise AutolockError(f'"author" must be "Name <address>", not {own!r}', "see [tool.autolock.pr]")
        return found[1], found[2]

    def subjects(self, commit: str, count: int) -> list[str]:
        """The first lines of the last commits that are no merges."""
        listed = self._git("log", "--no-merges", f"--max-count={count}", "--format=%s", commit)
        return os.fsdecode(listed).splitlines()

    def message(self, commit: str) -> str:
        """The message of a commit as its author wrote it; empty for one that somebody has amended or rebased since."""
        shown = os.fsdecode(self._git("show", "-s", "--format=%at %ct%n%B", commit))
        times, _, text = shown.partition("\n")
        return text.strip() if len(set(times.split())) == 1 else ""

    def text(self, commit: str, path: str) -> str | None:
        """The text of a file in a commit; None where there is no such file."""
        try:
            return self._git("show", f"{commit}:{path}").decode("utf-8", "replace")
        except GitError:
            return None

    def same_change(self, base: str, commit: str, changes: Sequence[FileChange]) -> bool:
        """Whether a commit makes these changes and no other, on the history of the base, to which they still apply."""
        parents = os.fsdecode(self._git("rev-list", "--parents", "--max-count=1", commit)).split()[1:]
        if len(parents) != 1 or not self._is_ancestor(parents[0], base):
            return False
        before, now = self._blobs(parents[0]), self._blobs(base)
        made = self._blobs(commit)
        with self._as_of(base) as (_, blob_of):
            wanted = {change.path: blob_of(change) for change in changes}
        changed = {path: blob for path, blob in made.items() if before.get(path) != blob}
        return wanted == changed and all(before.get(path) == now.get(path) for path in wanted)

    def kept(self, commit: str, changes: Sequence[FileChange]) -> dict[str, tuple[str, bytes]]:
        """The modes and contents of changed files as git keeps them in a commit's child."""
        with self._as_of(commit) as (git, blob_of):
            return {c.path: (self._mode(commit, c.path), git("cat-file", "blob", blob_of(c))) for c in changes}

    @contextlib.contextmanager
    def _as_of(self, commit: str) -> Iterator[tuple[Callable[..., bytes], Callable[[FileChange], str]]]:
        """Git with the index of a commit in an almost empty folder, and what names a changed file's contents there.

        Line ends are kept as the commit's own attributes and files say, not as those of the checkout.
        """
        inside = os.fsdecode(self._git("rev-parse", "--absolute-git-dir")).strip()
        with tempfile.TemporaryDirectory(prefix="autolock-") as folder:
            empty = Path(folder) / "files"
            empty.mkdir()
            around = {"GIT_DIR": inside, "GIT_WORK_TREE": str(empty), "GIT_INDEX_FILE": str(Path(folder) / "index")}

            def git(*arguments: str) -> bytes:
                return run_git(arguments, empty, Access(), environment=around)

            def blob_of(change: FileChange) -> str:
                file = empty / change.path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(change.after)
                git("update-index", "--add", "--", change.path)
                return os.fsdecode(git("ls-files", "--stage", "--", change.path)).split()[1]

            git("read-tree", commit)
            names = [os.fsdecode(name) for name in git("ls-files", "-z").split(b"\0")]
            attributes = [name for name in names if name.rpartition("/")[2] == ".gitattributes"]
            git("checkout-index", "--quiet", "--", *attributes)
            yield git, blob_of

    def _is_ancestor(self, commit: str, of: str) -> bool:
        try:
            self._git("merge-base", "--is-ancestor", commit, of)
        except GitError:  # it is none, or is not here
            return False
        return True

    def _blobs(self, commit: str) -> dict[str, str]:
        entries = self._git("ls-tree", "-r", "-z", commit).split(b"\0")
        split = (entry.partition(b"\t") for entry in entries if entry)
        return {os.fsdecode(path): os.fsdecode(about).split()[2] for about, _, path in split}

    def _mode(self, commit: str, path: str) -> str:
        entry = os.fsdecode(self._git("ls-tree", commit, "--", path))
        return entry.split(" ", 1)[0] if entry else "100644"

    def _has(self, commit: str) -> bool:
        try:
            self._git("cat-file", "-e", f"{commit}^{{commit}}")
        except GitError:
            return False
        return True

    def _setting(self, name: str) -> str:
        try:
            return os.fsdecode(self._git("config", "--get", name)).strip()
        except GitError:
            return ""

    def _git(
        self,
        *arguments: str,
        given: bytes | None = None,
        environment: Mapping[str, str] | None = None,
        network: bool = False,
    ) -> bytes:
        if not network:
            return run_git(arguments, self._folder, Access(), given=given, environment=environment)
        return over_network(lambda: run_git(arguments, self._folder, self._access, environment=_NO_PROMPT))


def over_network(ask: Callable[[], bytes]) -> bytes:
    """What git prints, tried again where the connection or the server failed.

    Nothing that is asked here is done twice: a push whose answer was lost finds the branch where it wants it.
    """
    for wait in _WAITS:
        try:
            return ask()
        except GitError as error:
            if error.rejected or not _OUTAGE.search(error.message):
                raise
        time.sleep(wait)
    return ask()


def cloned(url: str, folder: Path, access: Access) -> Path:
    """A clone without files checked out, made where there is none yet; a crash leaves none or a whole one."""
    if not (folder / ".git").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        for left in folder.parent.glob(f"{folder.name}-*"):  # of a bot that was killed
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=f"{folder.name}-", dir=folder.parent) as beside:
            made = Path(beside) / "clone"
            over_network(lambda: run_git(("clone", "--quiet", "--no-checkout", url, str(made)), folder.parent, access))
            made.rename(folder)
    return folder


def run_git(
    arguments: Sequence[str],
    folder: Path,
    access: Access,
    *,
    given: bytes | None = None,
    environment: Mapping[str, str] | None = None,
) -> bytes:
    """What git prints. Raises GitError with what it complains about, without anybody's password."""
    with contextlib.ExitStack() as stack:
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        around = {**outside_of_hooks(), **(environment or {})}
        if access.token:
            parts = urlsplit(access.url)
            # What a job has written into the checkout's configuration would come before the token.
            settings += ["-c", "credential.helper=", "-c", f"http.{parts.scheme}://{parts.netloc}/.extraheader="]
            around |= stack.enter_context(_asked(access))
        try:
            result = subprocess.run(
                ["git", *settings, "--literal-pathspecs", *arguments],
                cwd=folder,
                env=around,
                input=given,
                stdin=subprocess.DEVNULL if given is None else None,
                capture_output=True,
                check=False,
            )
        except OSError as error:
            raise AutolockError(f"git cannot be run: {error.strerror or error}", "install git") from None
    if result.returncode:
        raise GitError(f"git {arguments[0]} failed: {_complaint(result.stdout + result.stderr, access)}")
    return result.stdout


@contextlib.contextmanager
def _asked(access: Access) -> Iterator[dict[str, str]]:
    """The environment in which git gets the token by asking for it."""
    with tempfile.TemporaryDirectory(prefix="autolock-") as folder:
        script = Path(folder) / "askpass"
        script.write_text(_ASKPASS, encoding="ascii")
        script.chmod(0o700)
        yield {
            **_NO_PROMPT,
            "GIT_ASKPASS": str(script),
            "AUTOLOCK_GIT_SCHEME": urlsplit(access.url).scheme,
            "AUTOLOCK_GIT_HOST": urlsplit(access.url).netloc,
            "AUTOLOCK_GIT_USER": access.user,
            "AUTOLOCK_GIT_TOKEN": access.token,
        }


def _complaint(output: bytes, access: Access) -> str:
    text = _CREDENTIALS.sub("", " ".join(output.decode("utf-8", "replace").split()))
    if access.token:
        text = text.replace(access.token, "***")
    return text[:400] or "no reason"
