"""Which functions serve requests or tasks, as far as the names by which functions are called tell."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping

from autolock.program.facts import FunctionFacts, ModuleFacts

#: Decorators that say how a function works, and not when it is called.
_PLAIN = re.compile(
    r"(^|[._])(property|staticmethod|classmethod|\w*setter|\w*getter|cached?\w*|\w*_cache|wraps|overload|override|"
    r"abstract\w*|\w*contextmanager|retry\w*|dataclass\w*|\w*validators?\w*|\w*serializer|deprecated\w*|traced?\w*|"
    r"timed?\w*|log\w*|observe|inject\w*|transactional\w*|typechecked|final|hybrid_\w+|declared_attr|event)$"
)
#: Decorators of functions that run at the start, or by hand.
_STARTING = re.compile(
    r"startup|shutdown|on_event|connect|command|group|fixture|lifecycle|lifespan|cli|main$|callback$"
)
#: Decorators of functions that a worker runs for each job, message or event.
_TASK = re.compile(
    r"(^|[._])(actor|\w*task|job|\w*subscriber|subscribe|consumer?|\w*handler|handles?|listener|listens?|receiver|"
    r"worker|activity|on_(?!event$)\w+)$"
)
#: Kinds of registrations that run once, or not for a request.
_ONCE = frozenset({"on_event", "startup", "shutdown"})
#: What a function calls that makes the application: it has run before the first request.
_MAKING = frozenset({"FastAPI", "fastapi.FastAPI", "Starlette", "starlette.applications.Starlette"})
#: Names of files and folders with code that a person runs, once.
_BY_HAND = re.compile(
    r"(^|[/_])(scripts?|cli|commands?|management|migrations?|alembic|seeds?|seeding|seeders?|fixtures?|bin|tools?|"
    r"examples?|demos?|tests?|testing|conftest|setup|initial_data|init_db|backfill\w*|benchmarks?|manage)([/_.]|$)"
)


def run_by_hand(path: str) -> bool:
    """Whether a file is named like code that a person runs, once."""
    return _BY_HAND.search(path.lower()) is not None


class Served:
    """Answers whether a function can be on the way from something that many run at once.

    Names alone are compared: `service.create` may be any `create`. A function that nothing of that kind
    leads to even so is run by hand, at the start, or by one loop.
    """

    def __init__(self, modules: Mapping[str, ModuleFacts]) -> None:
        self.callers: defaultdict[str, list[FunctionFacts]] = defaultdict(list)
        self.starting: set[str] = set()
        self.registered: set[int] = set()
        self.once: set[int] = set()
        for path, facts in modules.items():
            self._note(facts, run_by_hand(path))

    def _note(self, facts: ModuleFacts, by_hand: bool) -> None:
        first = {name for name, _ in facts.lifespans} | {r.function for r in facts.routes if r.kind in _ONCE}
        for function in facts.functions.values():
            if by_hand or function.qualname in first or not _MAKING.isdisjoint(function.refs):
                self.once.add(id(function))
            for name in {ref.rpartition(".")[2] for ref in function.refs}:
                self.callers[name].append(function)
            if _registers(function):
                self.registered.add(id(function))
        for route in facts.routes:
            if route.kind not in _ONCE:
                self.starting.add((route.function or route.target).rpartition(".")[2])
        named = [b.refs for b in facts.bindings.values()]
        named += [b.refs for c in facts.classes.values() for b in c.bindings.values()]
        for refs in named:
            self.starting |= {ref.rpartition(".")[2] for ref in refs}

    def is_task(self, function: FunctionFacts) -> bool:
        """Whether a decorator hands the function to what runs it for each message or job, by its name."""
        return id(function) in self.registered and any(_TASK.search(d) for d in function.decorators)

    def is_served(self, function: FunctionFacts) -> bool:
        """Whether a request or task leads here, by names."""
        seen: set[str] = set()
        waiting = [function]
        while waiting:
            found = waiting.pop()
            name = _name(found)
            if id(found) in self.registered:
                return True
            if not name.strip("_"):
                continue  # a name that means nothing
            if name in self.starting:
                return True
            if name not in seen:
                seen.add(name)
                called = self.callers.get(name)
                # A method that nobody calls by its name is called by the library whose class it extends.
                handed = self.callers.get(found.owner.rpartition(".")[2], [])
                waiting.extend([f for f in called if id(f) not in self.once] if called else handed)
        return False


def _registers(function: FunctionFacts) -> bool:
    """Whether a decorator hands the function to something that calls it for each message, task or request."""
    return any(not _PLAIN.search(d) and not _STARTING.search(d) for d in function.decorators)


def _name(function: FunctionFacts) -> str:
    """The name by which a function is called: the class's for what a constructor or the object itself runs.

    Who sets a property names the property.
    """
    last = function.qualname.removesuffix(".setter").rpartition(".")[2]
    return function.owner.rpartition(".")[2] if last in ("__init__", "__call__") and function.owner else last
