"""Where a run happens: its files, its settings, and the folder that autolock may write to."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from autolock import registry
from autolock.config import Settings, load_settings, merge, resolve_rules, validate_rules
from autolock.deployment.backend import LockBackend
from autolock.errors import AutolockError
from autolock.findings import Certainty, Problem, Severity
from autolock.source import discover

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from autolock.options import Options

STDIN = "<stdin>"
"""What findings call the file that was read from standard input."""

_CACHE_DIR = ".autolock_cache"

_E = TypeVar("_E", bound=Enum)


@dataclass(frozen=True, slots=True)
class Workspace:
    """What a run works on.

    `files` are relative to `root`. `project` is the folder that the configuration or the git work
    tree begins in; the journal of applied runs and the cache of facts, both in `cache_dir`, belong
    to it, so that it does not matter in which of its folders a command is given. `overlay` holds
    what was read from standard input.
    """

    root: Path
    project: Path
    files: tuple[str, ...]
    settings: Settings
    cache_dir: Path
    errors: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()
    overlay: Mapping[str, bytes] = field(default_factory=dict)

    def in_project(self, path: str) -> str:
        """A path relative to `root` as one relative to `project`."""
        return Path(os.path.relpath(self.root / path, self.project)).as_posix()


def open_workspace(paths: Sequence[str | os.PathLike[str]], options: Options) -> Workspace:
    """Read the settings, make good an interrupted run and find the files.

    `-` stands for standard input. Raises AutolockError when the configuration or an option is
    wrong, or an interrupted run cannot be made good.
    """
    named = [os.fspath(path) for path in paths]
    if "-" in named:
        return _standard_input(named, options)
    start = _common_folder(named)
    settings = _settings(start, options)
    project = _project(start, settings)
    cache_dir = settings.cache_dir or project / _CACHE_DIR
    recovered = _recovered(project, cache_dir)
    found = discover([Path(name) for name in named], settings.excludes())
    return Workspace(
        found.root, project, found.files, settings, cache_dir, found.problems + recovered.errors, recovered.notes
    )


def journal_of(path: str | os.PathLike[str]) -> tuple[Path, Path]:
    """The project that a path is in and the folder that holds the journal of its applied runs."""
    start = _common_folder([os.fspath(path)])
    settings = load_settings(start)
    project = _project(start, settings)
    return project, settings.cache_dir or project / _CACHE_DIR


def _standard_input(named: Sequence[str], options: Options) -> Workspace:
    if len(named) > 1:
        raise AutolockError("- (standard input) cannot be combined with other paths")
    root = Path(_working_directory())
    settings = _settings(root, options)
    project = _project(root, settings)
    source = options.get("source")
    if source is None:
        source = sys.stdin.buffer.read()
    cache_dir = settings.cache_dir or project / _CACHE_DIR
    return Workspace(root, project, (STDIN,), settings, cache_dir, overlay={STDIN: source})


def _common_folder(named: Sequence[str]) -> Path:
    """The innermost folder that holds all paths; those that do not exist count as well."""
    working = _working_directory()
    absolute = [os.path.normpath(os.path.join(working, name)) for name in named] or [working]
    common = os.path.commonpath(absolute)
    return Path(os.path.dirname(common) if os.path.isfile(common) else common)


def _working_directory() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise AutolockError("the working directory does not exist any more", "change to another one") from None


def _project(start: Path, settings: Settings) -> Path:
    if settings.file is not None:
        return settings.file.parent
    return next((folder for folder in (start, *start.parents) if (folder / ".git").exists()), start)


# --- interrupted runs -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Recovered:
    errors: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()


def _recovered(project: Path, cache_dir: Path) -> _Recovered:
    if not (cache_dir / "runs").is_dir():
        return _Recovered()
    from autolock.deliver.journal import recover

    recovery = recover(project, cache_dir)
    why = "put back as it was before a run that was interrupted"
    restored = tuple(Problem(path, why) for path in recovery.restored)
    return _Recovered(recovery.problems, restored)


# --- settings ---------------------------------------------------------------------------------


def _settings(start: Path, options: Options) -> Settings:
    known = registry.rule_names()
    baseline = options.get("baseline")
    merged = merge(
        load_settings(start),
        select=_rules(options.get("select"), known, "select"),
        ignore=_rules(options.get("ignore"), known, "ignore"),
        certainty=_member(Certainty, options.get("certainty"), "certainty"),
        severity=_member(Severity, options.get("severity"), "severity"),
        unsafe=options.get("unsafe"),
        lock_backend=_member(LockBackend, options.get("lock_backend"), "lock_backend"),
        jobs=options.get("jobs"),
        baseline=Path(baseline) if baseline is not None else None,
    )
    return validate_rules(merged, known)


def _rules(selectors: Sequence[str] | None, known: Mapping[str, str], option: str) -> tuple[str, ...] | None:
    return None if selectors is None else resolve_rules(selectors, known, option)


def _member(kind: type[_E], value: _E | str | None, option: str) -> _E | None:
    try:
        return None if value is None else kind(value)
    except ValueError:
        wanted = " or ".join(str(member.value) for member in kind)
        raise AutolockError(f'{option} must be {wanted}, not "{value}"') from None
