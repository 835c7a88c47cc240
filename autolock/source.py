"""Finding, reading, decoding and hashing the user's files.

Nothing here knows what is inside a file. The two halves are `discover`, which walks folders, and
`read_source`, which turns one file into text without losing a byte of it. What cannot be read is
a `Problem` for the user, never an exception.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from io import BytesIO
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from autolock.errors import AutolockError
from autolock.findings import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from pathspec import GitIgnoreSpec

    _FullMatch = Callable[[str], re.Match[str] | None]

DEFAULT_EXCLUDES = (
    "test/",
    "tests/",
    "test_*.py",
    "*_test.py",
    "conftest.py",
    "race_support.py",
    "migrations/",
    "**/alembic/versions/",
    "venv/",
    "env/",
    "node_modules/",
    "site-packages/",
    "__pycache__/",
    "build/",
    "dist/",
    ".*/",
)
"""What is left out unless the configuration's `exclude` says otherwise; `.*/` is every hidden folder."""

LARGEST_FILE = 20_000_000
"""Bytes. What is larger is generated data, and parsing it would take gigabytes of memory."""

_NEVER_WALKED = frozenset({".git", ".autolock_cache", "__pycache__"})
_ENVIRONMENT_MARKER = "pyvenv.cfg"
_BOM = b"\xef\xbb\xbf"
_FIRST_TWO_LINES = re.compile(rb"[^\r\n]*(?:\r\n?|\n)?[^\r\n]*")


# --- patterns ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ExcludeSpec:
    """Which files and folders a walk leaves out.

    `patterns` are written as in a .gitignore, without `!`: a name without a slash is left out at
    any depth, a trailing slash means folders only, and a slash elsewhere anchors the pattern to
    `base` (the root of the walk when None).
    """

    patterns: tuple[str, ...] = DEFAULT_EXCLUDES
    base: Path | None = None


class PatternSet:
    """Patterns as in a .gitignore, compiled so that most names are decided by one look-up in a set.

    Takes the patterns and whether the entries that it will be asked about are folders. Raises
    re.error for a set of characters that makes no sense, such as `[z-a]`.
    """

    def __init__(self, patterns: Iterable[str], *, folders: bool) -> None:
        names: set[str] = set()
        name_globs: list[str] = []
        path_globs: list[str] = []
        for pattern in patterns:
            if pattern.endswith("/") and not folders:
                continue
            body = pattern.removeprefix("./").rstrip("/")
            if "/" in body:
                path_globs.append(_glob_regex(body.lstrip("/")))
            elif any(mark in body for mark in "*?["):
                name_globs.append(_glob_regex(body))
            else:
                names.add(body)
        self._names = frozenset(names)
        self._name_regex = _any_of(name_globs)
        self._path_regex = _any_of(path_globs)

    def matches_name(self, name: str) -> bool:
        """Whether a pattern without a slash matches the entry's own name."""
        return name in self._names or (self._name_regex is not None and self._name_regex(name) is not None)

    def matches_path(self, path: str) -> bool:
        """Whether a pattern with a slash matches `path`, relative to the base of the patterns."""
        return self._path_regex is not None and self._path_regex(path) is not None


@lru_cache
def _pattern_sets(pattern: str) -> tuple[PatternSet, PatternSet]:
    return PatternSet((pattern,), folders=True), PatternSet((pattern,), folders=False)


def matches_glob(pattern: str, path: str) -> bool:
    """Whether a pattern as in a .gitignore matches the file `path` (relative, forward slashes) or a folder above it."""
    as_folder, as_file = _pattern_sets(pattern)
    *folders, name = path.split("/")
    above = zip(folders, accumulate(folders, "{}/{}".format), strict=True)
    return (
        as_file.matches_name(name)
        or as_file.matches_path(path)
        or any(as_folder.matches_name(folder) or as_folder.matches_path(inner) for folder, inner in above)
    )


def _any_of(regexes: Sequence[str]) -> _FullMatch | None:
    return re.compile("|".join(regexes), re.DOTALL).fullmatch if regexes else None


_GLOB_PART = re.compile(
    r"(?P<start>(?:^|(?<=/))\*\*/)|(?P<end>/\*\*$)|(?P<star>\*+)|(?P<any>\?)|(?P<set>\[!?.[^\]]*\])"
)


