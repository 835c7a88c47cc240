"""A bare repository, asked and changed with the `git` of this machine."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

MISSING = "needs git 2.38 or newer with `git http-backend`"
NOBODY = "0" * 40

ENVIRONMENT = {
    "PATH": os.environ.get("PATH", os.defpath),
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "LC_ALL": "C",
}
"""Nothing of the machine's own settings reaches the forge."""

_FIELDS = "%x1f".join(("%H", "%T", "%P", "%an", "%ae", "%at", "%cn", "%ce", "%ct", "%B"))
_SHA = re.compile(r"[0-9a-f]{40}$")
_HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_CONFIG = """\
[core]
\trepositoryformatversion = 0
\tbare = true
[http]
\treceivepack = true
[uploadpack]
\tallowAnySHA1InWant = true
[gc]
\tauto = 0
[receive]
\thideRefs = refs/pull
\thideRefs = refs/merge-requests
"""
_STATUSES = {"A": "added", "D": "removed", "M": "modified", "R": "renamed", "C": "copied", "T": "changed"}


class GitError(Exception):
    """`git` refused; the text is what it said."""


@dataclass(frozen=True)
class Person:
    """The author or committer of a commit."""

    name: str
    email: str
    when: float


@dataclass(frozen=True)
class Commit:
    """A commit as it is in the repository."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author: Person
    committer: Person
    message: str


@dataclass(frozen=True)
class Hunk:
    """A part of a diff: its lines as they stand in it, each with its number before and after."""

    header: str
    lines: tuple[tuple[str, int | None, int | None], ...]

    def place(self, side: str, number: int) -> int | None:
        """The index of the line with this number on the side, or None where the hunk does not have it."""
        column = 2 if side == "RIGHT" else 1
        return next((index for index, line in enumerate(self.lines) if line[column] == number), None)

    def until(self, index: int) -> str:
        """The hunk up to this line, as GitHub shows it above a comment."""
        return "\n".join((self.header, *(text for text, _, _ in self.lines[: index + 1])))


@dataclass(frozen=True)
class ChangedFile:
    """What a diff does to a file."""

    path: str
    status: str
    previous: str | None
    blob: str
    additions: int
    deletions: int
    patch: str | None
    hunks: tuple[Hunk, ...] = field(repr=False)


@dataclass(frozen=True)
class TreeEntry:
    """A line of `git ls-tree`."""

    mode: str
    kind: str
    sha: str
    size: int | None
    path: str


@cache
def is_installed() -> bool:
    """Whether this machine's git can serve and merge without a work tree."""
    try:
        version = subprocess.run(["git", "version"], capture_output=True, text=True, check=True).stdout
        folder = subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return False
    numbers = re.search(r"(\d+)\.(\d+)", version)
    recent = numbers is not None and (int(numbers[1]), int(numbers[2])) >= (2, 38)
    return recent and any((Path(folder) / name).exists() for name in ("git-http-backend", "git-http-backend.exe"))


