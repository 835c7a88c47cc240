"""A program in parts that know nothing of each other: files that import each other, directly or through others.

What happens in one part cannot be seen from another, so each is analysed by itself: in whatever
process, with its trees freed afterwards, and again only when something in it has changed. All that an
analysis asks about the rest is which names any file of the project changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

from autolock.program.facts import Import, ModuleFacts
from autolock.program.processes import Started

if TYPE_CHECKING:
    from autolock.program.linker import Program

#: What the interpreter collects from all files; each is the union of what it is for single files.
_COLLECTED = ("mutable_names", "mutated_attributes", "lazy_makers")
#: Asked for as a whole.
_WHOLE = "lazy_makers"


class Traits(NamedTuple):
    """What of one file matters to the others: its imports (module, level, name), and names that it changes.

    The first `named` of the imports give the file its own top-level names. `rooted` tells whether anything
    in it may run by itself: what is registered, or a class that may be middleware. `tables` is SQL that makes tables,
    `processes` are calls that run the application in several processes.
    """

    imports: tuple[tuple[str, int, str], ...] = ()
    names: tuple[tuple[str, ...], ...] = ((),) * len(_COLLECTED)
    rooted: bool = False
    named: int = 0
    tables: tuple[str, ...] = ()
    processes: tuple[Started, ...] = ()

    @property
    def modules(self) -> tuple[str, ...]:
        """What the file imports names from, or as a name, at its top level; relative ones begin with dots."""
        return tuple("." * level + module for module, level, _ in self.imports[: self.named])


def traits_of(facts: ModuleFacts) -> Traits:
    """The traits of one file."""
    alone = SimpleNamespace(program=SimpleNamespace(modules={facts.path: facts}))
    inner = (imported for table in facts.local_imports.values() for imported in table.values())
    imports = dict.fromkeys(map(_written, facts.imports.values()))
    named = len(imports)
    imports.update(dict.fromkeys(map(_written, (*facts.stars, *inner))))
    names = tuple(tuple(sorted(collect(alone))) for collect in _collectors())
    rooted = bool(facts.routes or facts.lifespans or facts.classes)
    return Traits(tuple(imports), names, rooted, named, facts.tables, facts.processes)


def _written(imported: Import) -> tuple[str, int, str]:
    return imported.module, imported.level, "" if imported.name == "-" else imported.name


@cache
def _collectors() -> tuple[Callable[[Any], frozenset[str]], ...]:
    # Imported late: a run in which nothing has changed does without.
    from autolock.program.objects import Objects

    return tuple(vars(Objects)[name].func for name in _COLLECTED)


# --- names ------------------------------------------------------------------------------------


class Asked(AbstractSet[str]):
    """A set that remembers what it was asked about."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names
        self.asked: set[str] = set()

    def __contains__(self, name: object) -> bool:
        self.asked.add(str(name))
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        raise TypeError("only single names can be remembered")

    def __len__(self) -> int:
        raise TypeError("only single names can be remembered")


Answers = tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]
"""For each collection the names that were asked for and are in it, and those that are not."""


class Names:
    """What the interpreter knows of all files."""

    def __init__(self, traits: Iterable[Traits]) -> None:
        collected: tuple[set[str], ...] = tuple(set() for _ in _COLLECTED)
        for one in traits:
            for names, more in zip(collected, one.names, strict=True):
                names.update(more)
        self._names = {kind: frozenset(names) for kind, names in zip(_COLLECTED, collected, strict=True)}

    @property
    def makers(self) -> frozenset[str]:
        return self._names[_WHOLE]

    def asked(self) -> dict[str, Any]:
        """The attributes of an interpreter that remembers what it asks for."""
        return {kind: names if kind == _WHOLE else Asked(names) for kind, names in self._names.items()}

    def holds(self, answers: Answers) -> bool:
        """Whether the same questions have the same answers."""
        return all(
            self._names[kind].issuperset(inside) and self._names[kind].isdisjoint(outside)
            for kind, inside, outside in answers
        )

    def answers(self, asked: Mapping[str, Any]) -> Answers:
        """What an interpreter asked for, and what it was told."""
        return tuple(
            (kind, tuple(sorted(s.asked & self._names[kind])), tuple(sorted(s.asked - self._names[kind])))
            for kind, s in asked.items()
            if isinstance(s, Asked)
        )


# --- parts ------------------------------------------------------------------------------------


def parts_of(program: Program, traits: Mapping[str, Traits]) -> list[tuple[str, ...]]:
    """The files of each part, in the order of the program."""
    leader: dict[str, str] = {path: path for path in traits}

    def lead(path: str) -> str:
        while leader[path] != path:
            leader[path] = path = leader[leader[path]]
        return path

    own = {part.removesuffix(".py") for path in traits for part in path.split("/")}
    for path, one in traits.items():
        for module, level, name in one.imports:
            if not level and module.partition(".")[0] not in own:
                continue  # a library
            found = program.find_module(path, module, level)
            if found in leader:
                leader[lead(found)] = lead(path)
            if name and (found not in leader or found.endswith("__init__.py")):
                found = program.find_module(path, f"{module}.{name}".strip("."), level)
                if found in leader:
                    leader[lead(found)] = lead(path)
    members: dict[str, list[str]] = {}
    for path in traits:
        members.setdefault(lead(path), []).append(path)
    return [tuple(paths) for paths in members.values()]


class PartModules(Mapping[str, ModuleFacts]):
    """The facts of all files, of which only those of the part are listed.

    `strays` are files outside of it that somebody asked for all the same.
    """

    def __init__(self, modules: Mapping[str, ModuleFacts], paths: tuple[str, ...]) -> None:
        self._modules = modules
        self._facts: dict[str, ModuleFacts] = {}
        self._paths = dict.fromkeys(paths)
        self.strays: set[str] = set()

    def __getitem__(self, path: str) -> ModuleFacts:
        # The analysis asks a million times.
        try:
            return self._facts[path]
        except KeyError:
            found = self._facts[path] = self._modules[path]
            if path not in self._paths:
                self.strays.add(path)
            return found

    def __contains__(self, path: object) -> bool:
        return path in self._modules

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)


@dataclass(frozen=True, slots=True)
class Divided:
    """A program, its parts, and what they need to know of each other."""

    program: Program
    traits: Mapping[str, Traits]
    parts: tuple[tuple[str, ...], ...]
    names: Names

    @property
    def imports(self) -> dict[str, tuple[str, ...]]:
        """What each file imports at its top level."""
        return {path: one.modules for path, one in self.traits.items()}

    @property
    def tables(self) -> tuple[str, ...]:
        """The SQL in the code that makes or changes tables."""
        return tuple(text for _, one in sorted(self.traits.items()) for text in one.tables)

    @property
    def processes(self) -> tuple[tuple[str, Started], ...]:
        """Calls in the code that run an application in several processes, with the files that they are in."""
        return tuple((path, call) for path, one in sorted(self.traits.items()) for call in one.processes)

    @staticmethod
    def of(program: Program, traits: Mapping[str, Traits]) -> Divided:
        return Divided(program, traits, tuple(parts_of(program, traits)), Names(traits.values()))

    def is_inert(self, part: tuple[str, ...]) -> bool:
        """Whether nothing in a part can run by itself."""
        return not self.names.makers and not any(self.traits[path].rooted for path in part)
