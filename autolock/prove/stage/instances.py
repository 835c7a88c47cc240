"""Several instances of one application in one process: its modules are imported once for each.

Libraries are shared, what the project's own modules hold is not, as between two workers. An import that runs later,
inside a function, finds the modules of the instance whose function it is.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from .frames import Project

Modules = dict[str, ModuleType]


def own_modules(project: Project) -> Modules:
    """The project's modules that are imported now."""
    return {name: module for name, module in list(sys.modules.items()) if _is_own(module, project)}


def _is_own(module: Any, project: Project) -> bool:
    path = getattr(module, "__file__", None)
    return isinstance(module, ModuleType) and path is not None and project.has_file(path)


@dataclass
class Instances:
    """The modules of each instance, in the order in which they were made."""

    project: Project
    modules: list[Modules] = field(default_factory=list)
    _current: int = 0

    @contextmanager
    def another(self) -> Iterator[None]:
        """Inside it, the project is imported anew for the next instance; afterwards the first one is in place."""
        if len(self.modules) == 1:
            self._follow_imports()
        if self.modules:
            self._keep()
            self._take_out()
            _forget_tables()
        self._current = len(self.modules)
        self.modules.append({})
        try:
            yield
        finally:
            self._put(0)

    def _put(self, number: int) -> None:
        """Make an instance's modules those that an import finds."""
        self._keep()
        if number != self._current:
            self._take_out()
            sys.modules.update(self.modules[number])
            self._current = number

    def _keep(self) -> None:
        self.modules[self._current] = own_modules(self.project)

    def _take_out(self) -> None:
        for name in own_modules(self.project):
            del sys.modules[name]

    def _follow_imports(self) -> None:
        really: Callable[..., Any] = builtins.__import__

        def imported(name: str, namespace: Any = None, *rest: Any, **options: Any) -> Any:
            number = self._instance_of(namespace)
            if number == 0:
                return really(name, namespace, *rest, **options)
            self._put(number)
            try:
                return really(name, namespace, *rest, **options)
            finally:
                self._put(0)

        builtins.__import__ = imported  # type: ignore[assignment]

    def _instance_of(self, namespace: Any) -> int:
        """Whose code imports: the first one's where it is nobody's, or an instance that is being made."""
        if namespace is None:
            return 0
        name = namespace.get("__name__")
        owners = (n for n, own in enumerate(self.modules) if name in own and vars(own[name]) is namespace)
        return next(owners, 0)


def _forget_tables() -> None:
    """SQLModel keeps the tables of all models in one place of its own: the next instance gets a new one."""
    sqlmodel = sys.modules.get("sqlmodel")
    if sqlmodel is not None:
        from sqlalchemy.orm import registry

        fresh: Any = registry()
        sqlmodel.SQLModel._sa_registry = fresh
        sqlmodel.SQLModel.metadata = fresh.metadata
