"""Which class does the work where a parameter or an attribute is said to be of an abstract one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from autolock.program.linker import Ref
from autolock.program.served import run_by_hand

if TYPE_CHECKING:
    from autolock.program.facts import ClassFacts
    from autolock.program.linker import Program

#: Names of classes that stand in for the one that does the work, where there are tests or nothing is set up.
_STANDING_IN = re.compile(r"(?i)fake|mock|stub|dummy|null|no_?op|in_?memory|test")


class Implementations:
    """Answers for one program; each class is looked at once."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._known: dict[Ref, Ref] = {}
        self._all: list[Ref] | None = None

    def of(self, cls: Ref) -> Ref:
        """The class that implements an abstract one: the first that does not only stand in; else the class itself."""
        if cls not in self._known:
            self._known[cls] = cls
            facts = self._program.klass(cls)
            if facts is not None and self._is_abstract(cls, facts):
                self._known[cls] = next(self._found(cls, facts), cls)
        return self._known[cls]

    def _is_abstract(self, cls: Ref, facts: ClassFacts) -> bool:
        methods = self._program.modules[cls.path].functions
        return _is_protocol(facts) or any(
            decorator.rpartition(".")[2] == "abstractmethod"
            for name in facts.methods
            for decorator in (methods[f"{cls.name}.{name}"].decorators if f"{cls.name}.{name}" in methods else ())
        )

    def _found(self, cls: Ref, facts: ClassFacts) -> Iterator[Ref]:
        """Classes that say so, then, of a protocol, those that have all its methods."""
        derived = [c for c in self._classes() if c != cls and cls in self._program.mro(c)]
        yield from (c for c in derived if not self._is_abstract(c, self._facts(c)))
        wanted = set(facts.methods) - {"__init__"}
        if _is_protocol(facts) and not derived and wanted:
            yield from (
                c
                for c in self._classes()
                if c != cls and not _is_protocol(self._facts(c)) and wanted <= set(self._facts(c).methods)
            )

    def _classes(self) -> list[Ref]:
        if self._all is None:
            self._all = [
                Ref("class", path, name)
                for path, facts in sorted(self._program.modules.items())
                if not run_by_hand(path)
                for name in facts.classes
                if not _STANDING_IN.search(name)
            ]
        return self._all

    def _facts(self, cls: Ref) -> ClassFacts:
        return self._program.modules[cls.path].classes[cls.name]


def _is_protocol(facts: ClassFacts) -> bool:
    return any(base.partition("[")[0].rpartition(".")[2] == "Protocol" for base in facts.bases)
