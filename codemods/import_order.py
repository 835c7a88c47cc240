"""Where an import belongs among others: kinds, isort's order, and whether a list keeps to it."""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import NamedTuple, TypeVar

import libcst as cst

Item = TypeVar("Item")
Key = Callable[[Item], tuple[object, ...]]


class Kind(IntEnum):
    """The groups that import sorters make, in their order; a project's own packages count as others."""

    FUTURE = 0
    STANDARD = 1
    OTHER = 2
    RELATIVE = 3


class Import(NamedTuple):
    """What sorting needs to know of one import statement: `import MODULE` or `from MODULE import ...`."""

    module: str
    is_from: bool

    @property
    def kind(self) -> Kind:
        if self.module == "__future__":
            return Kind.FUTURE
        if self.module.startswith("."):
            return Kind.RELATIVE
        return Kind.STANDARD if self.package in sys.stdlib_module_names else Kind.OTHER

    @property
    def package(self) -> str:
        """The first name of the module's dotted name; empty for a relative one."""
        return self.module.partition(".")[0]


def import_of(statement: cst.BaseSmallStatement) -> Import | None:
    """An import statement as sorters see it, None for any other statement."""
    if isinstance(statement, cst.Import):
        return Import(dotted(statement.names[0].name), is_from=False)
    if isinstance(statement, cst.ImportFrom):
        name = "" if statement.module is None else dotted(statement.module)
        return Import("." * len(statement.relative) + name, is_from=True)
    return None


def dotted(node: cst.BaseExpression) -> str:
    """The text of a dotted name, without white space."""
    if isinstance(node, cst.Attribute):
        return f"{dotted(node.value)}.{node.attr.value}"
    return cst.ensure_type(node, cst.Name).value


def place_of_import(present: Sequence[Import], new: Import) -> int:
    """The index at which a new import belongs: in its sorted place if the list is sorted, else at the end."""
    return _place(present, new, (_plain_imports_first, _by_module))


def place_of_name(present: Sequence[str], new: str) -> int:
    """The index at which a name belongs in `from x import ...`: sorted if the list is, else at the end."""
    return _place(present, new, (_by_case, _case_insensitive, _plain))


def _place(present: Sequence[Item], new: Item, keys: Sequence[Key[Item]]) -> int:
    for key in keys:
        found = [key(item) for item in present]
        if found == sorted(found):
            return bisect_right(found, key(new))
    return len(present)


def _plain_imports_first(item: Import) -> tuple[object, ...]:
    return item.is_from, *_by_module(item)


def _by_module(item: Import) -> tuple[object, ...]:
    level = len(item.module) - len(item.module.lstrip("."))
    return -level, item.module.lower(), item.module


def _by_case(name: str) -> tuple[object, ...]:
    """isort's own order: constants, classes, the rest."""
    rank = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
    return rank, name.lower(), name


def _case_insensitive(name: str) -> tuple[object, ...]:
    return name.lower(), name


def _plain(name: str) -> tuple[object, ...]:
    return (name,)
