"""The user's settings: `autolock.toml`, or `[tool.autolock]` of pyproject.toml, under what the command line says.

Everything wrong in a configuration is an AutolockError that names the file, the key and the nearest
valid one. Settings are plain data; `selected` is the one question that is asked of them.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from autolock.deployment.backend import LockBackend
from autolock.errors import AutolockError
from autolock.findings import Certainty, Severity
from autolock.llm.project import DEFAULTS, ModelSettings
from autolock.pulls.schedule import is_window
from autolock.pulls.settings import PULL_DEFAULTS, CommitStyle, Grouping, PullSettings
from autolock.source import DEFAULT_EXCLUDES, ExcludeSpec, PatternSet, matches_glob

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_E = TypeVar("_E", bound=Enum)

#: What slowapi understands as a limit.
_RATE = re.compile(r"[1-9]\d* ?(?:/|per) ?(?:[1-9]\d* ?)?(?:second|minute|hour|day|month|year)s?")

_OWN_FILE = "autolock.toml"
_PROJECT_FILE = "pyproject.toml"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run is asked to do.

    `file` is where the settings were read (None when there is no configuration). `select` and
    `ignore` hold rule selectors, and an empty `select` means every rule; `per_file_ignores` pairs a
    pattern as in a .gitignore with selectors. `exclude` is None for the default exclusions.
    `certainty` and `severity` are the lowest that are shown. `lock_names` are dotted names of
    factories, decorators and context managers that count as locks, `lock_backend` is what fixes may lock with where
    rows cannot be locked. `jobs` is None for as many as
    there are processors. `llm` is for endpoints that call a model, `pr` for pull requests. Patterns and
    paths are relative to the folder of `file`.
    """

    file: Path | None = None
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    per_file_ignores: tuple[tuple[str, tuple[str, ...]], ...] = ()
    exclude: tuple[str, ...] | None = None
    extend_exclude: tuple[str, ...] = ()
    certainty: Certainty = Certainty.LATENT
    severity: Severity = Severity.LOW
    unsafe: bool = False
    lock_names: tuple[str, ...] = ()
    lock_backend: LockBackend | None = None
    jobs: int | None = None
    cache_dir: Path | None = None
    baseline: Path | None = None
    llm: ModelSettings = DEFAULTS
    pr: PullSettings = PULL_DEFAULTS

    def excludes(self) -> ExcludeSpec:
        """What a walk leaves out under these settings."""
        patterns = DEFAULT_EXCLUDES if self.exclude is None else self.exclude
        return ExcludeSpec((*patterns, *self.extend_exclude), self.file.parent if self.file else None)


# --- finding and reading ----------------------------------------------------------------------


def load_settings(start: Path) -> Settings:
    """The settings that hold for a path.

    Looks in its folder and those above it, up to the root of the git work tree (or of the file
    system), for an autolock.toml or a pyproject.toml with a [tool.autolock] section; the nearest
    folder wins, and in one folder autolock.toml. Returns the defaults when there is none. Raises
    AutolockError when a file on the way cannot be read or is wrong.
    """
    absolute = Path(os.path.abspath(start))
    folders = [absolute, *absolute.parents] if absolute.is_dir() else list(absolute.parents)
    for folder in folders:
        for name in (_OWN_FILE, _PROJECT_FILE):
            file = folder / name
            settings = read_settings(file) if file.is_file() else None
            if settings is not None:
                return settings
        if (folder / ".git").exists():
            break
    return Settings()


def read_settings(file: Path) -> Settings | None:
    """The settings in one file; None for a pyproject.toml without a [tool.autolock] section.

    Raises AutolockError when the file cannot be read, is not TOML, or holds an unknown key or a
    value of the wrong type.
    """
    document = _read_toml(file)
    section = "the file"
    if file.name == _PROJECT_FILE:
        section = "[tool.autolock]"
        tool = document.get("tool")
        table = tool.get("autolock") if isinstance(tool, dict) else None
        if table is None:
            return None
        if not isinstance(table, dict):
            raise AutolockError(f'{_shown(file)}: "tool.autolock" must be a table', "write it as [tool.autolock]")
        document = table
    return _settings(file, section, document)