def _glob_regex(pattern: str) -> str:
    """The regular expression of one glob; `*` stays within a path segment and `**` does not."""
    pieces: list[str] = []
    position = 0
    for part in _GLOB_PART.finditer(pattern):
        pieces.append(re.escape(pattern[position : part.start()]))
        position = part.end()
        if part["start"]:
            pieces.append("(?:.*/)?")
        elif part["end"]:
            pieces.append("/.*")
        elif part["star"]:
            pieces.append("[^/]*")
        elif part["any"]:
            pieces.append("[^/]")
        else:
            pieces.append(_set_regex(part.group()[1:-1]))
    pieces.append(re.escape(pattern[position:]))
    return "".join(pieces)


def _set_regex(members: str) -> str:
    """The regular expression of what stands in the brackets of a glob."""
    negation = "^/" if members.startswith("!") else ""
    escaped = re.sub(r"([^\w-])", r"\\\1", members[1:] if negation else members)
    return f"[{negation}{escaped}]"


# --- .gitignore -------------------------------------------------------------------------------


class _IgnoreFile:
    """One .gitignore: what it says of an entry below its folder."""

    def __init__(self, folder: str, lines: list[str]) -> None:
        self._prefix_length = len(_as_prefix(folder))
        # Each entry is asked about by itself, so that a folder needs no slash to be told from a file.
        self._for_folders = _ignore_spec([line.rstrip().rstrip("/") for line in lines])
        self._for_files = _ignore_spec([line for line in lines if _concerns_python_files(line)])

    def verdict(self, absolute: str, *, folder: bool) -> bool | None:
        """True: ignored, False: taken back by a `!` line, None: not mentioned."""
        spec = self._for_folders if folder else self._for_files
        if spec is None:
            return None
        return spec.check_file(absolute[self._prefix_length :]).include


def _ignored(ignores: tuple[_IgnoreFile, ...], absolute: str, *, folder: bool) -> bool:
    """Whether the nearest .gitignore that mentions the entry ignores it."""
    for ignore in reversed(ignores):
        verdict = ignore.verdict(absolute, folder=folder)
        if verdict is not None:
            return verdict
    return False


def _concerns_python_files(line: str) -> bool:
    """Whether a line of a .gitignore can decide about a `.py` file whose folder is not ignored.

    Folders are judged before their files, so that of the usual hundred lines only those are tried
    on each file that could match its name. `!` lines stay, since they outrank the lines above them.
    """
    line = line.rstrip()
    if line.startswith("!"):
        return True
    if not line or line.startswith("#") or line.endswith("/"):
        return False
    literal_end = re.split(r"[*?\[\]\\/]", line)[-1]
    return literal_end.endswith(".py") or ".py".endswith(literal_end)


def _ignore_spec(lines: list[str]) -> GitIgnoreSpec | None:
    """The lines compiled; those that git itself would not understand are left out. None when nothing is left."""
    lines = [line for line in lines if line.strip() and not line.startswith("#")]
    if not lines:
        return None
    # Imported late: it costs 15 ms, and a single file or a folder without .gitignore needs none of it.
    from pathspec import GitIgnoreSpec

    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError:
        return GitIgnoreSpec.from_lines(line for line in lines if _is_valid_ignore_line(line))


def _is_valid_ignore_line(line: str) -> bool:
    from pathspec import GitIgnoreSpec

    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True


# --- discovery --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Discovery:
    """The files of a run: `files` are relative to `root`, with forward slashes, sorted, each file once."""

    root: Path
    files: tuple[str, ...]
    problems: tuple[Problem, ...] = ()


def discover(paths: Sequence[Path], exclude: ExcludeSpec | None = None) -> Discovery:
    """Find the Python files of repositories, folders and single files.

    Takes the paths that the user named and what to leave out (`DEFAULT_EXCLUDES` when None). A path
    that is named is taken even where a pattern or a .gitignore would leave it out; so is a named
    folder, but not what is excluded inside it. Virtual environments are never walked into. A
    symbolic link is followed only to what lies inside the root or a named folder; a file that is
    reached twice is listed once, under its real name where that is walked.

    Returns the files below their common root: the working directory when it holds every path, else
    the folder that holds them. A path that is missing, not Python or not readable is a problem of
    the result. Raises AutolockError when the working directory was removed.
    """
    working = _working_directory()
    problems: list[Problem] = []
    named: list[_Named] = []
    for path in paths:
        entry = _look_at(path)
        if isinstance(entry, Problem):
            problems.append(entry)
        else:
            named.append(entry)

    root = _common_root(named, working)
    walk = _Walk(root, exclude or ExcludeSpec(), problems)
    for entry in named:
        if entry.folder:
            walk.add_folder(entry.path)
        else:
            walk.add_file(entry.path)
    walk.follow_links()
    return walk.result()


