"""Rules, codemods, report formats and database adapters, found through entry points.

The built-in ones are registered in the same way as anybody else's, in autolock's own
pyproject.toml. Metadata is read once a run, and only what is asked for is imported.
"""

from __future__ import annotations

import inspect
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from autolock.errors import AutolockError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.metadata import EntryPoint

    from autolock.report.base import Reporter, RuleInfo
    from autolock.rules.base import Rule
    from codemods.base import PlacedCodemod

RULES = "autolock.rules"
CODEMODS = "autolock.codemods"
REPORTS = "autolock.reports"
ADAPTERS = "autolock.adapters"

_OWN_PACKAGE = "autolock"


@cache
def rules() -> tuple[Rule, ...]:
    """An instance of every rule, ordered by id.

    Raises AutolockError for one that cannot be loaded, lacks what a rule has, or takes the id or
    name of another.
    """
    points = _points(RULES)
    made = sorted(((_rule(point), point) for point in points.values()), key=lambda pair: pair[0].id)
    taken: dict[str, EntryPoint] = {}
    for rule, point in made:
        for label in (rule.id, rule.name):
            if label in taken:
                raise _broken(point, f"{label} is taken by {taken[label].value}")
            taken[label] = point
    return tuple(rule for rule, _ in made)


def rule_names() -> dict[str, str]:
    """The name of every rule by its id, in the order of the ids."""
    return {rule.id: rule.name for rule in rules()}


def rule_infos() -> dict[str, RuleInfo]:
    """What reports say about every rule, by id; the explanation is the rule's own docstring."""
    from autolock.report.base import RuleInfo

    return {
        rule.id: RuleInfo(rule.id, rule.name, rule.summary, inspect.getdoc(type(rule)) or "", rule.category)
        for rule in rules()
    }


@cache
def codemods() -> Mapping[str, type[PlacedCodemod]]:
    """Every codemod by the name that edits call it by. Raises AutolockError for one that cannot be loaded."""
    return {name: cast("type[PlacedCodemod]", _loaded(point)) for name, point in _points(CODEMODS).items()}


@cache
def adapters() -> Mapping[str, object]:
    """Every database adapter by name. Raises AutolockError for one that cannot be loaded."""
    return {name: _loaded(point) for name, point in _points(ADAPTERS).items()}


def report_formats() -> tuple[str, ...]:
    """The names of the report formats, in order."""
    return tuple(sorted(_points(REPORTS)))


def reporter(name: str) -> Reporter:
    """The report format of that name. Raises AutolockError where there is none or it cannot be loaded."""
    point = _points(REPORTS).get(name)
    if point is None:
        raise AutolockError(f'unknown report format "{name}"', f"one of {', '.join(report_formats())}")
    return cast("Reporter", _made(point))


def _rule(point: EntryPoint) -> Rule:
    made = _made(point)
    texts = (getattr(made, name, None) for name in ("id", "name", "category", "summary"))
    if not all(isinstance(text, str) and text for text in texts) or not callable(getattr(made, "match", None)):
        raise _broken(point, "it lacks id, name, category, summary or match")
    return cast("Rule", made)


def _made(point: EntryPoint) -> object:
    """An instance of the class that an entry point names."""
    kind = _loaded(point)
    try:
        return kind()
    except Exception as error:  # the code is somebody else's: anything can happen in it
        raise _broken(point, str(error) or type(error).__name__) from error


def _loaded(point: EntryPoint) -> Any:
    try:
        return point.load()
    except Exception as error:  # importing somebody else's module can fail in any way
        raise _broken(point, str(error) or type(error).__name__) from error


def _broken(point: EntryPoint, reason: str) -> AutolockError:
    distribution = point.dist.name if point.dist else "an unknown package"
    what = f'the plugin "{point.name}" ({point.group}) of {distribution} cannot be used: {reason}'
    return AutolockError(" ".join(what.split()), f"mend or uninstall {distribution}")


@cache
def _points(group: str) -> dict[str, EntryPoint]:
    """The entry points of a group by name; where a plugin takes a built-in name, the built-in one stays."""
    found: dict[str, EntryPoint] = {}
    for point in _all_points()[group]:
        if point.name not in found or (point.dist is not None and point.dist.name == _OWN_PACKAGE):
            found[point.name] = point
    return found


@cache
def _all_points() -> dict[str, list[EntryPoint]]:
    # Imported late: it costs more than all else that `--version` needs.
    from importlib.metadata import entry_points

    found: dict[str, list[EntryPoint]] = {}
    for group in (RULES, CODEMODS, REPORTS, ADAPTERS):
        found[group] = list(entry_points(group=group))
    if not found[RULES]:
        raise AutolockError("autolock is not installed, so none of its rules is found", "pip install autolock")
    return found
