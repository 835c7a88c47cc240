"""Evaluating expressions, in Python's own order of evaluation."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from autolock.program.branches import names_in
from autolock.program.core import Core
from autolock.program.decisions import SHAPES, look_within, opposite, plain_truth, shape_of, wants_none, written_out
from autolock.program.index import dotted
from autolock.program.library import ENDS
from autolock.program.trace import Control, Read
from autolock.program.values import (
    DECIDED,
    NO_READS,
    NOTHING,
    ClassValue,
    Coroutine,
    Env,
    External,
    FileHandle,
    FunctionValue,
    Group,
    Heap,
    Location,
    LockValue,
    Method,
    Partial,
    Root,
    Row,
    Thing,
    Type,
    Value,
    is_none,
    is_switch,
    is_told_apart,
    join,
    truth,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_KINDS = frozenset({"iscoroutinefunction", "is_async_callable"})
#: Keys of a dictionary that are told apart where a loop goes over them.
_FEW = 8
#: Tests of which the shape is not all that there is to them.
_ASKED_ELSEWHERE = (ast.Call, ast.Await, ast.Name)
_OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Mod: "%", ast.FloorDiv: "//"}


class Expressions(Core):
    """The part of the interpreter that evaluates expressions."""

    def evaluate(self, node: ast.expr) -> Value:
        handler = _HANDLERS.get(node.__class__)
        if handler is None:
            return self.unknown(*(self.evaluate(c) for c in ast.iter_child_nodes(node) if isinstance(c, ast.expr)))
        return handler(self, node)

    # -- leaves ------------------------------------------------------------------

    def constant(self, node: ast.Constant) -> Value:
        if node not in self._constants:
            text = self.database.sql_text(node.value) if isinstance(node.value, str) else None
            self._constants[node] = text, repr(node.value), "none" if node.value is None else "const"
        obj, term, made = self._constants[node]
        return Value(obj, NO_READS, term, False, made)

    def name(self, node: ast.Name) -> Value:
        frame, name = self.frames[-1], node.id
        env: Env | None = frame.env
        function = frame.env.function
        inner = True
        while env is not None:
            if name in env.vars and not (inner and name in env.nonlocals):
                return self.cell(env, node) if env.shared and not inner else env.vars[name]
            env, inner = env.parent, False
        found = self.program.resolve(frame.path, name, function.name if function else "")
        if found is None:
            if name not in self._builtins:
                self._builtins[name] = Value(External(f"builtins.{name}"), term=name)
            return self._builtins[name]
        return self.reference(found[0], found[1], node)

    def cell(self, env: Env, node: ast.Name) -> Value:
        """A name of an enclosing function that every request shares."""
        value = env.vars[node.id]
        assert env.function is not None
        location = Location(Root("cell", env.function.path, f"{env.function.name}.{node.id}"))
        if isinstance(value.obj, Heap) and value.obj.location is None and value.obj.type.kind != "unknown":
            value.obj.location = location
        if isinstance(value.obj, LockValue) and value.obj.location is None:
            value.obj.location, value.obj.fresh = location, False
        if self.is_cell_rebound(env, node.id):
            reads = self.read(location, "", "load", node)
            obj = value.obj if value.obj is not None else Heap(Type("unknown"), location)
            return Value(obj, reads, str(location))
        return Value(value.obj, frozenset(), value.term or str(location), value.request, value.made)

    def is_cell_rebound(self, env: Env, name: str) -> bool:
        """Whether a nested function declares the name `nonlocal`."""
        assert env.function is not None
        facts = self.program.modules[env.function.path]
        prefix = env.function.name + "."
        return any(q.startswith(prefix) and name in f.rebinds for q, f in facts.functions.items())

    # -- compound ----------------------------------------------------------------

    def attribute_expression(self, node: ast.Attribute) -> Value:
        if isinstance(node.value, ast.Name):
            found = self.module_attribute(node)
            if found is not None:
                return found
        return self.attribute(self.evaluate(node.value), node.attr, node)

    def module_attribute(self, node: ast.Attribute) -> Value | None:
        """`module.name`, resolved as a whole so that re-exports and submodules are found."""
        assert isinstance(node.value, ast.Name)
        frame = self.frames[-1]
        env: Env | None = frame.env
        while env is not None:
            if node.value.id in env.vars:
                return None
            env = env.parent
        function = frame.env.function
        found = self.program.resolve(frame.path, f"{node.value.id}.{node.attr}", function.name if function else "")
        if found is None or found[1] or (found[0].kind == "variable" and found[0].name == node.value.id):
            return None
        return self.reference(found[0], found[1], node)

    def subscript(self, node: ast.Subscript) -> Value:
        value = self.evaluate(node.value)
        if isinstance(value.obj, ClassValue) and self.program.is_generic(value.obj.ref):
            return value  # what it is a list or a repository of says nothing of how it is made
        key = self.evaluate(node.slice)
        return self.element(value, key, node, "load")

    def element(self, value: Value, key: Value, node: ast.AST, how: str) -> Value:
        """`value[key]`, read."""
        obj = value.obj
        if isinstance(obj, Row | Thing):
            found = self.database.element(value, key, node)
            if found is not None:
                return found
        own = self.by_method(value, "__getitem__", [key], node)
        if own is not None:
            return own
        if isinstance(obj, Group):
            items = obj.items
            return self.one_of(items).also(*items[1:], value, key) if items else value
        if not isinstance(obj, Heap) or obj.type.kind in ("instance", "external"):
            if isinstance(obj, LockValue | FunctionValue | External):
                return Value(None, value.reads)
            term = f"{value.term}[{key.term}]" if value.term and key.term else ""
            return Value(None, value.reads | key.reads, term, value.request or key.request, "expression")
        if obj.location is None:
            field = self.field_of(obj, key)
            if is_told_apart(obj, field):
                return obj.fields[field].also(key)
            held = obj.fields.get(field) or obj.fields.get("[*]")
            if held is not None and obj.type.kind == "list" and key.term in ENDS:
                self.database.taken_first(held)
            return held.also(value, key) if held else self.child(obj, "[*]").also(value, key)
        field = self.field_of(obj, key)
        term = "" if isinstance(self.slice_of(node), ast.Slice) else key.term
        if obj.type.kind in ("list", "deque"):
            how = ENDS.get(key.term, how) if how == "load" and key.made == "const" else how
            term = ""
        reads = self.read(obj.location.child(field), term, how, node)
        child = self.child(obj, field)
        return Value(
            child.obj, value.reads | key.reads | reads, f"{obj.location}[{key.term}]" if key.term else "", False, ""
        )

    def by_method(self, holder: Value, name: str, args: list[Value], node: ast.AST) -> Value | None:
        """What an operator comes to where the object's own class says how; None where it does not."""
        obj = holder.obj
        if not isinstance(obj, Heap) or obj.type.kind != "instance" or obj.type.ref is None:
            return None
        method = self.program.method(obj.type.ref, name)
        bound = self.bound(method, holder).obj if method is not None else None
        return self.invoke(bound, args, {}, node) if isinstance(bound, FunctionValue) else None

    @staticmethod
    def slice_of(node: ast.AST) -> ast.AST | None:
        return node.slice if isinstance(node, ast.Subscript) else None

    @staticmethod
    def field_of(obj: Heap, key: Value) -> str:
        """The field that a key stands for: constant keys of a dict are told apart."""
        if obj.type.kind == "dict" and key.made == "const" and key.term[:1] in "'\"" and key.obj is None:
            return f"[{key.term}]"
        return "[*]"

    def binary(self, node: ast.BinOp) -> Value:
        left, right = self.evaluate(node.left), self.evaluate(node.right)
        combined = self.database.combined(left, node.op, right)
        if combined is not None:
            return combined
        term = ""
        if left.term and right.term:
            term = f"({left.term}{_OPERATORS.get(node.op.__class__, '?')}{right.term})"
        made = "display" if {left.made, right.made} & {"display"} else "expression"
        obj = None
        if isinstance(left.obj, Heap) and isinstance(node.op, ast.Div):
            obj = left.obj if left.obj.type.name == "path" else None
        return Value(
            obj,
            left.reads | right.reads | self.contents(left, node) | self.contents(right, node),
            term,
            left.request or right.request,
            made,
        )

    def contents(self, value: Value, node: ast.AST) -> frozenset[Read]:
        """Using a shared container as a whole reads what is in it."""
        obj = value.obj
        if isinstance(obj, Heap) and obj.location is not None and obj.type.kind in ("dict", "list", "set", "deque"):
            return self.read(obj.location.child("[*]"), "", "iterate", node)
        if isinstance(obj, FileHandle) and ("r" in obj.mode or "+" in obj.mode):
            return self.read(obj.location, "", "load", node)
        return frozenset()

    def test(self, node: ast.expr) -> Value:
        """A value that is asked whether it is true: of a container, whether there is anything in it."""
        value = self.evaluate(node)
        inside = self.contents(value, node)
        made = value.made
        if isinstance(value.obj, Heap) and DECIDED in value.obj.fields:
            inside, made = inside | value.obj.fields[DECIDED].reads, value.obj.fields[DECIDED].made
        return Value(value.obj, value.reads | inside, value.term, value.request, made) if inside else value

    def known(self, test: ast.expr) -> bool | None:
        """How a test comes out that only asks for what is known here; None for any other.

        That are switches which the caller set (`lock=True`, `kind="order"`) or left alone (`user_id=None`), keys that
        a dictionary was made without, and of which kind a function is, as decorators ask that are made for both.
        """
        env = self.frame.env
        if isinstance(test, ast.Compare) and _is_left_out(test, env):
            return isinstance(test.ops[0], ast.NotIn)
        if isinstance(test, ast.Name) and test.id in env.switches:
            return truth(env.vars.get(test.id, NOTHING))
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            inner = self.known(test.operand)
            return None if inner is None else not inner
        if isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id in env.switches:
            text = env.vars.get(test.left.id, NOTHING)
            same = _is_that_text(test, text) if text.term not in self.several else None
            if same is not None:
                self.told += 1
                return same
            given, wanted = env.vars.get(test.left.id, NOTHING), wants_none(test)
            return None if wanted is None or truth(given) is None else is_none(given) == wanted
        if isinstance(test, ast.BoolOp):
            parts = [self.known(part) for part in test.values]
            decisive = isinstance(test.op, ast.Or)
            if decisive in parts:
                return decisive
            return None if None in parts else not decisive
        if isinstance(test, ast.Call) and dotted(test.func).rpartition(".")[2] in _KINDS and len(test.args) == 1:
            return self.is_coroutine_function(test.args[0])
        return None

    def is_coroutine_function(self, node: ast.expr) -> bool | None:
        """Whether a function of the project is an `async def` that is awaited; None for what is not one."""
        function = self.evaluate(node).obj
        if not isinstance(function, FunctionValue):
            return None
        facts = self.program.function(function.ref)
        generator = facts is not None and facts.is_generator
        return isinstance(function.node, ast.AsyncFunctionDef) and not generator and not function.manager

    def unary(self, node: ast.UnaryOp) -> Value:
        value = self.test(node.operand) if isinstance(node.op, ast.Not) else self.evaluate(node.operand)
        asked = value.made if value.made in SHAPES else "truth" if value.obj is not None else ""
        made = opposite(asked) if isinstance(node.op, ast.Not) and asked else "expression"
        term = f"-{value.term}" if value.term and isinstance(node.op, ast.USub) else ""
        made = "const" if term and value.made == "const" else made
        return Value(None, value.reads, term, value.request, made)

    def boolean(self, node: ast.BoolOp) -> Value:
        result = self.test(node.values[0])
        for test, operand in zip(node.values, node.values[1:], strict=False):
            before = self.state.copy()
            control = self.control(test, result, isinstance(node.op, ast.Or), "")
            with self.deciding(control):
                value = self.test(operand)
            self.state.merge(before)
            missing = isinstance(node.op, ast.Or) and is_none(result)  # `given or Made()` of what nobody has given
            result = value if missing else join(result, value)
        return result

    def control(self, test: ast.expr, value: Value, negated: bool, exit_: str) -> Control | None:
        """The decision made on a test, where it looked at shared state."""
        if not value.reads:
            return None
        reads = self.database.whether_found(value.reads) if self.is_about_details(test) else value.reads
        shape = self.shape(test, value)
        if shape in ("truth", "falsy") and value.made in ("await", "call"):
            self.database.rows.ask_whether_any(value)
        asked, flipped = written_out(test, self.frame.env.tests)
        if flipped:
            shape, negated = opposite(shape), not negated
        return Control(reads, asked, shape, negated, exit_, self.frame.serial)

    def is_about_details(self, test: ast.expr) -> bool:
        """Whether a test asks if there is a dictionary that a helper makes of what it finds: never an empty one."""
        asked = test.operand if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not) else test
        if isinstance(asked, ast.Compare) and shape_of(asked) in ("missing", "present"):
            asked = asked.left
        found = self.frame.env.vars.get(asked.id, NOTHING).obj if isinstance(asked, ast.Name) else None
        made_here = isinstance(found, Heap) and found.type.kind == "dict" and found.location is None
        return made_here and isinstance(found, Heap) and any(name.startswith("['") for name in found.fields)

    @staticmethod
    def shape(test: ast.expr, value: Value) -> str:
        """What a test asks; of a helper's answer or a flag, what was asked to get it."""
        inner = test.operand if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not) else test
        if not isinstance(inner, _ASKED_ELSEWHERE):
            return shape_of(test)
        if value.made in SHAPES:
            return value.made
        called = inner.value if isinstance(inner, ast.Await) else inner
        looks = (called, look_within(called))
        looked_up = shape_of(inner) == "present" or any(r.node is look for r in value.reads for look in looks)
        return "equal" if isinstance(called, ast.Call) and value.obj is None and not looked_up else shape_of(test)

    def compare(self, node: ast.Compare) -> Value:
        values = [self.evaluate(node.left)]
        for operator, right in zip(node.ops, node.comparators, strict=True):
            value = self.evaluate(right)
            condition = self.database.compared(values[-1], operator, value)
            if condition is not None:
                return condition
            if isinstance(operator, ast.In | ast.NotIn):
                value = self.membership(values[-1], value, right, node)
            values.append(value)
        reads = frozenset().union(*(v.reads for v in values))
        made = shape_of(node) if reads else "expression"
        return Value(None, reads, "", any(v.request for v in values), made)

    def membership(self, key: Value, container: Value, right: ast.expr, node: ast.AST) -> Value:
        """`key in container`."""
        obj = container.obj
        own = self.by_method(container, "__contains__", [key], node)
        if own is not None:
            return own
        if isinstance(obj, Heap) and obj.location is not None and obj.type.kind not in ("instance", "external"):
            term = key.term if obj.type.kind in ("dict", "set", "unknown") else ""
            field = self.field_of(obj, key)
            return Value(None, container.reads | self.read(obj.location.child(field), term, "contains", node))
        return container

    def conditional(self, node: ast.IfExp) -> Value:
        asked = plain_truth(node)
        if asked is not node:
            return self.evaluate(asked)
        test = self.evaluate(node.test)
        known = self.known(node.test)
        if known is not None:
            return self.evaluate(node.body if known else node.orelse)
        before = self.state.copy()
        with self.deciding(self.control(node.test, test, False, "")):
            one = self.evaluate(node.body)
        after, self.state = self.state, before
        with self.deciding(self.control(node.test, test, True, "")):
            other = self.evaluate(node.orelse)
        self.state.merge(after)
        chosen = join(one, other)
        # `new if new != old else None` is the new value or none at all: nothing of the old one is in it.
        is_news = test.made == "different" and other.made == "none"
        return chosen if is_news else chosen.also(test)

    def display(self, node: ast.List | ast.Set | ast.Tuple) -> Value:
        items = [self.spread(e) for e in node.elts]
        if isinstance(node, ast.Tuple):
            term = f"({','.join(i.term for i in items)})" if items and all(i.term for i in items) else ""
            return Value(
                Group(items),
                frozenset().union(*(i.reads for i in items)),
                term,
                any(i.request for i in items),
                "display",
            )
        heap = Heap(Type("list" if isinstance(node, ast.List) else "set"), node=node)
        self.fill(heap, items)
        return Value(heap, frozenset().union(*(i.reads for i in items)), "", any(i.request for i in items), "display")

    def spread(self, node: ast.expr) -> Value:
        """An element of a display; `*shared` reads all of it."""
        if not isinstance(node, ast.Starred):
            return self.evaluate(node)
        value = self.evaluate(node.value)
        if isinstance(value.obj, Group):
            return value
        return Value(None, value.reads | self.contents(value, node), "", value.request, "expression")

    def fill(self, heap: Heap, items: list[Value]) -> None:
        """Remember what kind of thing a container holds."""
        for item in items:
            if item.obj is not None and not isinstance(item.obj, Group):
                heap.fields["[*]"] = item
                break

    def dictionary(self, node: ast.Dict) -> Value:
        heap = Heap(Type("dict"), node=node)
        values: list[Value] = []
        for key, item in zip(node.keys, node.values, strict=True):
            if key is None:
                value = self.evaluate(item)
                values.append(Value(None, value.reads | self.contents(value, node), "", value.request))
                continue
            name = self.evaluate(key)
            value = self.evaluate(item)
            values.extend((name, value))
            column = self.database.column_name(name)
            field = f"['{column}']" if column else self.field_of(heap, name)
            if value.obj is None and field != "[*]":
                heap.fields[field] = value
            elif value.obj is not None and not isinstance(value.obj, Group):
                heap.fields.setdefault(field, value)
                if field != "[*]" and not isinstance(value.obj, Heap):
                    continue
                heap.fields.setdefault("[*]", value)
        heap.keywords = 0 < len(node.keys) <= _FEW and all(
            isinstance(key, ast.Constant) and isinstance(key.value, str) for key in node.keys
        )
        return Value(heap, frozenset().union(*(v.reads for v in values)), "", any(v.request for v in values), "display")

    def formatted(self, node: ast.JoinedStr) -> Value:
        written = [v.value if isinstance(v, ast.FormattedValue) else v for v in node.values]
        parts = [self.evaluate(v) for v in written]
        term = "f'" + "".join("{" + p.term + "}" for p in parts) + "'" if all(p.term for p in parts) else ""
        return Value(
            self.database.formatted_sql(parts, written),
            frozenset().union(*(p.reads for p in parts)),
            term,
            any(p.request for p in parts),
            "call" if any(p.made == "call" and p.obj is None for p in parts) else "expression",
        )

    def comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> Value:
        sources: list[Value] = []
        turns: list[Value] = []
        for generator in node.generators:
            source = self.evaluate(generator.iter)
            turns = self.named_items(source, generator.iter) if len(node.generators) == 1 else []
            reads = self.contents(source, generator.iter) or frozenset()
            if generator.is_async:
                self.suspend(node, "async for")
            item = self.iterated(source, generator.iter)
            self.bind(generator.target, item.also(Value(None, reads)))
            looked = source.reads | reads
            sources.append(Value(None, looked, "", source.request))
            sources.extend(self.filtered(test, generator.target, looked) for test in generator.ifs)
        self.loops += 1
        if isinstance(node, ast.DictComp):
            results = [self.evaluate(node.key), self.evaluate(node.value)]
        elif turns:
            results = [self.turn(node.generators[0].target, item, node.elt) for item in turns]
            results.append(self.database.all_of(results))
        else:
            results = [self.evaluate(node.elt)]
            self.measure(NO_READS.union(*(s.reads for s in sources)), node.elt, [g.target for g in node.generators])
        self.loops -= 1
        heap = Heap(
            Type("dict" if isinstance(node, ast.DictComp) else "set" if isinstance(node, ast.SetComp) else "list"),
            node=node,
        )
        self.fill(heap, results[-1:])
        if isinstance(results[-1].obj, Coroutine):
            return Value(Group([results[-1]]), made="display").also(*sources)
        return Value(heap, made="display").also(*sources, *results)

    def turn(self, target: ast.expr, item: Value, element: ast.expr) -> Value:
        """What a comprehension makes of one item."""
        self.bind(target, item)
        return self.evaluate(element)

    @staticmethod
    def named_items(source: Value, node: ast.expr) -> list[Value]:
        """The names and values of `**kwargs`, or of a few that are written down, where a loop goes over `x.items()`."""
        obj, called = source.obj, node.func if isinstance(node, ast.Call) else None
        if not isinstance(obj, Heap) or not obj.keywords or not isinstance(called, ast.Attribute):
            return []
        if obj.location is not None:
            return []
        named = [(name[1:-1], held) for name, held in obj.fields.items() if name.startswith("['")]
        if called.attr != "items" or len(named) != len(obj.fields):
            return []
        return [Value(Group([Value(None, term=key, made="const"), held])).also(held) for key, held in named]

    def filtered(self, test: ast.expr, turn: ast.expr, looked: frozenset[Read]) -> Value:
        """The `if` of a comprehension: what comes out was chosen by what it asks, not by whether anything came out.

        `turn` is what each element is called: any element at all, as far as what is asked of it goes. `looked` are
        the looks at all of them.
        """
        names = names_in([turn])
        variables = self.frame.env.vars
        for name in names & variables.keys():
            held = variables[name]
            variables[name] = Value(held.obj, held.reads, "", held.request, held.made)
        value = self.evaluate(test)
        self.database.asked_of_each(value, taken=False)
        own = {id(n) for n in ast.walk(test)}
        self.filters.update((read, shape_of(test)) for read in value.reads if id(read.node) in own)
        self.measure(looked, test, [turn])
        return value

    def measure(self, looked: frozenset[Read], test: ast.expr, turns: list[ast.expr]) -> None:
        """Note looks at all elements of a container that were made to compare each of them: `v >= n`."""
        if shape_of(test) == "compare" and names_in(turns) & names_in([test]):
            self.measured |= {r for r in looked if r.how == "iterate"}

    def one_of(self, items: list[Value]) -> Value:
        """What stands for any of some values: the first one; of several texts it decides nothing."""
        if len(items) > 1:
            self.several |= {item.term for item in items if is_switch(item)}
        return items[0]

    def iterated(self, source: Value, node: ast.AST) -> Value:
        """What a loop over a value yields."""
        obj = source.obj
        if isinstance(obj, Row | Thing):
            found = self.database.iterated(source, node)
            if found is not None:
                return found.also(source)
        if isinstance(obj, Group) and obj.items:
            return self.one_of(obj.items).also(source)
        if isinstance(obj, Heap) and obj.type.kind in ("dict", "list", "set", "deque", "view", "unknown"):
            if obj.type.kind == "dict":
                return Value(None, source.reads, "", source.request)
            return self.child(obj, "[*]").also(source)
        return Value(None, source.reads, "", source.request)

    def lambda_(self, node: ast.Lambda) -> Value:
        ref = self.frame.ref
        if ref is None:
            return NOTHING
        return Value(FunctionValue(ref, node, env=self.frame.env))

    def named(self, node: ast.NamedExpr) -> Value:
        value = self.evaluate(node.value)
        self.bind(node.target, value)
        return value

    def bind(self, target: ast.expr, value: Value) -> None:
        """Assign to a target that is a local name or a tuple of them."""
        raise NotImplementedError

    def starred(self, node: ast.Starred) -> Value:
        return self.spread(node)

    def slice(self, node: ast.Slice) -> Value:
        return self.unknown(*(self.evaluate(p) for p in (node.lower, node.upper, node.step) if p))

    # -- suspension --------------------------------------------------------------

    def await_(self, node: ast.Await) -> Value:
        self.awaiting = node.value
        value = self.evaluate(node.value)
        obj = value.obj
        if isinstance(obj, Coroutine):
            return _from_call(self.run_coroutine(obj, node), "await")
        what = node.value.func if isinstance(node.value, ast.Call) else node.value
        if isinstance(obj, Group) and any(isinstance(i.obj, Coroutine | Group) for i in obj.items):
            self.suspend(node, what)
            results = [self.awaited(item, node) for item in obj.items]
            self.suspend(node, what)
            if len(results) == 1:
                return results[0]
            return Value(Group(results), made="await").also(*results)
        if isinstance(obj, External) and obj.name == "autolock.acquired":
            return value
        self.suspend(node, what)
        if isinstance(obj, Thing):
            given = self.database.awaited(obj, node)
            if given is not None:
                return _from_call(given.also(value), "await")
        else:
            self.database.outside.awaited(node.value)
        if isinstance(obj, External | FunctionValue | Method | Partial):
            obj = None
        return Value(obj, value.reads, "", value.request, "await")

    def awaited(self, value: Value, node: ast.AST) -> Value:
        if isinstance(value.obj, Coroutine):
            return self.run_coroutine(value.obj, node)
        if isinstance(value.obj, Group):
            for item in value.obj.items:
                self.awaited(item, node)
        return value

    def yield_(self, node: ast.Yield) -> Value:
        value = self.evaluate(node.value) if node.value is not None else NOTHING
        frame = self.frame
        if frame.on_yield is not None:
            frame.on_yield(value)
            return NOTHING
        self.suspend(node, "yield")
        return NOTHING

    def yield_from(self, node: ast.YieldFrom) -> Value:
        value = self.evaluate(node.value)
        if isinstance(value.obj, Coroutine):
            return self.run_coroutine(value.obj, node)
        return self.yield_(ast.copy_location(ast.Yield(None), node))

    # -- calls -------------------------------------------------------------------

    def call_expression(self, node: ast.Call) -> Value:
        self.callees.add(id(node.func))
        callee = self.evaluate(node.func)
        if isinstance(callee.obj, External) and callee.obj.name in ("builtins.super",):
            return self.super_()
        args: list[Value] = []
        for argument in node.args:
            value = self.evaluate(argument.value) if isinstance(argument, ast.Starred) else self.evaluate(argument)
            if isinstance(argument, ast.Starred) and isinstance(value.obj, Group):
                args.extend(value.obj.items)
            else:
                args.append(value)
        kwargs: dict[str, Value] = {}
        for keyword in node.keywords:
            value = self.evaluate(keyword.value)
            if keyword.arg is None and isinstance(value.obj, Heap) and value.obj.keywords:
                kwargs.update((name[2:-2], held) for name, held in value.obj.fields.items() if name.startswith("['"))
            else:
                kwargs[keyword.arg or "**"] = value
        return self.call(callee, args, kwargs, node)

    def super_(self) -> Value:
        env = self.frame.env
        receiver = env.vars.get("self") or env.vars.get("cls") or NOTHING
        ref = self.frame.ref
        known = isinstance(receiver.obj, ClassValue) or (
            isinstance(receiver.obj, Heap) and receiver.obj.type.ref is not None
        )
        if known and ref is not None:
            return Value(Method(receiver, f"super:{ref.name.rpartition('.')[0]}"))
        return NOTHING

    def file_location(self, value: Value) -> Location | None:
        """The file that a path names, where two places can be seen to name the same one."""
        if isinstance(value.obj, FileHandle):
            return value.obj.location
        if not value.term or "@" in value.term:
            return None
        return Location(Root("file", "", value.term))


