"""Where the interpreter tells of calls, and calls of models are told from the others."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from autolock.llm import names
from autolock.llm.trace import ModelCall
from autolock.program.values import ClassValue, External, FunctionValue, Heap, Method, Value

if TYPE_CHECKING:
    from autolock.llm.project import ModelProject
    from autolock.program.core import Core
    from autolock.program.trace import Frame, Read


#: What a suspension point says that is there for a lock.
WAITING = "waiting for the lock"


class _Wrapper(NamedTuple):
    """A call that looks like one of a model, and what there was of others and of limits before it."""

    call: ModelCall
    calls: int
    limited: bool
    waits: tuple[int, int]


class ModelCalls:
    """Notes the calls of models that the entry points make, and whether anything bounds them.

    A function of the project that only looks like a call of a model (`llm_client.generate(...)`) is one when no
    other is found in it. `limited` says that the entry has asked something that limits the rate,
    `open` and `shut` count suspension points outside of anything that bounds, and inside.
    """

    def __init__(self, core: Core, project: ModelProject) -> None:
        self.core = core
        self.project = project
        self.calls: list[ModelCall] = []
        self.limited = False
        self.open = self.shut = 0
        self._wrappers: dict[int, ModelCall] = {}
        self._chains: dict[ast.expr, tuple[str, ...]] = {}

    def reset(self) -> None:
        """A new entry point is followed."""
        self.limited = False

    @property
    def bounded(self) -> bool:
        """Whether a call that is made now is bounded."""
        state = self.core.state
        return bool(state.bounds) or self.limited or any(not h.lock.fresh for h in state.held)

    def called(self, callee: Value, args: list[Value], kwargs: dict[str, Value], node: ast.Call) -> None:
        """Anything is called."""
        if not self.core.recording or not self.core.frames or self.core.frame.ref is None:
            return
        chain = self.chain_of(node.func)
        if self.asks_limiter(callee, chain):
            self.limited = True
            return
        obj = callee.obj
        telling = bool(chain) and chain[-1] in _TELLING
        reaches = telling and (self.is_interface(chain, node) or self.is_sent(chain, args, kwargs, node))
        if isinstance(obj, FunctionValue):
            if reaches or self.is_wrapper(obj, chain):
                self._wrappers[id(obj.node)] = self.made(node, self.given(callee, args, kwargs, node))
        elif telling and (
            reaches or self.is_library(callee, chain) or (self.is_named(chain, node) and not _is_class(callee))
        ):
            self.calls.append(self.made(node, self.given(callee, args, kwargs, node)))

    def chain_of(self, node: ast.expr) -> tuple[str, ...]:
        """The attributes by which something is reached; looked at once, however often it is called."""
        if node not in self._chains:
            self._chains[node] = _chain(node)
        return self._chains[node]

    def given(self, callee: Value, args: list[Value], kwargs: dict[str, Value], node: ast.Call) -> frozenset[Read]:
        """What a call is given of shared state: what chose the client that is called is not."""
        values = [*args, *kwargs.values()]
        client = self.chain_of(node.func)[-1:] in _ONE_OFF
        chosen = () if client else callee.reads
        return self.core.all_contents(values, node).union(chosen, *(v.reads for v in values))

    def entered(self, function: FunctionValue) -> _Wrapper | None:
        """A function of the project begins to run: the call that it is, where that looks like one of a model."""
        call = self._wrappers.pop(id(function.node), None)
        return _Wrapper(call, len(self.calls), self.limited, (self.open, self.shut)) if call is not None else None

    def left(self, wrapper: _Wrapper | None) -> None:
        """Such a function has run: it was the call of a model, if it makes none; what it waits for may bound it."""
        if wrapper is None or wrapper.calls != len(self.calls) or wrapper.limited != self.limited:
            return
        opened, shut = self.open - wrapper.waits[0], self.shut - wrapper.waits[1]
        bounded = wrapper.call.bounded or (shut > 0 and not opened)
        self.calls.append(replace(wrapper.call, bounded=bounded))

    def suspends(self, what: str | ast.expr) -> None:
        """Something is waited for; to wait for a lock is to be bounded by it."""
        if self.bounded:
            self.shut += 1
        elif what != WAITING:
            self.open += 1

    def made(self, node: ast.Call, reads: frozenset[Read]) -> ModelCall:
        """A call of a model, here and now."""
        core = self.core
        return ModelCall(node, core.stack(), core.context, core.entry, self.bounded, core.next_serial(), reads)

    def again(self, call: ModelCall, stack: tuple[Frame, ...]) -> None:
        """A call that was made when the same function was followed before."""
        core = self.core
        moved = replace(
            call, stack=stack, entry=core.entry, bounded=call.bounded or self.bounded, serial=core.next_serial()
        )
        self.calls.append(moved)

    # -- what bounds -------------------------------------------------------------------

    def asks_limiter(self, callee: Value, chain: tuple[str, ...]) -> bool:
        """Whether what is called limits a rate: a limiter's method, a function of the project that is named so."""
        obj = callee.obj
        if isinstance(obj, FunctionValue):
            return names.limits(obj.ref.name.rpartition(".")[2]) and not _makes(obj.ref.name)
        source = _source(callee)
        if source.partition(".")[0] in names.LIMITING and chain[-1:] != (source.rpartition(".")[2],):
            return True
        return len(chain) > 1 and chain[-1] in _ASKING and names.limits(chain[-2])

    def provided(self, provider: Value) -> None:
        """A dependency is asked before the handler runs."""
        obj = provider.obj
        if isinstance(obj, Method):
            obj = obj.receiver.obj
        name = ""
        if isinstance(obj, FunctionValue | ClassValue):
            name = obj.ref.name
        elif isinstance(obj, External):
            name = obj.name
        elif isinstance(obj, Heap):
            name = obj.type.ref.name if obj.type.ref is not None else obj.type.name
        if names.limits(name) and not _makes(name):
            self.limited = True

    # -- what calls a model ----------------------------------------------------------------

    def is_library(self, callee: Value, chain: tuple[str, ...]) -> bool:
        """Something of a library for models, by where it comes from."""
        source = _source(callee)
        if not source or not names.is_package(source) or not chain or names.is_aside(source.rpartition(".")[2]):
            return False
        if isinstance(callee.obj, External) and source.rpartition(".")[2][:1].isupper():
            return False
        return chain[-1] in names.VERBS and not any(names.is_aside(part) for part in chain[:-1])

    def is_interface(self, chain: tuple[str, ...], node: ast.Call) -> bool:
        """`x.chat.completions.create(...)`, `x.chat(model=..., messages=...)`: what only clients of models have."""
        if any(chain[-len(ending) :] == ending for ending in names.ENDINGS):
            return len(chain) > 1
        given = {k.arg for k in node.keywords}
        if "model" not in given or chain[-1] not in names.VERBS:
            return False
        if chain[-2:] == ("messages", "create"):
            return bool(given & {"messages", "max_tokens"})
        return "messages" in given or (chain[-1] in names.TALKING and bool(given & {"prompt", "contents"}))

    def is_sent(self, chain: tuple[str, ...], args: list[Value], kwargs: dict[str, Value], node: ast.Call) -> bool:
        """A request to an address at which a model is served."""
        if not chain or chain[-1] not in names.SENDING:
            return False
        texts = [v.term for v in (*args[:2], *(kwargs[k] for k in ("url", "path") if k in kwargs))]
        texts += [
            t for a in (*node.args[:2], *(k.value for k in node.keywords if k.arg == "url")) for t in self.texts(a)
        ]
        return any(place in text for text in texts for place in names.PLACES)

    def texts(self, node: ast.expr) -> Iterator[str]:
        """The constants in an expression, and those that the names in it stand for."""
        for inner in ast.walk(node):
            if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                yield inner.value
            elif isinstance(inner, ast.Name):
                found = self.core.program.resolve(self.core.frame.path, inner.id)
                unit = self.core.unit(found[0].path) if found is not None and found[0].kind == "variable" else None
                statement = (
                    unit.assignment(unit.tree.body, found[0].name) if unit is not None and found is not None else None
                )
                for part in ast.walk(statement.value) if statement is not None and statement.value is not None else ():
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        yield part.value

    def is_wrapper(self, function: FunctionValue, chain: tuple[str, ...]) -> bool:
        """A coroutine or generator of a class of the project that is named like a client of a model."""
        owner, _, name = function.ref.name.rpartition(".")
        facts = self.core.program.function(function.ref)
        if facts is None or not (facts.is_async or facts.is_generator) or name not in names.WRAPPER_VERBS:
            return False
        return names.names_model(owner.rpartition(".")[2]) or (len(chain) > 1 and names.names_model(chain[-2]))

    def is_named(self, chain: tuple[str, ...], node: ast.Call) -> bool:
        """Something of which only the names are known: `llm_client.generate(...)`, `chain.ainvoke(...)`."""
        if len(chain) < 2:
            return False
        holder, verb = chain[-2], chain[-1]
        awaited = self.core.awaiting is node
        if verb in names.OF_CHAINS and names.names_chain(holder):
            return True
        return awaited and verb in names.WRAPPER_VERBS and names.names_model(holder)


