"""Built-in containers: which methods look, which change, and which do both in one step."""

from __future__ import annotations

import ast

from autolock.database.objects import Session
from autolock.program.expressions import Expressions
from autolock.program.library import ATOMIC, INSERTING, LOCKS, MUTATORS, READERS, REMOVING
from autolock.program.objects import Objects
from autolock.program.trace import sense_of
from autolock.program.values import (
    DECIDED,
    NOTHING,
    ClassValue,
    External,
    FunctionValue,
    Group,
    Heap,
    LockValue,
    Row,
    Thing,
    Type,
    Value,
    is_place,
    is_told_apart,
)

_KINDS = ("dict", "list", "set", "deque", "view", "unknown")
#: Mutating methods that no common library object has under the same name with another meaning.
_UNMISTAKABLE = frozenset({"append", "appendleft", "extend", "popleft", "setdefault", "popitem", "discard"})


class Containers(Objects, Expressions):
    """The part of the interpreter that knows dict, list, set and deque."""

    def make_container(self, kind: str, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> Value:
        """`dict(...)`, `defaultdict(list)`, `set(shared)`..."""
        heap = Heap(Type("frozen" if kind == "frozen" else kind), node=node)
        reads = frozenset().union(*(a.reads for a in args)) if args else frozenset()
        for value in args:
            reads |= self.contents(value, node)
            if isinstance(value.obj, Heap) and "[*]" in value.obj.fields:
                heap.fields["[*]"] = value.obj.fields["[*]"]
            elif isinstance(value.obj, Group):
                self.fill(heap, value.obj.items)
            elif isinstance(value.obj, Thing) and (item := self.database.iterated(value, node)) is not None:
                heap.fields["[*]"] = item
        if name.endswith("defaultdict") and args:
            heap.element = self.produced(args[0])
            heap.fields.pop("[*]", None)
        for value in kwargs.values():
            reads |= value.reads
        request = any(a.request for a in (*args, *kwargs.values()))
        if kind == "frozen":
            # Nobody changes a tuple, but perhaps the rows in it.
            rows = isinstance(getattr(heap.fields.get("[*]"), "obj", None), Row)
            return Value(Heap(Type("list"), fields=heap.fields) if rows else None, reads, "", request, "display")
        return Value(heap, reads, "", request, "display")

    def keep(self, obj: Heap, field: str, value: Value) -> None:
        """What a field of an object holds from now on, where nothing better is known of it."""
        known = obj.fields.get(field)
        made_up = (
            known is None or known.obj is None or (isinstance(known.obj, Heap) and known.obj.type.kind == "unknown")
        )
        if field == "[*]" and obj.guessed and isinstance(value.obj, Heap):
            made_up, obj.guessed = True, False
        if made_up or (is_session(value) and is_only_declared(known)):
            obj.fields[field] = value
            self.shaped.append(obj)

    @staticmethod
    def produced(factory: Value) -> Type | None:
        """What a default factory makes."""
        obj = factory.obj
        if isinstance(obj, ClassValue):
            return Type("instance", obj.ref)
        if isinstance(obj, External):
            bare = obj.name.removeprefix("builtins.")
            if obj.name in LOCKS:
                return Type("lock", name=obj.name)
            if bare in ("dict", "list", "set"):
                return Type(bare)
            if obj.name in ("collections.deque", "collections.Counter", "collections.OrderedDict"):
                return Type("deque" if obj.name.endswith("deque") else "dict")
        if isinstance(obj, FunctionValue) and isinstance(obj.node, ast.Lambda):
            body = obj.node.body
            if isinstance(body, ast.Dict | ast.List | ast.Set):
                return Type({ast.Dict: "dict", ast.List: "list", ast.Set: "set"}[type(body)])
            if isinstance(body, ast.Call) and isinstance(body.func, ast.Name | ast.Attribute):
                text = ast.unparse(body.func)
                if text.endswith("deque"):
                    return Type("deque")
        return None

    def container_method(
        self, obj: Heap, receiver: Value, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.Call
    ) -> Value | None:
        """A method of a container; None when the receiver is none, or the name says nothing."""
        kind = obj.type.kind
        if kind not in _KINDS or (kind == "unknown" and name not in _UNMISTAKABLE):
            return None
        if obj.location is None:
            return self.local_method(obj, receiver, name, args, node)
        if name in READERS:
            return self.read_method(obj, receiver, name, args, node)
        if name in MUTATORS:
            return self.mutating_method(obj, receiver, name, args, kwargs, node)
        return None

    def local_method(self, obj: Heap, receiver: Value, name: str, args: list[Value], node: ast.Call) -> Value | None:
        """A container that only this request sees: what is put in comes out again."""
        if name in ("append", "add", "appendleft") and args:
            obj.fields["[*]"] = args[-1]
            self.decided_to_fill(obj)
            self.shaped.append(obj)
            return Value(None, receiver.reads)
        if name in ("get", "pop", "setdefault", "popleft"):
            held = obj.fields.get(self.field_of(obj, args[0])) if args else None
            if held is not None and name == "get" and is_told_apart(obj, self.field_of(obj, args[0])):
                return held.also(*args[1:])
            held = held or obj.fields.get("[*]")
            if held is not None:
                return held.also(receiver, *args[1:])
        if name in ("values", "items", "keys", "copy"):
            return Value(obj if name != "keys" else None, receiver.reads, "", receiver.request)
        return None

    def decided_to_fill(self, heap: Heap) -> None:
        """Remember why a container that only this request sees has something in it: `if found: errors.append(...)`."""
        frame = self.frame.serial
        decided = [c for c in self.state.control if c.frame == frame and not c.exit]
        if decided and heap.location is None:
            known, made = heap.fields.get(DECIDED, NOTHING), sense_of(decided)
            made = made if known.made in ("", made) else "equal"
            heap.fields[DECIDED] = Value(None, known.reads.union(*(c.reads for c in decided)), made=made)

    def changed_by(self, kind: str, args: list[Value], node: ast.Call) -> Value | None:
        """A function that changes the container it is given (`heapq.heappop(jobs)`); None where that is none."""
        container, stored = args[0], args[-1]
        obj = container.obj
        if not isinstance(obj, Heap) or obj.type.kind not in _KINDS:
            return None
        item = self.child(obj, "[*]")
        if obj.location is None:
            self.fill(obj, args[1:])
            return item.also(container)
        if kind == "insert" and stored.obj is not None:
            self.keep(obj, "[*]", self.share(stored, obj.location.child("[*]")))
        given = Value(None).also(*args[1:])
        self.write(obj.location.child("[*]"), "", kind, Value(None, given.reads, "", given.request, stored.made), node)
        self.switch(node)
        return _taken(item) if kind == "remove" else Value(None)

    def read_method(self, obj: Heap, receiver: Value, name: str, args: list[Value], node: ast.Call) -> Value:
        assert obj.location is not None
        if name == "get" and args:
            value = self.element(receiver, args[0], node, "get")
            self.switch(node)
            default = args[1] if len(args) > 1 else None
            if default is not None and isinstance(default.obj, LockValue):
                return default  # it is never stored: whoever finds no lock has one of its own
            if default is not None and isinstance(default.obj, Heap) and value.obj is None:
                value = Value(default.obj, value.reads, value.term, value.request, value.made)
            return value.also(*([default] if default else []))
        reads = self.read(obj.location.child("[*]"), "", "iterate", node)
        self.switch(node)
        if name in ("values", "items", "keys", "copy"):
            view = Heap(Type("view" if name != "copy" else obj.type.kind), node=node)
            item = self.child(obj, "[*]")
            if item.obj is not None and name != "keys":
                view.fields["[*]"] = Value(Group([Value(None), item])) if name == "items" else item
            return Value(view, receiver.reads | reads, "", False, "display")
        return Value(None, receiver.reads | reads, "", False, "expression")

    def mutating_method(
        self, obj: Heap, receiver: Value, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.Call
    ) -> Value:
        assert obj.location is not None
        keyed = obj.type.kind in ("dict", "set", "unknown") and name not in ("clear", "update", "popitem")
        key = args[0].term if args and keyed else ""
        field = self.field_of(obj, args[0]) if args and keyed and obj.type.kind == "dict" else "[*]"
        location = obj.location.child(field)
        value = Value(None).also(*args, *kwargs.values())
        if name in ("extend", "update", "extendleft"):
            for source in args:
                value = value.also(Value(None, self.contents(source, node)))
        stored = args[-1] if args else value
        if name in ("setdefault", "append", "add", "appendleft", "insert") and stored.obj is not None:
            self.keep(obj, "[*]", self.share(stored, obj.location.child("[*]")))
        kind = "insert" if name in INSERTING else "remove" if name in REMOVING else "mutate"
        made = "place" if name == "pop" and args and is_place(obj, args[0]) else stored.made
        value = Value(None, value.reads, "", value.request, made)
        mine = (
            bool(args) and isinstance(args[0].obj, Heap) and args[0].obj.location is None and not key.startswith("str(")
        )
        self.write(location, key, kind, value, node, mine=mine and kind == "remove")
        self.switch(node)
        if name in ATOMIC:
            item = self.child(obj, field)
            if isinstance(item.obj, LockValue):
                return item
            if kind == "remove":
                return _taken(item)
            return Value(item.obj, frozenset(), f"{obj.location}[{key}]", False, "")
        return Value(None, frozenset())


def _taken(item: Value) -> Value:
    """What has been taken out of a container belongs to the one who took it."""
    taken = item.obj if isinstance(item.obj, Heap) else None
    return Value(Heap(taken.type, None, dict(taken.fields)) if taken else None, frozenset(), "", False, "call")


def is_session(value: Value) -> bool:
    """Whether a value is a session that requests must not share."""
    return isinstance(value.obj, Session) and value.obj.library == "sqlalchemy"


def is_only_declared(known: Value | None) -> bool:
    """Whether an object was made up for what an annotation says is kept somewhere: `_session: AsyncSession | None`."""
    obj = known.obj if known is not None else None
    return isinstance(obj, Heap) and obj.type.kind == "external" and not obj.fields.keys() - {"(thing)"}