def _is_left_out(test: ast.Compare, env: Env) -> bool:
    """Whether a test asks for a key that is not among the few that a dictionary was made with: `"name" in changes`."""
    key, container, operator = test.left, test.comparators[0], test.ops[0]
    if not isinstance(operator, ast.In | ast.NotIn) or not isinstance(container, ast.Name) or len(test.ops) != 1:
        return False
    held = env.vars.get(container.id, NOTHING).obj
    if (
        not isinstance(held, Heap)
        or held.location is not None
        or not held.keywords
        or not isinstance(key, ast.Constant)
    ):
        return False
    made = held.node
    if isinstance(made, ast.Dict):
        return all(isinstance(k, ast.Constant) and k.value != key.value for k in made.keys)
    return f"[{key.value!r}]" not in held.fields


def _is_that_text(test: ast.Compare, given: Value) -> bool | None:
    """How a text compares with one that is written down, or with some: `kind == "order"`; None for any other test."""
    wanted, operator = test.comparators[0], test.ops[0]
    among = isinstance(operator, ast.In | ast.NotIn)
    texts = wanted.elts if among and isinstance(wanted, ast.Tuple | ast.List | ast.Set) else [] if among else [wanted]
    plain = all(isinstance(t, ast.Constant) and isinstance(t.value, str) for t in texts)
    known = is_switch(given) and truth(given) is None and not given.reads
    if not known or not texts or not plain or len(test.ops) != 1:
        return None
    if not among and not isinstance(operator, ast.Eq | ast.NotEq):
        return None
    same = given.term in [repr(t.value) for t in texts if isinstance(t, ast.Constant)]
    return same is isinstance(operator, ast.In | ast.Eq)