class _Named(NamedTuple):
    path: str
    folder: bool


def _look_at(path: Path) -> _Named | Problem:
    """What a path that the user named is."""
    absolute = os.path.abspath(path)
    try:
        mode = os.stat(absolute).st_mode
    except OSError as error:
        return Problem(_printable(str(path)), _reason(error), "check the spelling of the path")
    if stat.S_ISDIR(mode):
        return _Named(absolute, folder=True)
    if stat.S_ISREG(mode) and absolute.endswith(".py"):
        return _Named(absolute, folder=False)
    return Problem(_printable(str(path)), "not a Python file", "name a .py file or a folder")


def _working_directory() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise AutolockError("the working directory does not exist any more", "change to another one") from None


def _common_root(named: Sequence[_Named], working: str) -> str:
    if all(entry.path == working or entry.path.startswith(_as_prefix(working)) for entry in named):
        return working
    return os.path.commonpath([entry.path if entry.folder else os.path.dirname(entry.path) for entry in named])


def _as_prefix(folder: str) -> str:
    return folder if folder.endswith(os.sep) else folder + os.sep


def _is_inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(_as_prefix(folder))


class _Link(NamedTuple):
    path: str
    ignores: tuple[_IgnoreFile, ...]


@dataclass(slots=True)
class _Contents:
    """What one folder holds that a walk cares about; all values are names."""

    folders: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    has_ignore_file: bool = False
    is_environment: bool = False