def _read_toml(file: Path) -> dict[str, object]:
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise AutolockError(f"{_shown(file)}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise AutolockError(f"{_shown(file)}: not UTF-8 text", "TOML files must be UTF-8") from None

    # Python 3.10 has no tomllib; loading it by name gives both parsers one type.
    loads: Callable[[str], dict[str, object]]
    loads = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli").loads
    try:
        return loads(text)
    except RecursionError:
        raise AutolockError(f"{_shown(file)}: nested too deeply") from None
    except ValueError as error:
        message, line = _split_toml_error(str(error), text)
        raise AutolockError(f"{_shown(file)}:{line}: not valid TOML: {message}") from None


def _split_toml_error(message: str, text: str) -> tuple[str, int]:
    """The parser's message without its position, and the line of it."""
    position = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", message)
    if position is None:
        return message, 1
    line = int(position[1]) if position[1] else max(1, len(text.splitlines()))
    return message[: position.start()], line


# --- values -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Entry:
    """One key of a configuration and its value, which the methods turn into the type that is wanted."""

    file: Path
    key: str
    value: object

    def wrong(self, wanted: str, hint: str = "") -> AutolockError:
        return AutolockError(f'{_shown(self.file)}: "{self.key}" must be {wanted}, not {self.value!r}', hint)

    def texts(self) -> tuple[str, ...]:
        value = self.value
        if not isinstance(value, list) or not all(isinstance(item, str) and item.strip() for item in value):
            raise self.wrong("a list of texts")
        return tuple(value)

    def patterns(self) -> tuple[str, ...]:
        patterns = self.texts()
        for pattern in patterns:
            self._check_pattern(pattern)
        return patterns

    def _check_pattern(self, pattern: str) -> None:
        if pattern.startswith("!"):
            hint = 'list what to leave out; "exclude" replaces the defaults'
            raise AutolockError(f'{_shown(self.file)}: "{self.key}" cannot take back with {pattern!r}', hint)
        try:
            PatternSet((pattern,), folders=True)
        except re.error as error:
            raise AutolockError(f'{_shown(self.file)}: "{self.key}" holds a bad pattern {pattern!r}: {error}') from None

    def dotted_names(self) -> tuple[str, ...]:
        names = self.texts()
        if not all(part.isidentifier() for name in names for part in name.split(".")):
            raise self.wrong('a list of dotted names such as "app.locks.distributed_lock"')
        return names

    def file_ignores(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        if not isinstance(self.value, dict):
            raise self.wrong("a table of patterns and lists of rules")
        for pattern in self.value:
            self._check_pattern(pattern)
        return tuple(
            (pattern, _Entry(self.file, f"{self.key}.{pattern}", rules).texts())
            for pattern, rules in self.value.items()
        )

    def member(self, kind: type[_E]) -> _E:
        values = [member.value for member in kind]
        if self.value in values:
            return kind(self.value)
        wanted = " or ".join(f'"{value}"' for value in values)
        raise self.wrong(wanted, _did_you_mean(str(self.value), values))

    def flag(self) -> bool:
        if not isinstance(self.value, bool):
            raise self.wrong("true or false")
        return self.value

    def count(self) -> int:
        if not isinstance(self.value, int) or isinstance(self.value, bool) or self.value < 1:
            raise self.wrong("a whole number greater than 0")
        return self.value

    def rate(self) -> str:
        if not isinstance(self.value, str) or not _RATE.fullmatch(self.value):
            raise self.wrong('a rate such as "60/minute"')
        return self.value

    def text(self) -> str:
        if not isinstance(self.value, str) or not self.value.strip():
            raise self.wrong("a text")
        return self.value.strip()

    def one_of(self, *values: str) -> str:
        if self.value not in values:
            raise self.wrong(" or ".join(f'"{value}"' for value in values), _did_you_mean(str(self.value), values))
        return str(self.value)

    def schedule(self) -> tuple[str, ...]:
        windows = self.texts()
        if not all(map(is_window, windows)):
            raise self.wrong('a list of times in UTC such as "mon-fri 06:00-18:00"')
        return windows

    def models(self) -> ModelSettings:
        return replace(ModelSettings(), **self._table(_MODEL_READERS))  # type: ignore[arg-type]  # as the readers give it

    def pulls(self) -> PullSettings:
        return replace(PullSettings(), **self._table(_PULL_READERS))  # type: ignore[arg-type]  # as the readers give it

    def _table(self, readers: Mapping[str, Callable[[_Entry], object]]) -> dict[str, object]:
        """The values of a table below this key."""
        if not isinstance(self.value, dict):
            raise self.wrong("a table")
        for key in self.value:
            if key not in readers:
                message = f'{_shown(self.file)}: unknown key "{key}" in "{self.key}"'
                raise AutolockError(message, _did_you_mean(key, readers))
        return {
            key.replace("-", "_"): readers[key](_Entry(self.file, f"{self.key}.{key}", value))
            for key, value in self.value.items()
        }

    def path(self) -> Path:
        if not isinstance(self.value, str) or not self.value.strip():
            raise self.wrong("a path")
        return self.file.parent / self.value


_MODEL_READERS: Mapping[str, Callable[[_Entry], object]] = {
    "concurrency": _Entry.count,
    "rate-limit": _Entry.rate,
}
_PULL_READERS: Mapping[str, Callable[[_Entry], object]] = {
    "base": _Entry.text,
    "forge": lambda entry: entry.one_of("github", "gitlab", "gitea"),
    "api": _Entry.text,
    "group": lambda entry: entry.member(Grouping),
    "severity": lambda entry: entry.member(Severity),
    "unsafe": _Entry.flag,
    "draft": _Entry.flag,
    "max-open": _Entry.count,
    "per-hour": _Entry.count,
    "schedule": _Entry.schedule,
    "labels": _Entry.texts,
    "reviewers": _Entry.texts,
    "assignees": _Entry.texts,
    "commits": lambda entry: entry.member(CommitStyle),
    "author": _Entry.text,
    "sign-off": _Entry.flag,
    "co-authors": _Entry.texts,
    "check": _Entry.flag,
    "dashboard": _Entry.flag,
}
_READERS: Mapping[str, Callable[[_Entry], object]] = {
    "select": _Entry.texts,
    "ignore": _Entry.texts,
    "per-file-ignores": _Entry.file_ignores,
    "exclude": _Entry.patterns,
    "extend-exclude": _Entry.patterns,
    "certainty": lambda entry: entry.member(Certainty),
    "severity": lambda entry: entry.member(Severity),
    "unsafe": _Entry.flag,
    "lock-names": _Entry.dotted_names,
    "lock-backend": lambda entry: entry.member(LockBackend),
    "jobs": _Entry.count,
    "cache-dir": _Entry.path,
    "baseline": _Entry.path,
    "llm": _Entry.models,
    "pr": _Entry.pulls,
}


def _settings(file: Path, section: str, table: Mapping[str, object]) -> Settings:
    values: dict[str, object] = {}
    for key, value in table.items():
        if key not in _READERS:
            raise AutolockError(f'{_shown(file)}: unknown key "{key}" in {section}', _did_you_mean(key, _READERS))
        values[key.replace("-", "_")] = _READERS[key](_Entry(file, key, value))
    return replace(Settings(file=file), **values)  # type: ignore[arg-type]  # each reader gives its field's type


def _did_you_mean(wrong: str, valid: Sequence[str] | Mapping[str, object]) -> str:
    from difflib import get_close_matches  # slow to import, and needed only for an error

    # With a cutoff of 0 there always is a nearest one, however far.
    return f'did you mean "{get_close_matches(wrong, valid, n=1, cutoff=0)[0]}"?'


def _shown(file: Path) -> str:
    """The file as a person would name it: relative to the working directory where it is below it."""
    working = Path.cwd()
    return str(file.relative_to(working) if file.is_relative_to(working) else file)


# --- the command line -------------------------------------------------------------------------


def merge(
    settings: Settings,
    *,
    select: Sequence[str] | None = None,
    ignore: Sequence[str] | None = None,
    certainty: Certainty | None = None,
    severity: Severity | None = None,
    unsafe: bool | None = None,
    lock_backend: LockBackend | None = None,
    jobs: int | None = None,
    cache_dir: Path | None = None,
    baseline: Path | None = None,
) -> Settings:
    """The settings with what the command line says in place of what the configuration says; None says nothing.

    A `select` also puts aside the configuration's `ignore`: a rule that is asked for by name is run.
    """
    if select is not None and ignore is None:
        ignore = ()
    return replace(
        settings,
        select=settings.select if select is None else tuple(select),
        ignore=settings.ignore if ignore is None else tuple(ignore),
        certainty=certainty or settings.certainty,
        severity=severity or settings.severity,
        unsafe=settings.unsafe if unsafe is None else unsafe,
        lock_backend=lock_backend or settings.lock_backend,
        jobs=jobs or settings.jobs,
        cache_dir=cache_dir or settings.cache_dir,
        baseline=baseline or settings.baseline,
    )


# --- rules ------------------------------------------------------------------------------------


def validate_rules(settings: Settings, known: Mapping[str, str]) -> Settings:
    """The settings with every rule selector resolved to ids.

    `known` maps the id of each rule to its name. Raises AutolockError for a selector that fits none.
    """
    where = f"{_shown(settings.file)}: " if settings.file else ""
    return replace(
        settings,
        select=resolve_rules(settings.select, known, f'{where}"select"'),
        ignore=resolve_rules(settings.ignore, known, f'{where}"ignore"'),
        per_file_ignores=tuple(
            (pattern, resolve_rules(selectors, known, f'{where}"per-file-ignores" for "{pattern}"'))
            for pattern, selectors in settings.per_file_ignores
        ),
    )


def resolve_rules(selectors: Sequence[str], known: Mapping[str, str], where: str) -> tuple[str, ...]:
    """The ids of the rules that selectors stand for, in the order of `known`.

    A selector is an id (`AL101`), a name (`lost-update`) or the start of an id that names a family
    (`AL1`). `where` says where the selectors were written. Raises AutolockError for one that fits no
    rule, naming the nearest that does.
    """
    wanted: set[str] = set()
    for selector in selectors:
        fitting = [rule for rule, name in known.items() if selector in (rule, name) or _is_family(selector, rule)]
        if not fitting:
            hint = _did_you_mean(selector, [*known, *known.values()])
            raise AutolockError(f'{where}: unknown rule "{selector}"', f"{hint} `autolock rules` lists them")
        wanted.update(fitting)
    return tuple(rule for rule in known if rule in wanted)


def _is_family(selector: str, rule: str) -> bool:
    """Whether the selector is the start of the rule's id, with all of its letters."""
    return rule.startswith(selector) and len(selector) >= len(rule.rstrip("0123456789"))


def selected(rule_id: str, path: str | Path, settings: Settings) -> bool:
    """Whether a rule is to be run on a file.

    `settings` must have been through `validate_rules`. `path` is absolute, or relative to the folder
    of the configuration. Ignoring wins over selecting.
    """
    if settings.select and rule_id not in settings.select:
        return False
    if rule_id in settings.ignore:
        return False
    if not settings.per_file_ignores:
        return True
    file = Path(path)
    if settings.file is not None and file.is_relative_to(settings.file.parent):
        file = file.relative_to(settings.file.parent)
    relative = file.as_posix().lstrip("/")
    return not any(rule_id in rules and matches_glob(pattern, relative) for pattern, rules in settings.per_file_ignores)