#: What calls of models end with, and nearly no other.
_TELLING = frozenset(
    {*names.VERBS, *names.WRAPPER_VERBS, *names.OF_CHAINS, *names.SENDING, *(ending[-1] for ending in names.ENDINGS)}
)

#: Methods of clients that keep nothing of what was said, unlike a chat.
_ONE_OFF = (("create",), ("acreate",), ("post",))

_ASKING = frozenset(
    {"acquire", "hit", "test", "check", "limit", "try_acquire", "consume", "wait", "is_allowed", "allow", "check_limit"}
)


def _is_class(callee: Value) -> bool:
    return isinstance(callee.obj, ClassValue)


def _makes(name: str) -> bool:
    """Whether a function gives or sets up a limiter instead of asking it."""
    last = name.rpartition(".")[2]
    return last.startswith(("get_", "_get_", "make_", "create_", "build_", "init_", "setup_", "reset_", "close_"))


def _chain(node: ast.expr) -> tuple[str, ...]:
    """The attributes by which something is reached, its first name before them where there is one."""
    found: list[str] = []
    while isinstance(node, ast.Attribute | ast.Call | ast.Await):
        if isinstance(node, ast.Attribute):
            found.append(node.attr)
            node = node.value
        else:
            node = node.func if isinstance(node, ast.Call) else node.value
    if isinstance(node, ast.Name):
        found.append(node.id)
    return tuple(reversed(found))


def _source(callee: Value) -> str:
    """The dotted name under which a library has what is called, or the class of the object that it is a method of."""
    obj = callee.obj
    while isinstance(obj, Method):
        obj = obj.receiver.obj
    if isinstance(obj, External):
        return obj.name
    if isinstance(obj, Heap) and obj.type.kind == "external":
        return obj.type.name
    return ""