class _Walk:
    """One run of `discover`; paths are absolute strings, which are much cheaper than Path objects."""

    def __init__(self, root: str, exclude: ExcludeSpec, problems: list[Problem]) -> None:
        self._root = root
        self._prefix = _as_prefix(root)
        self._base_prefix = self._prefix if exclude.base is None else _as_prefix(os.path.abspath(exclude.base))
        self._excluded_folders = PatternSet(exclude.patterns, folders=True)
        self._excluded_files = PatternSet(exclude.patterns, folders=False)
        self._problems = problems
        self._files: dict[str, str] = {}  # real path -> path under which it is listed
        self._visited: set[str] = set()  # real paths of folders
        self._allowed = {os.path.realpath(root)}  # real folders that links may lead into
        self._links: list[_Link] = []

    def result(self) -> Discovery:
        from pathlib import Path

        files: list[str] = []
        for path in self._files.values():
            name = self._name(path)
            if name == (shown := _printable(name)):
                files.append(name)
            else:
                self._problems.append(Problem(shown, "the file's name is not UTF-8", "rename it"))
        return Discovery(Path(self._root), tuple(sorted(files)), tuple(self._problems))

    def add_file(self, path: str) -> None:
        self._files.setdefault(os.path.realpath(path), path)

    def add_folder(self, path: str) -> None:
        real = os.path.realpath(path)
        self._allowed.add(real)
        ignores, ignored = self._ignores_above(path)
        # Inside an ignored folder that the user named, the files that ignore it have nothing to say.
        self._walk(path, real, () if ignored else ignores)

    def follow_links(self) -> None:
        """Take what links lead to and the walk has not seen, which is what lies beside the named folders."""
        while self._links:
            pending, self._links = sorted(self._links), []
            for link in pending:
                self._follow(link)

    def _follow(self, link: _Link) -> None:
        real = os.path.realpath(link.path)
        if real in self._visited or real in self._files or not any(_is_inside(real, top) for top in self._allowed):
            return
        folder = os.path.isdir(real)
        if self._leaves_out(link.path, folder, link.ignores) or self._is_hidden_target(real, folder):
            return
        if folder:
            self._walk(link.path, real, link.ignores)
        elif os.path.isfile(real) and link.path.endswith(".py"):
            self._files[real] = link.path

    def _is_hidden_target(self, real: str, folder: bool) -> bool:
        """Whether what a link leads to was left out where it really is."""
        top = max((top for top in self._allowed if _is_inside(real, top)), key=len)
        inner = real[len(_as_prefix(top)) :].split(os.sep)
        above = [os.path.join(top, *inner[:depth]) for depth in range(1, len(inner))]
        if any(self._leaves_out(path, True, ()) for path in above) or self._leaves_out(real, folder, ()):
            return True
        ignores, ignored = self._ignores_above(real)
        return ignored or _ignored(ignores, real, folder=folder)

    def _walk(self, start: str, real_start: str, ignores: tuple[_IgnoreFile, ...]) -> None:
        stack = [(start, real_start, ignores)]
        while stack:
            path, real, ignores = stack.pop()
            if real in self._visited:
                continue
            self._visited.add(real)
            contents = self._scan(path)
            if contents.is_environment and path != start:
                continue
            if contents.has_ignore_file:
                ignores = (*ignores, *self._read_ignore_file(path))
            prefix, real_prefix = _as_prefix(path), _as_prefix(real)
            self._links += [_Link(prefix + name, ignores) for name in contents.links]
            for name in contents.files:
                if not self._leaves_out(prefix + name, False, ignores):
                    self._files.setdefault(real_prefix + name, prefix + name)
            for name in contents.folders:
                if not self._leaves_out(prefix + name, True, ignores):
                    stack.append((prefix + name, real_prefix + name, ignores))

    def _scan(self, path: str) -> _Contents:
        contents = _Contents()
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    name = entry.name
                    if entry.is_symlink():
                        contents.links.append(name)
                    elif entry.is_dir(follow_symlinks=False):
                        contents.folders.append(name)
                    elif name.endswith(".py"):
                        if entry.is_file(follow_symlinks=False):
                            contents.files.append(name)
                    elif name == ".gitignore":
                        contents.has_ignore_file = True
                    elif name == _ENVIRONMENT_MARKER:
                        contents.is_environment = True
        except OSError as error:
            hint = "give read permission or add it to extend-exclude"
            self._problems.append(
                Problem(_printable(self._name(path)), f"the folder cannot be read: {_reason(error)}", hint)
            )
        return contents

    def _leaves_out(self, path: str, folder: bool, ignores: tuple[_IgnoreFile, ...]) -> bool:
        name = path[path.rfind(os.sep) + 1 :]
        if folder and name in _NEVER_WALKED:
            return True
        patterns = self._excluded_folders if folder else self._excluded_files
        if patterns.matches_name(name):
            return True
        if path.startswith(self._base_prefix) and patterns.matches_path(_slashes(path[len(self._base_prefix) :])):
            return True
        return bool(ignores) and _ignored(ignores, path, folder=folder)

    def _ignores_above(self, folder: str) -> tuple[tuple[_IgnoreFile, ...], bool]:
        """The .gitignore files above an entry, outermost first, and whether they ignore it or a folder it is in.

        They count up to the root of the git work tree, or up to the root of the run outside of one.
        """
        parents = list(_parents(folder))
        top = next((parent for parent in parents if os.path.lexists(os.path.join(parent, ".git"))), self._root)
        if os.path.lexists(os.path.join(folder, ".git")) or top not in parents:
            return (), False
        inner = parents[: parents.index(top) + 1]
        ignores: tuple[_IgnoreFile, ...] = ()
        for parent, below in zip(reversed(inner), [*reversed(inner[:-1]), folder], strict=True):
            ignore_file = os.path.join(parent, ".gitignore")
            if os.path.isfile(ignore_file) and not os.path.islink(ignore_file):
                ignores = (*ignores, *self._read_ignore_file(parent))
            if _ignored(ignores, below, folder=os.path.isdir(below)):
                return ignores, True
        return ignores, False

    def _read_ignore_file(self, folder: str) -> tuple[_IgnoreFile, ...]:
        path = os.path.join(folder, ".gitignore")
        try:
            with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
                return (_IgnoreFile(folder, file.read().split("\n")),)
        except OSError as error:
            problem = Problem(
                _printable(self._name(path)), f"cannot be read: {_reason(error)}", "nothing is ignored by it"
            )
            self._problems.append(problem)
            return ()

    def _name(self, path: str) -> str:
        """How findings and problems call a path: relative to the root where it is inside it."""
        return _slashes(path[len(self._prefix) :] if path.startswith(self._prefix) else path)