def _from_call(value: Value, made: str) -> Value:
    """The value of a call: something made for the caller, whatever it is."""
    if value.made in ("new", "none") or value.made in SHAPES:
        return value
    return Value(value.obj, value.reads, value.term, value.request, made)


_HANDLERS: dict[type, Callable[[Any, Any], Value]] = {
    ast.Constant: Expressions.constant,
    ast.Name: Expressions.name,
    ast.Attribute: Expressions.attribute_expression,
    ast.Subscript: Expressions.subscript,
    ast.BinOp: Expressions.binary,
    ast.BoolOp: Expressions.boolean,
    ast.UnaryOp: Expressions.unary,
    ast.Compare: Expressions.compare,
    ast.IfExp: Expressions.conditional,
    ast.List: Expressions.display,
    ast.Set: Expressions.display,
    ast.Tuple: Expressions.display,
    ast.Dict: Expressions.dictionary,
    ast.JoinedStr: Expressions.formatted,
    ast.ListComp: Expressions.comprehension,
    ast.SetComp: Expressions.comprehension,
    ast.GeneratorExp: Expressions.comprehension,
    ast.DictComp: Expressions.comprehension,
    ast.Lambda: Expressions.lambda_,
    ast.NamedExpr: Expressions.named,
    ast.Starred: Expressions.starred,
    ast.Slice: Expressions.slice,
    ast.Await: Expressions.await_,
    ast.Yield: Expressions.yield_,
    ast.YieldFrom: Expressions.yield_from,
    ast.Call: Expressions.call_expression,
}