class Bare:
    """A bare repository in a folder."""

    def __init__(self, path: Path, default_branch: str) -> None:
        self.path = path
        self._facts: dict[tuple[str, ...], str | None] = {}
        for folder in ("objects", "refs/heads"):
            (path / folder).mkdir(parents=True)
        (path / "HEAD").write_text(f"ref: refs/heads/{default_branch}\n")
        (path / "config").write_text(_CONFIG)

    def run(self, *arguments: str, stdin: bytes = b"", environment: Mapping[str, str] | None = None) -> str:
        """What the command prints; raises GitError with what it complains about."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            input=stdin,
            capture_output=True,
            env={**ENVIRONMENT, **(environment or {})},
            check=False,
        )
        if done.returncode:
            raise GitError(done.stderr.decode(errors="replace").strip() or f"git {arguments[0]}: {done.returncode}")
        return done.stdout.decode(errors="surrogateescape")

    def fact(self, *arguments: str) -> str | None:
        """What a command about objects, named by their shas, prints; it is asked once, as it never changes.

        None where it fails.
        """
        if arguments not in self._facts:
            try:
                self._facts[arguments] = self.run(*arguments)
            except GitError:
                self._facts[arguments] = None
        return self._facts[arguments]

    def refs(self, prefix: str = "refs/") -> dict[str, str]:
        """The full names of the refs that begin so, with what they point to; read from the files that git keeps."""
        packed = self.path / "packed-refs"
        lines = packed.read_text().splitlines() if packed.exists() else []
        found = {name: sha for sha, _, name in (line.partition(" ") for line in lines) if name.startswith("refs/")}
        for file in (self.path / "refs").rglob("*"):
            if file.is_file() and file.suffix != ".lock":
                found[file.relative_to(self.path).as_posix()] = file.read_text().strip()
        return {name: found[name] for name in sorted(found) if name.startswith(prefix)}

    def set_ref(self, name: str, sha: str) -> None:
        self.run("update-ref", name, sha)

    def delete_ref(self, name: str) -> None:
        self.run("update-ref", "-d", name)

    def is_valid_ref(self, name: str) -> bool:
        return self.fact("check-ref-format", name) is not None

    def resolve(self, name: str, kind: str = "commit") -> str | None:
        """The object of this kind that a branch, a sha, or a path in one (`sha:folder`) leads to."""
        if branch := self.refs("refs/heads/").get(f"refs/heads/{name}"):
            name = branch
        try:
            if ":" in name:
                name = self.run("rev-parse", "--verify", "--quiet", "--end-of-options", name).strip()
            question = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{{kind}}}")
            found = self._facts.get(question) if _SHA.match(name) else None
            found = self._facts[question] = found or self.run(*question)
            return found.strip()
        except GitError:
            return None

    def commits(self, base: str, head: str) -> list[Commit]:
        """The commits that the head has and the base has not, the oldest first."""
        text = self.fact("log", "-z", "--reverse", f"--format={_FIELDS}", f"{base}..{head}", "--")
        return [_commit(record) for record in (text or "").split("\0") if record]

    def commit(self, sha: str) -> Commit:
        text = self.fact("log", "-1", f"--format={_FIELDS}", sha, "--")
        if text is None:
            raise GitError(f"no commit {sha}")
        return _commit(text)

    def merge_base(self, one: str, other: str) -> str | None:
        found = self.fact("merge-base", one, other)
        return found and found.strip()

    def is_ancestor(self, one: str, other: str) -> bool:
        return self.fact("merge-base", "--is-ancestor", one, other) is not None

    def merged_tree(self, base: str, head: str) -> str | None:
        """The tree that merging makes, or None where the two are in conflict."""
        found = self.fact("merge-tree", "--write-tree", base, head)
        return found and found.strip()

    def add_commit(
        self, branch: str, parent: str | None, files: Mapping[str, bytes | None], message: str, by: Person
    ) -> None:
        """Put a commit with these changes on top of the parent, and let the branch point to it; None removes a file."""
        signature = f"{by.name} <{by.email}> {int(by.when)} +0000"
        parts = [f"reset refs/heads/{branch}\n".encode(), f"from {parent}\n\n".encode() if parent else b"\n"]
        parts += [f"commit refs/heads/{branch}\ncommitter {signature}\n".encode(), _data(message.encode())]
        for path, content in files.items():
            removed = content is None
            parts.append(f"D {path}\n".encode() if removed else f"M 100644 inline {path}\n".encode())
            parts.append(b"" if content is None else _data(content))
        self.run("fast-import", "--quiet", "--force", stdin=b"".join(parts))

    def write_commit(self, tree: str, parents: Sequence[str], message: str, author: Person, committer: Person) -> str:
        """The sha of a new commit that no ref names yet."""
        by = {
            f"GIT_{role}_{what}": value
            for role, person in (("AUTHOR", author), ("COMMITTER", committer))
            for what, value in (
                ("NAME", person.name),
                ("EMAIL", person.email),
                ("DATE", f"{int(person.when)} +0000"),
            )
        }
        options = [part for parent in parents for part in ("-p", parent)]
        return self.run("commit-tree", tree, *options, stdin=message.encode(), environment=by).strip()

    def write_blob(self, content: bytes) -> str:
        return self.run("hash-object", "-w", "--stdin", stdin=content).strip()

    def read_blob(self, sha: str) -> bytes:
        return (self.fact("cat-file", "blob", sha) or "").encode(errors="surrogateescape")

    def write_tree(self, base: str | None, entries: Sequence[tuple[str, str, str | None]]) -> str:
        """The tree of the base with entries (mode, path, sha) laid over it; a sha of None removes the path."""
        with tempfile.TemporaryDirectory() as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            if base:
                self.run("read-tree", base, environment=index)
            lines = []
            for mode, path, sha in entries:
                if mode == "040000" and sha:
                    self.run("rm", "--cached", "-r", "-q", "--ignore-unmatch", path, environment=index)
                    self.run("read-tree", f"--prefix={path}/", sha, environment=index)
                else:
                    lines.append(f"{mode if sha else '0'} {sha or NOBODY}\t{path}\0")
            self.run("update-index", "-z", "--index-info", stdin="".join(lines).encode(), environment=index)
            return self.run("write-tree", environment=index).strip()

    def entry(self, commit: str, path: str) -> TreeEntry | None:
        """What a commit, named by its sha, has at the path."""
        return next(iter(self.entries(commit, path)), None)

    def entries(self, tree: str, *paths: str, recursive: bool = False) -> list[TreeEntry]:
        """What a tree or commit, named by its sha, holds, or only what it has at the paths; with `recursive` also
        what is in its folders."""
        options = ["-r", "-t"] if recursive else []
        records = (self.fact("ls-tree", "-z", "-l", *options, tree, "--", *paths) or "").split("\0")
        found = []
        for record in filter(None, records):
            facts, _, path = record.partition("\t")
            mode, kind, sha, size = facts.split()
            found.append(TreeEntry(mode, kind, sha, None if size == "-" else int(size), path))
        return found

    def diff(self, base: str, head: str) -> str:
        return self.fact("diff", "-M", "-p", base, head) or ""

    def changed(self, base: str, head: str) -> tuple[ChangedFile, ...]:
        """The files that differ, as a pull request shows them."""
        raw = (self.fact("diff", "-M", "--raw", "-z", "--no-abbrev", base, head) or "").split("\0")
        patches = _by_file(self.diff(base, head))
        files = []
        while len(raw) > 1:
            facts = raw.pop(0).split()
            before = raw.pop(0)
            status = _STATUSES[facts[4][0]]
            path = raw.pop(0) if status in ("renamed", "copied") else before
            patch = patches.pop(0)
            hunks = _hunks(patch)
            texts = [text for hunk in hunks for text, _, _ in hunk.lines]
            files.append(
                ChangedFile(
                    path=path,
                    status=status,
                    previous=before if path != before else None,
                    blob=facts[3] if status != "removed" else facts[2],
                    additions=sum(text.startswith("+") for text in texts),
                    deletions=sum(text.startswith("-") for text in texts),
                    patch="\n".join(patch[_start(patch) :]) if hunks else None,
                    hunks=hunks,
                )
            )
        return tuple(files)

    def line_now(self, path: str, number: int, then: str, now: str) -> int | None:
        """Where a line of a file at one commit stands at another, or None where it was changed."""
        text = self.fact("diff", "-U0", "--no-renames", then, now, "--", path) or ""
        moved = 0
        for match in filter(None, map(_HUNK.match, text.splitlines())):
            start, count = int(match[1]), int(match[2] or 1)
            if start + (count == 0) > number:
                break
            if count and start <= number < start + count:
                return None
            moved += int(match[4] or 1) - count
        return number + moved


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)


def _commit(record: str) -> Commit:
    sha, tree, parents, *people, message = record.split("\x1f")
    return Commit(
        sha=sha,
        tree=tree,
        parents=tuple(parents.split()),
        author=Person(people[0], people[1], float(people[2])),
        committer=Person(people[3], people[4], float(people[5])),
        message=message.rstrip("\n"),
    )


def _by_file(patch: str) -> list[list[str]]:
    files: list[list[str]] = []
    for line in patch.split("\n"):
        if line.startswith("diff --git "):
            files.append([])
        if files:
            files[-1].append(line)
    if files and files[-1][-1] == "":
        files[-1].pop()
    return files


def _start(patch: Sequence[str]) -> int:
    return next(index for index, line in enumerate(patch) if line.startswith("@@"))


def _hunks(patch: Sequence[str]) -> tuple[Hunk, ...]:
    hunks: list[tuple[str, list[tuple[str, int | None, int | None]]]] = []
    before = after = 0
    for text in patch:
        if match := _HUNK.match(text):
            before, after = int(match[1]), int(match[3])
            hunks.append((text, []))
        elif not hunks:
            continue
        elif text.startswith("+"):
            hunks[-1][1].append((text, None, after))
            after += 1
        elif text.startswith("-"):
            hunks[-1][1].append((text, before, None))
            before += 1
        elif text.startswith(" "):
            hunks[-1][1].append((text, before, after))
            before, after = before + 1, after + 1
        else:
            hunks[-1][1].append((text, None, None))
    return tuple(Hunk(header, tuple(lines)) for header, lines in hunks)