def _parents(path: str) -> Iterable[str]:
    """The folders above a path, nearest first."""
    while (parent := os.path.dirname(path)) != path:
        yield parent
        path = parent


def _slashes(path: str) -> str:
    return path if os.sep == "/" else path.replace(os.sep, "/")


def _printable(name: str) -> str:
    """The name with bytes that are not text escaped; they would make every output of it fail."""
    return name.encode("utf-8", "backslashreplace").decode()


# --- reading ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Source:
    """One file as bytes and as text.

    `name` is how findings call it. `text` has the file's own line ends and no byte order mark;
    `bom` tells whether there was one. `digest` identifies the bytes.
    """

    name: str
    raw: bytes
    text: str
    encoding: str
    bom: bool
    digest: bytes

    @property
    def newline(self) -> str:
        """The line end that most lines have; a line feed when none has any."""
        crlf = self.text.count("\r\n")
        counts = {"\n": self.text.count("\n") - crlf, "\r\n": crlf, "\r": self.text.count("\r") - crlf}
        return max(counts, key=lambda newline: counts[newline])

    def encode(self, text: str) -> bytes:
        """A changed text as bytes of this file: its encoding, its byte order mark.

        Raises UnicodeEncodeError when the encoding cannot express the text. A few encodings (UTF-7,
        ISO-2022) can write one text in many ways, so that a caller that must keep the bytes has to
        check that `encode(self.text) == self.raw`.
        """
        encoded = text.encode(self.encoding)
        return _BOM + encoded if self.bom else encoded


def read_source(path: Path, name: str = "") -> Source | Problem:
    """Read and decode one Python file.

    Takes the file's path and what findings should call it (the path when empty). Returns a Problem
    when it cannot be read, is larger than `LARGEST_FILE`, or is not text.
    """
    name = name or _slashes(str(path))
    raw = read_bytes(path, name)
    return raw if isinstance(raw, Problem) else decode(raw, name)


def read_bytes(path: Path, name: str) -> bytes | Problem:
    """The bytes of one file, for those who need no text (a digest decides whether it was seen before)."""
    try:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            if size > LARGEST_FILE:
                hint = "add it to extend-exclude"
                return Problem(name, f"too large to analyse ({size // 1_000_000} MB)", hint)
            return file.readall()
    except OSError as error:
        hint = "give read permission or add it to extend-exclude" if isinstance(error, PermissionError) else ""
        return Problem(name, f"cannot be read: {_reason(error)}", hint)


def digest(raw: bytes) -> bytes:
    """16 bytes that identify the content of a file."""
    return blake2b(raw, digest_size=16).digest()


def decode(raw: bytes, name: str) -> Source | Problem:
    """Turn the bytes of a Python file into text, as Python does it: byte order mark, PEP 263 cookie, else UTF-8.

    Returns a Problem when they are not text in that encoding.
    """
    if b"\0" in raw:
        return Problem(name, "not text: it holds NUL bytes", "save it as UTF-8 or exclude it")
    try:
        encoding = _encoding(raw)
    except SyntaxError as error:
        return Problem(name, str(error.msg), "correct the encoding in its first two lines")
    bom = raw.startswith(_BOM)
    try:
        text = raw[len(_BOM) :].decode("utf-8") if bom else raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return Problem(name, f"line {line} is not valid {encoding}", "declare its encoding in the first line")
    except (LookupError, ValueError):
        return Problem(name, f"{encoding} is not an encoding of text", "correct the encoding in its first two lines")
    return Source(name, raw, text, encoding, bom, digest(raw))


def _encoding(raw: bytes) -> str:
    """The encoding that the file declares. Raises SyntaxError as Python does for one that is not known."""
    head = _FIRST_TWO_LINES.match(raw)
    assert head is not None  # every part of the pattern is optional
    if b"coding" not in head.group():
        return "utf-8"
    # Imported late: almost no file declares an encoding.
    from tokenize import detect_encoding

    # Python also ends lines at a lone carriage return, detect_encoding does not.
    lines = head.group().replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    found = detect_encoding(BytesIO(lines).readline)[0]
    return "utf-8" if found == "utf-8-sig" else found


def _reason(error: OSError) -> str:
    """What the operating system says, in the middle of a sentence."""
    if isinstance(error, FileNotFoundError):
        return "does not exist"
    return (error.strerror or type(error).__name__).lower()
