"""Functions that work on a database and that no entry point was seen to reach.

Workers, schedulers and containers that inject services run code in ways that cannot be seen. Tasks are known by
their decorators, other functions by what they do. What such a function does to objects of its process depends on how
it is run; what it does to rows does not: other transactions run beside it, unless it is only run by hand, at the
start, or by one loop.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import partial

from autolock.database.project import concerns_databases
from autolock.program.entries import own_function
from autolock.program.facts import FunctionFacts, ModuleFacts
from autolock.program.linker import Program, Ref
from autolock.program.machine import Machine
from autolock.program.served import Served, run_by_hand
from autolock.program.trace import Entry, Trace
from autolock.program.values import FunctionValue, Heap, Type, Value

#: Names of functions that run once: when the application starts, or when somebody sets it up.
_ONCE = re.compile(
    r"^_*(re)?(seed|setup|set_up|init|initiali[sz]e|migrate|backfill|bootstrap|upgrade|downgrade|populate|startup|"
    r"on_startup|lifespan|main|(create|ensure|load|add|insert)_(default|initial|builtin|built_in|sample|demo))s?(_|$)"
)
_WRITES = frozenset(
    {
        *("add", "add_all", "commit", "flush", "delete", "execute", "exec", "merge", "save", "insert_one"),
        *("update_one", "execute_many", "replace_one", "create", "set"),
        *("fetchrow", "fetchval", "fetch_one", "fetch_val"),  # INSERT ... RETURNING
    }
)
_LOOKS = frozenset(
    {
        *("execute", "scalar", "scalars", "exec", "query", "get", "get_one", "first", "fetch_one", "fetch_all"),
        *("fetch_val", "fetchrow", "fetchval", "fetch", "find_one", "filter", "get_or_none", "refresh"),
    }
)
#: What the decorator of a task is called or given that runs at certain times.
_TIMED = re.compile(r"cron|interval|schedul|repeat|periodic")
#: Statements that each of them may execute: they are many, and what matters is in them, not far below.
_ALLOWED = 600
#: Those of a task, which calls others for what it does.
_ALLOWED_TASKS = 2500


def follow_unreached(machine: Machine) -> list[Entry]:
    """Run what looks and writes and was not reached, from the outside in; gives the entries."""
    entries: list[Entry] = []
    if not concerns_databases(_imported(machine.program)):
        return entries
    served = _served(machine.program)
    kept, machine.trace = machine.trace, Trace()
    for path, facts in sorted(machine.program.modules.items()):
        if not run_by_hand(path) and _is_concerned(facts):
            entries.extend(_module(machine, path, facts, served))
    machine.trace = kept
    machine.spawned.clear()
    return entries


def _served(program: Program) -> Served:
    """What leads to functions, without tasks that run one after the other."""
    served = Served(program.modules)
    for path, facts in program.modules.items():
        for function in facts.functions.values():
            if served.is_task(function) and _is_timed(program, Ref("function", path, function.qualname)):
                served.registered.discard(id(function))
    return served


def _imported(program: Program) -> Iterator[str]:
    return (found.module for facts in program.modules.values() for found in facts.imports.values())


def _is_concerned(facts: ModuleFacts) -> bool:
    """Whether a file can hold functions that look and write."""
    return "__main__" not in facts.module_refs


def _module(machine: Machine, path: str, facts: ModuleFacts, served: Served) -> Iterator[Entry]:
    started = {r.function or r.target for r in facts.routes} | {name for name, _ in facts.lifespans}
    candidates = [
        f
        for f in facts.functions.values()
        if (served.is_task(f) or (_works_on_rows(f) and not f.parent))
        and f.qualname not in started
        and _ONCE.match(f.qualname.rpartition(".")[2]) is None
        and served.is_served(f)
    ]
    for function in sorted(candidates, key=lambda f: (f.qualname.rpartition(".")[2].startswith("_"), f.line)):
        ref = Ref("function", path, function.qualname)
        if ref in machine.reached:
            continue
        entry = Entry(ref, "loop" if function.is_async else "thread", "function", (), True, f"{path}:{ref.name}")
        allowed = _ALLOWED_TASKS if served.is_task(function) else _ALLOWED
        machine.run(entry, partial(_follow, machine, ref, function), allowed)
        yield entry


def _works_on_rows(facts: FunctionFacts) -> bool:
    called = {ref.rpartition(".")[2] for ref in facts.refs if "." in ref}
    return bool(called & _WRITES) and bool(called & _LOOKS)


def _is_timed(program: Program, ref: Ref) -> bool:
    """Whether a decorator says when a task runs: one run has ended when the next one begins."""
    node = program.syntax_of(ref)
    return node is not None and any(_TIMED.search(ast.unparse(d)) for d in node.decorator_list)


def _follow(machine: Machine, ref: Ref, facts: FunctionFacts) -> None:
    """Run one function with arguments of which only the annotations are known."""
    found = own_function(machine, ref.path, ref.name) if facts.parent else _with_receiver(machine, ref, facts)
    if found is not None and not isinstance(found.node, ast.Lambda):
        # A decorator's wrapper may be no coroutine itself, but give one.
        machine.awaited(machine.activate(found, [], {}, lambda _: None), found.node)


def _with_receiver(machine: Machine, ref: Ref, facts: FunctionFacts) -> FunctionValue | None:
    """A function; of a method, that of an object that is made for it."""
    found = machine.function_value(ref, None).obj
    if facts.owner:
        cls = Ref("class", ref.path, facts.owner)
        receiver = Value(Heap(Type("instance", cls)))
        init = machine.program.method(cls, "__init__")
        made = machine.bound(init, receiver).obj if init is not None else None
        if isinstance(made, FunctionValue):
            machine.activate(made, [], {}, None)
        found = machine.bound(ref, receiver).obj
    return found if isinstance(found, FunctionValue) else None
