"""Executing statements: branches, loops, exceptions, `with`, and what an assignment writes to."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from autolock.database.dialect_branches import asks_which_database, locked_in_one
from autolock.database.hooks import expected
from autolock.llm.names import limits
from autolock.program.calls import TRIED, Calls
from autolock.program.containers import is_only_declared, is_session
from autolock.program.core import OutOfBudget
from autolock.program.decisions import Arm, chained, leaves_at_once, name_test, says_different, says_equal
from autolock.program.index import dotted
from autolock.program.lacking import LACKING
from autolock.program.linker import Ref
from autolock.program.state import State
from autolock.program.trace import Control, Iteration, Read, sense_of
from autolock.program.values import (
    NO_READS,
    NOTHING,
    ClassValue,
    Coroutine,
    Env,
    External,
    FunctionValue,
    Group,
    Heap,
    Location,
    LockValue,
    Root,
    Row,
    Thing,
    Value,
    answered,
    is_place,
    is_told_apart,
    join,
    note_answers,
)

#: Names of context managers that are locks, whatever they are made of.
_LOCKING = re.compile(r"(^|[._])(lock|locked|locking|mutex|exclusive|exclusively)(_|$)")
#: What makes all who open a file wait for one, those of other processes as well.
_FILE_LOCKING = re.compile(r"\b(flock|lockf)\(.*\bLOCK_EX\b|\bmsvcrt\.locking\(|\bportalocker\.lock\(")
_WRAPPING = (ast.NamedExpr, ast.Await)
_QUIET_MANAGERS = ("timeout", "timeout_at", "move_on_after", "fail_after", "suppress", "nullcontext", "closing")


class Statements(Calls):
    """The part of the interpreter that executes statements."""

    def execute(self, body: list[ast.stmt]) -> None:
        for statement in body:
            if not self.state.alive:
                return
            self.budget -= 1
            if self.budget < self.floor:
                raise OutOfBudget
            frame = self.frames[-1]
            frame.statement = statement
            handler = _HANDLERS.get(statement.__class__)
            if handler is not None:
                handler(self, statement)
            if frame.caught and self.state.alive:
                frame.caught[-1].append(self.state.copy())

    # -- simple statements -------------------------------------------------------

    def expression(self, node: ast.Expr) -> None:
        self.evaluate(node.value)

    def assign(self, node: ast.Assign) -> None:
        value = self.evaluate(node.value)
        for target in node.targets:
            self.store(target, value, node, "assign")
            if isinstance(target, ast.Name):
                name_test(self.frame.env.tests, target.id, node.value)

    def annotated(self, node: ast.AnnAssign) -> None:
        if node.value is None:
            return
        value = self.evaluate(node.value)
        kind, element = self.type_of_annotation(
            self.frame.path, node.annotation, self.frame.ref.name if self.frame.ref else ""
        )
        if isinstance(value.obj, Heap) and value.obj.type.kind == "unknown" and kind.kind == "external":
            value.obj.type = kind
        if isinstance(value.obj, Heap) and element is not None and value.obj.element is None:
            value.obj.element = element
        elif value.obj is None and kind.kind not in ("unknown", "lock") and value.made != "const":
            value = Value(Heap(kind, element=element), value.reads, value.term, value.request, value.made)
        self.store(node.target, value, node, "assign")
        if isinstance(node.target, ast.Name):
            name_test(self.frame.env.tests, node.target.id, node.value)

    def augmented(self, node: ast.AugAssign) -> None:
        # The target is read before the right-hand side is evaluated, also when that awaits.
        target = self.called_once(node.target)
        current = self.evaluate(_as_load(target))
        value = self.evaluate(node.value)
        operand = value.term if isinstance(node.op, ast.Add | ast.Sub) else ""
        summed = self.database.combined(current, node.op, value)
        if summed is not None and isinstance(target, ast.Name):
            self.store(target, summed, node, "assign")
            return
        result = Value(None, value.reads, "", value.request, value.made)
        obj = current.obj
        if isinstance(obj, Heap) and obj.type.kind in ("list", "set", "dict", "deque") and isinstance(target, ast.Name):
            obj.keywords = False
            if obj.location is not None:
                self.write(obj.location.child("[*]"), "", "insert", result, node)
            return
        own = frozenset(r for r in current.reads if isinstance(r, Read))
        self.store(target, result, node, "augment", operand, own)

    def called_once(self, target: ast.Name | ast.Attribute | ast.Subscript) -> ast.Name | ast.Attribute | ast.Subscript:
        """A target of `+=` in which no call is left: `state()[key(x)] += 1` calls before it reads, and only once."""
        if isinstance(target, ast.Name) or not any(isinstance(n, ast.Call) for n in ast.walk(target)):
            return target
        holder = self.put_by(target.value)
        if isinstance(target, ast.Attribute):
            return ast.copy_location(ast.Attribute(holder, target.attr, target.ctx), target)
        return ast.copy_location(ast.Subscript(holder, self.put_by(target.slice), target.ctx), target)

    def put_by(self, node: ast.expr) -> ast.Name:
        """Evaluate an expression, and give a name that stands for what it came to."""
        local = f"<{node.lineno}:{node.col_offset}>"
        self.frame.env.vars[local] = self.evaluate(node)
        return ast.copy_location(ast.Name(local, ast.Load()), node)

    def store(
        self,
        target: ast.expr,
        value: Value,
        node: ast.stmt,
        kind: str,
        operand: str = "",
        own: frozenset[Read] = frozenset(),
    ) -> None:
        """Assign a value to a target."""
        if isinstance(target, ast.Name):
            self.store_name(target.id, value, node, kind, own)
        elif isinstance(target, ast.Attribute):
            holder = self.evaluate(target.value)
            self.assign_attribute(holder, target.attr, value, node, kind, operand, own)
        elif isinstance(target, ast.Subscript):
            holder = self.evaluate(target.value)
            key = self.evaluate(target.slice)
            self.store_element(holder, key, value, node, kind, operand, own)
        elif isinstance(target, ast.Tuple | ast.List):
            self.unpack(target.elts, value, node)
        elif isinstance(target, ast.Starred):
            self.store(target.value, Value(None, value.reads, "", value.request), node, kind)

    def unpack(self, targets: list[ast.expr], value: Value, node: ast.stmt) -> None:
        items = value.obj.items if isinstance(value.obj, Group) and len(value.obj.items) == len(targets) else None
        for index, target in enumerate(targets):
            made = value.made if value.made in ("call", "await") else "expression"
            part = items[index] if items else Value(None, value.reads, "", value.request, made)
            if isinstance(value.obj, Row):
                place = Value(None, term=str(index), made="const")
                part = (self.database.element(value, place, node) or part).also(value)
            self.store(target, part, node, "assign")

    def bind(self, target: ast.expr, value: Value) -> None:
        statement = self.frame.statement or ast.Pass()
        self.store(target, value, statement, "assign")

    def store_name(self, name: str, value: Value, node: ast.stmt, kind: str, own: frozenset[Read]) -> None:
        env = self.frame.env
        if name in env.nonlocals:
            self.store_outer(name, value, node, kind, own)
            return
        term = value.term if value.term and value.made != "const" else f"{name}@{getattr(node, 'lineno', 0)}"
        if kind == "augment":
            known = env.vars.get(name, NOTHING).also(value)
            value = Value(None, known.reads, "", known.request, "expression")
            term = f"{name}@{getattr(node, 'lineno', 0)}"
        env.vars[name] = Value(
            value.obj, value.reads, value.term if value.made == "const" else term, value.request, value.made
        )

    def store_outer(self, name: str, value: Value, node: ast.stmt, kind: str, own: frozenset[Read]) -> None:
        """`global` or `nonlocal` names."""
        env: Env | None = self.frame.env.parent
        while env is not None:
            if name in env.vars:
                if env.shared and env.function is not None:
                    location = Location(Root("cell", env.function.path, f"{env.function.name}.{name}"))
                    self.write(location, "", kind, value, node, own=own)
                    self.settle(value, location)
                else:
                    env.vars[name] = join(env.vars[name], value)
                return
            env = env.parent
        path = self.frame.path
        found = self.program.resolve(path, name)
        if found is not None and found[0].kind not in ("variable",):
            return
        location = Location(Root("variable", path, name))
        self.write(location, "", kind, value, node, own=own)
        shared = self.share(value, location)
        known = self._variables.get((path, name))
        kept = isinstance(shared.obj, Heap | LockValue) and (known is None or known.obj is None)
        if kept or (is_session(shared) and is_only_declared(known)):
            self._variables[path, name] = Value(shared.obj, term=str(location))

    def assign_attribute(
        self, holder: Value, name: str, value: Value, node: ast.stmt, kind: str, operand: str, own: frozenset[Read]
    ) -> None:
        obj = holder.obj
        field = f".{name}"
        location: Location | None = None
        if isinstance(obj, Heap) and obj.type.kind == "instance" and obj.type.ref is not None:
            setter = self.program.method(obj.type.ref, f"{name}.setter")
            bound = self.bound(setter, holder).obj if setter is not None else None
            if isinstance(bound, FunctionValue):
                self.invoke(
                    bound, [Value(value.obj, value.reads | own, value.term, value.request, value.made)], {}, node
                )
                return
            keeper = self.kept_elsewhere(holder, "__setattr__")
            if keeper is not None:
                self.invoke(keeper, [_named(name), value], {}, node)
                return
        if isinstance(obj, Row):
            self.database.rows.assign(obj, name, value, node, kind, own)
            return
        if isinstance(obj, ClassValue):
            cls = self.slot_owner(obj.ref, name) or obj.ref
            location = Location(Root("class", cls.path, cls.name), (field,))
        elif isinstance(obj, Heap):
            if obj.location is not None:
                location = obj.location.child(field)
        else:
            target = self.outside_variable(holder, name)
            if target is not None:
                location = Location(Root("variable", target.path, target.name))
        if location is not None:
            self.write(location, "", kind, value, node, operand=operand, own=own)
            value = self.share(value, location)
        if isinstance(obj, Heap) and kind == "assign" and (value.obj is not None or field not in obj.fields):
            self.keep(obj, field, value)

    def outside_variable(self, holder: Value, name: str) -> Ref | None:
        """`module.name = ...`."""
        path = getattr(holder.obj, "path", None)
        if isinstance(path, str) and name in getattr(self.program.modules.get(path), "bindings", {}):
            return Ref("variable", path, name)
        return None

    def store_attribute(
        self, target: Value, name: str, value: Value, node: ast.AST, kind: str, operand: str = ""
    ) -> None:
        assert isinstance(node, ast.stmt)
        self.assign_attribute(target, name, value, node, kind, operand, frozenset())

    def store_element(
        self, holder: Value, key: Value, value: Value, node: ast.stmt, kind: str, operand: str, own: frozenset[Read]
    ) -> None:
        obj = holder.obj
        if isinstance(obj, Heap) and obj.type.kind == "instance":
            given = Value(value.obj, value.reads | own, value.term, value.request, value.made)
            self.by_method(holder, "__setitem__", [key, given], node)
        if not isinstance(obj, Heap) or obj.type.kind in ("instance", "external", "view"):
            return
        obj.keywords = False
        self.database.rows.change_inside(obj, value, node)
        field = self.field_of(obj, key)
        if obj.location is not None:
            location = obj.location.child(field)
            if kind == "assign" and _is_there_already(value, location.base.child(field), obj, key):
                return
            term = "" if obj.type.kind in ("list", "deque") else key.term
            self.write(location, term, kind, value, node, operand=operand, own=own | key.reads)
            value = self.share(value, obj.location.child("[*]"))
        if is_told_apart(obj, field):
            obj.fields[field] = obj.fields[field].also(value)
        if value.obj is not None and not isinstance(value.obj, Group):
            self.keep(obj, "[*]", value)

    def delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ast.Subscript):
                holder, key = self.evaluate(target.value), self.evaluate(target.slice)
                obj = holder.obj
                if self.by_method(holder, "__delitem__", [key], node) is not None:
                    continue
                if isinstance(obj, Heap) and obj.location is not None and obj.type.kind not in ("instance", "external"):
                    term = "" if obj.type.kind == "list" else key.term
                    by_place = is_place(obj, key) and not isinstance(target.slice, ast.Slice)
                    found = Value(None, key.reads, made="place") if by_place else NOTHING
                    self.write(obj.location.child(self.field_of(obj, key)), term, "remove", found, node)
            elif isinstance(target, ast.Name):
                self.frame.env.vars.pop(target.id, None)

    def return_(self, node: ast.Return) -> None:
        value = self.evaluate(node.value) if node.value is not None else Value(None, made="none")
        frame = self.frame
        implied = [c for c in self.state.control if c.frame == frame.serial and c.exit != "raise"]
        if implied:
            value = answered(value, frozenset().union(*(c.reads for c in implied)), sense_of(implied))
        frame.exits.append((value, self.state.copy()))
        if frame.caught:
            frame.caught[-1].append(self.state.copy())
        self.state.alive = False

    def raise_(self, node: ast.Raise) -> None:
        if node.exc is not None:
            self.evaluate(node.exc)
        self.fail()

    def fail(self) -> None:
        """Nothing after this is run, but for the handlers round it."""
        for frame in reversed(self.frames):
            if frame.caught:
                frame.caught[-1].append(self.state.copy())
                break
        self.state.alive = False

    def jump(self, node: ast.Break | ast.Continue) -> None:
        table = self.frame.jumps if isinstance(node, ast.Break) else self.frame.continues
        if table:
            table[-1].append((self.state.copy(), dict(self.frame.env.vars)))
        self.state.alive = False

    def assert_(self, node: ast.Assert) -> None:
        value = self.test(node.test)
        control = self.control(node.test, value, False, "raise")
        if control is not None:
            self.state.control = (*self.state.control, control)

    def define(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        ref = self.frame.ref
        name = f"{ref.name}.{node.name}" if ref is not None else node.name
        inner = Ref("function", self.frame.path, name)
        if self.program.function(inner) is None:
            return
        value = Value(FunctionValue(inner, node, env=self.frame.env))
        self.frame.env.vars[node.name] = value
        self.frame.env.vars[node.name] = self.decorated(value, inner, node, self.frame.env)

    def define_class(self, node: ast.ClassDef) -> None:
        ref = self.frame.ref
        name = f"{ref.name}.{node.name}" if ref is not None else node.name
        self.frame.env.vars[node.name] = Value(ClassValue(Ref("class", self.frame.path, name), self.frame.env))

    # -- branches ----------------------------------------------------------------

    def if_(self, node: ast.If) -> None:
        value = self.test(node.test)
        known = self.known(node.test)
        if known is not None:
            self.execute(node.body if known else node.orelse)
            return
        if node.body and isinstance(node.body[-1], ast.Break):
            self.database.asked_of_each(value, taken=True)
        env = self.frame.env
        before, names = self.state.copy(), dict(env.vars)
        tried, negated = self.tried(node.test)
        refused = self.state if negated else before
        refused.held = tuple(h for h in refused.held if h.acquisition != tried)
        if says_equal(node.test):
            self.confirm(value)
        waited = len(self.waited)
        with self.deciding(self.control(node.test, value, False, leaves_at_once(node.orelse))):
            self.execute(node.body)
        then, then_names = self.state, env.vars
        self.state, env.vars = before, names
        if says_different(node.test):
            self.confirm(value)
        with self.deciding(self.control(node.test, value, True, leaves_at_once(node.body))):
            self.execute(node.orelse)
        else_alive = self.state.alive
        if then.alive and else_alive and value.reads:
            note_answers(then_names, env.vars, value.reads, self.shape(node.test, value))
        if then.alive and else_alive:
            self.keep_locks(node.test, then_names, env.vars)
        self.meet(then, then_names)
        if then.alive is not else_alive:
            self.remember(node, value, then.alive)
        elif then.alive:
            self.let_go(node, value, self.waited[waited:])

    def arm(self, node: Arm) -> None:
        """A case of a `match`: what happens there happens in the `match`, as far as the file is concerned."""
        self.frame.statement = node.origin
        self.if_(node)

    def keep_locks(self, test: ast.expr, one: dict[str, Value], other: dict[str, Value]) -> None:
        """Let a query that one of two branches locks be locked after both.

        That is where the test asks which database it is, and where the caller has said when to lock:
        `find(id, for_update=request.method == "POST")`.
        """
        names = locked_in_one(one, other)
        chosen = isinstance(test, ast.Name) and test.id in self.frame.env.tests
        if names and (chosen or asks_which_database(test, self.program.syntax_of(self.frame.ref))):
            for name in names:
                one[name] = other[name] = one[name] if getattr(one[name].obj, "locks", False) else other[name]

    def let_go(self, node: ast.If, value: Value, waited: list[LockValue]) -> None:
        """After `if TEST: condition.wait()` all depends on the test, which was made before the lock was given away."""
        control = self.control(node.test, value, True, "wait")
        if control is not None and waited:
            self.state.control = (*self.state.control, replace(control, let_go=waited[0]))

    def tried(self, test: ast.expr) -> tuple[int, bool]:
        """The acquisition that a test asks about, 0 for none, and whether it asks if that has failed."""
        negated = isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)
        asked = test.operand if isinstance(test, ast.UnaryOp) and negated else test
        if isinstance(asked, ast.BoolOp) and isinstance(asked.op, ast.And) and not negated:
            return next((found for part in asked.values if (found := self.tried(part))[0] and not found[1]), (0, False))
        while isinstance(asked, _WRAPPING):
            asked = asked.value
        if isinstance(asked, ast.Name):
            name, _, number = self.frame.env.vars.get(asked.id, NOTHING).term.partition("@")
            return (int(number) if name == TRIED and number.isdigit() else 0), negated
        given = isinstance(asked, ast.Call) and bool(asked.args or asked.keywords)
        taken = [h.acquisition for h in self.state.held if h.node is asked] if given else []
        return (taken[-1] if taken else 0), negated

    def confirm(self, compared: Value) -> None:
        """What was read before is as it was: a newer look at the same place has been compared with it.

        A version or count says so of the other attributes of its object too, where whoever writes
        them writes it as well.
        """
        state = self.state
        for old in [r for r in compared.reads if r in state.stale]:
            if not any(r.location == old.location and r.serial > old.serial for r in compared.reads - {old}):
                continue
            if not old.location.fields or not old.location.fields[-1].startswith("."):
                continue
            alike = [
                r
                for r in state.fresh
                if state.stale.get(r) is state.stale[old]
                and r.location.root == old.location.root
                and len(r.location.fields) == len(old.location.fields)
                and r.location.fields[:-1] == old.location.fields[:-1]
                and self.written_together(r.location.fields[-1], old.location.fields[-1])
            ]
            state.confirmed |= frozenset(alike)

    def written_together(self, field: str, version: str) -> bool:
        """Whether every function that writes an attribute writes the one that tells its versions apart."""
        if field == version:
            return True
        return field.startswith(".") and all(
            any(m.endswith(version) for m in names) for names in self.writers_of(field)
        )

    def writers_of(self, field: str) -> list[frozenset[str]]:
        """What each function changes that writes an attribute of this name."""
        if field not in self._writers:
            self._writers[field] = [
                f.mutates
                for facts in self.program.modules.values()
                for f in facts.functions.values()
                if any(m.endswith(field) for m in f.mutates)
            ]
        return self._writers[field]

    def meet(self, other: State, names: dict[str, Value]) -> None:
        """Join the current branch with another that was run before."""
        env = self.frame.env
        if not self.state.alive:
            env.vars = names
        elif other.alive:
            mine_too = env.vars
            env.vars = {**names, **mine_too}
            for name, theirs in names.items():
                own = mine_too.get(name, theirs)
                if own is not theirs:
                    env.vars[name] = join(own, theirs)
        mine = self.state
        if not mine.alive:
            self.state = other
            return
        mine.merge(other)

    def remember(self, node: ast.If, value: Value, then_alive: bool) -> None:
        """When one side has left, all that follows depends on the test."""
        body = node.body if not then_alive else node.orelse
        control = self.control(node.test, value, not then_alive, self.exit_of(body, value))
        if control is not None and self.state.alive:
            self.state.control = (*self.state.control, control)

    def exit_of(self, body: list[ast.stmt], test: Value) -> str:
        last = body[-1]
        if isinstance(last, ast.Raise):
            return "raise"
        if isinstance(last, ast.Continue | ast.Break):
            return "loop"
        if isinstance(last, ast.Return):
            returned = self.frame.exits[-1][0] if self.frame.exits else NOTHING
            roots = {r.location.root for r in test.reads}
            if last.value is None and any(r.location.root in roots for r in self.handed_over(body)):
                return "cached"
            plain = isinstance(last.value, ast.Name | ast.Attribute | ast.Subscript | ast.Call)
            return (
                "cached"
                if plain and any(r.location.root in roots for r in returned.reads) and last.value is not None
                else "return"
            )
        return "raise"

    def handed_over(self, body: list[ast.stmt]) -> frozenset[Read]:
        """What a block has looked up and puts elsewhere as it is: `answers[name] = found`."""
        given = [s.value for s in body if isinstance(s, ast.Assign) and isinstance(s.value, ast.Name)]
        return NO_READS.union(*(self.frame.env.vars.get(name.id, NOTHING).reads for name in given))

    def match(self, node: ast.Match) -> None:
        chain = chained(node)
        if chain is not None:
            self.execute(chain)
            return
        value = self.evaluate(node.subject)
        env = self.frame.env
        states: list[tuple[State, dict[str, Value]]] = []
        for case in node.cases:
            before, names = self.state.copy(), dict(env.vars)
            for name in _captures(case.pattern):
                env.vars[name] = Value(None, value.reads, "", value.request)
            chosen = Control(value.reads, node.subject, "equal", False, "", self.frame.serial) if value.reads else None
            with self.deciding(chosen):
                if case.guard is not None:
                    self.evaluate(case.guard)
                self.execute(case.body)
            states.append((self.state, env.vars))
            self.state, env.vars = before, names
        for state, names in states:
            self.meet(state, names)

    # -- loops -------------------------------------------------------------------

    def while_(self, node: ast.While) -> None:
        env = self.frame.env
        frame = self.frame
        forever = isinstance(node.test, ast.Constant) and bool(node.test.value)
        left: list[tuple[State, dict[str, Value]]] = []
        value = NOTHING
        frame.jumps.append([])
        frame.continues.append([])
        self.loops += 1
        decided, pending = self.state.control, dict(self.state.pending)
        for _ in range(2):
            frame.statement = node
            self.state.control, self.state.pending = decided, dict(pending)
            value = self.test(node.test)
            if not forever:
                left.append((self.state.copy(), dict(env.vars)))
            with self.deciding(self.control(node.test, value, False, "")):
                self.execute(node.body)
            self.gather_states(frame.continues[-1])
            if not self.state.alive:
                break
        self.loops -= 1
        if self.state.alive:
            frame.statement = node
            value = self.test(node.test)
            if forever:
                self.state.alive = False
        for state, names in left:
            self.meet(state, names)
        self.state.control = tuple(c for c in self.state.control if c in decided or c.exit != "loop")
        frame.continues.pop()
        self.execute(node.orelse)
        self.gather_states(frame.jumps.pop())
        control = self.control(node.test, value, True, "loop")
        if control is not None and self.state.alive:
            self.state.control = (*self.state.control, control)

    def gather_states(self, left: list[tuple[State, dict[str, Value]]]) -> None:
        """Join the ways in which a loop, or a turn of it, was left, with what names held there."""
        for state, names in left:
            self.meet(state, names)
        left.clear()

    def for_(self, node: ast.For | ast.AsyncFor) -> None:
        env, frame = self.frame.env, self.frame
        source = self.evaluate(node.iter)
        if isinstance(source.obj, Coroutine):
            self.for_generator(node, source.obj)
            return
        view = isinstance(source.obj, Heap) and source.obj.type.kind == "view"
        looped = self.contents(source, node.iter) | frozenset(r for r in source.reads if view and r.node is node.iter)
        before, names = self.state.copy(), dict(env.vars)
        frame.jumps.append([])
        frame.continues.append([])
        self.loops += 1
        container = "dict" if view else source.obj.type.kind if isinstance(source.obj, Heap) else ""
        decided, pending = self.state.control, dict(self.state.pending)
        for item in self.named_items(source, node.iter) or (None, None):
            frame.statement = node
            self.state.pending = dict(pending)
            # What was decided about one element says nothing about the next.
            self.state.control = decided
            if isinstance(node, ast.AsyncFor):
                self.suspend(node, "async for")
                if not isinstance(source.obj, Thing):
                    self.database.outside.awaited(node.iter)
            element = (item or self.iterated(source, node.iter)).also(Value(None, looped))
            self.store(node.target, element, node, "assign")
            self.execute(node.body)
            self.gather_states(frame.continues[-1])
            if self.context == "thread":
                self.switch(node)
            self.iterations(looped, node, container)
            if not self.state.alive:
                break
        self.loops -= 1
        self.state.ended.update(dict.fromkeys(looped, container))
        before.alive = not _has_elements(node.iter)
        self.meet(before, names)
        self.state.control = tuple(c for c in self.state.control if c in decided or c.exit != "loop")
        frame.continues.pop()
        self.execute(node.orelse)
        self.gather_states(frame.jumps.pop())

    def iterations(self, reads: frozenset[Read], node: ast.For | ast.AsyncFor, container: str) -> None:
        """Record loops over shared containers that something may interrupt."""
        for read in sorted(reads, key=lambda r: r.serial):
            between = self.state.stale.get(read)
            if between is not None or read in self.state.switched:
                self.trace.iterations.append(
                    Iteration(
                        node, read.stack, read.context, self.entry, read.location, self.state.held, between, container
                    )
                )

    def for_generator(self, node: ast.For | ast.AsyncFor, source: Coroutine) -> None:
        """A loop over a generator of the project: the body runs at its `yield`."""
        outer, turns = list(self.frames), 0
        env_owner = self.frame

        def turn(value: Value) -> None:
            nonlocal turns
            turns += 1
            if turns > 2:
                return
            inner, self.frames = self.frames, outer
            try:
                env_owner.continues.append([])
                self.store(node.target, value, node, "assign")
                self.execute(node.body)
                self.gather_states(env_owner.continues.pop())
            finally:
                self.frames = inner

        self.loops += 1
        env_owner.jumps.append([])
        self.activate(source.function, source.args, source.kwargs, turn)
        self.loops -= 1
        self.gather_states(env_owner.jumps.pop())

    # -- exceptions and `with` ------------------------------------------------------

    def try_(self, node: Any) -> None:
        frame, env = self.frame, self.frame.env
        marks = self.marks()
        decided = self.state.control
        frame.caught.append([self.state.copy()])
        known = set(self.state.fresh)
        names = dict(env.vars)
        self.database.rows.catching.append(expected(self.program, frame.ref, node.handlers))
        looked = len(self.database.rows.trace.reads)
        self.execute(node.body)
        unfound = self.database.rows.demanded_since(looked)
        self.database.rows.catching.pop()
        snapshots = frame.caught.pop()
        seen = set().union(*(s.fresh for s in snapshots)) - known
        attempted = frozenset(r for r in seen if r.stack and not _answers(r))  # marks of calls have no place
        self.execute(node.orelse)
        done, done_names = self.state, env.vars
        missed = None
        if attempted and not done.alive and all(_is_lookup(h) for h in node.handlers):
            way_out = self.exit_of(node.orelse or node.body, Value(None, attempted))
            missed = Control(attempted, node, "missing", False, way_out, frame.serial)
        if unfound and missed is None and not done.alive and all(_is_unfound(h) for h in node.handlers):
            missed = _lacking(unfound, frame.serial, self.exit_of(node.orelse or node.body, Value(None, attempted)))
        found = None
        sought = frozenset(r for r in attempted if _is_element(r)) if done.alive else frozenset()
        raised = State(alive=False)
        for snapshot in snapshots:
            # The first one is continued with, of the others only what is in them is taken.
            raised.merge(snapshot if raised.alive else snapshot.copy())
        for handler in node.handlers:
            self.state = raised.copy()
            # What was decided in the block need not hold where it was left by an exception.
            self.state.control = decided
            env.vars = {**names, **done_names}
            if handler.name:
                env.vars[handler.name] = NOTHING
            missing = (
                Control(attempted, node, "missing", False, "", frame.serial)
                if attempted and _is_lookup(handler)
                else None
            )
            if missing is None and unfound and _is_unfound(handler):
                missing = _lacking(unfound, frame.serial, "")
            with self.deciding(missing), self.database.rows.in_handler():
                self.execute(handler.body)
            state, handler_names = self.state, env.vars
            if sought and not state.alive and _is_missed(handler):
                found = Control(sought, node, "missing", True, self.exit_of(handler.body, NOTHING), frame.serial)
            self.state, env.vars = done, done_names
            self.meet(state, handler_names)
            done, done_names = self.state, env.vars
        self.state, env.vars = done, done_names
        if self.state.alive:
            decided = self.state.control = (*self.state.control, *(c for c in (missed, found) if c is not None))
        if node.finalbody:
            self.on_leaving(marks, lambda: self.execute_undecided(node.finalbody, decided))
            if not self.state.alive and not snapshots:
                return
            alive, self.state.alive = self.state.alive, True
            self.execute_undecided(node.finalbody, decided)
            self.state.alive = self.state.alive and alive

    def execute_undecided(self, body: list[ast.stmt], decided: tuple[Control, ...]) -> None:
        """Run a `finally`: it runs whatever was decided in the block before it."""
        after, self.state.control = self.state.control, decided
        self.execute(body)
        self.state.control = after

    def marks(self) -> tuple[int, list[int], list[int]]:
        """How many ways out of the function and its loops are known by now."""
        frame = self.frame
        return len(frame.exits), [len(j) for j in frame.jumps], [len(c) for c in frame.continues]

    def on_leaving(self, marks: tuple[int, list[int], list[int]], action: Callable[[], None]) -> None:
        """Do something on every way out that was found since `marks` (a finally, the end of a `with`)."""
        frame = self.frame
        exits, jumps, continues = marks
        states = [s for _, s in frame.exits[exits:]]
        left = zip((*jumps, *continues), (*frame.jumps, *frame.continues), strict=False)
        states += [state for count, group in left for state, _ in group[count:]]
        current, statement = self.state, frame.statement
        for state in states:
            self.state = state
            action()
            state.alive = True
        self.state, frame.statement = current, statement

    def with_(self, node: ast.With | ast.AsyncWith) -> None:
        self.with_items(node, 0)

    def with_items(self, node: ast.With | ast.AsyncWith, index: int) -> None:
        """Enter the context managers one after the other, then run the body."""
        if index == len(node.items):
            self.execute(node.body)
            return
        item = node.items[index]
        value = self.evaluate(item.context_expr)
        obj = value.obj
        if isinstance(obj, Coroutine) and obj.function.manager:
            self.with_generator(node, index, obj)
            return
        asynchronous = isinstance(node, ast.AsyncWith)
        entered = self.database.enter(value, node) if isinstance(obj, Thing | Heap) else None
        if not self.state.alive:
            return
        if entered is not None:
            self.with_thing(node, index, *entered)
            return
        lock = self.as_lock(value, item.context_expr)
        if lock is not None:
            self.with_lock(node, index, lock, asynchronous)
            return
        if isinstance(obj, Heap) and obj.type.kind == "instance" and obj.type.ref is not None:
            self.with_instance(node, index, value, asynchronous)
            return
        text = self.text_of(item.context_expr)
        quiet = isinstance(item.context_expr, ast.Call) and text.partition("(")[0].rpartition(".")[2] in _QUIET_MANAGERS
        if asynchronous and not quiet:
            self.suspend(node, text)
            if not isinstance(obj, Heap):  # a client is made, and asked later
                self.database.outside.awaited(item.context_expr)
        self.switch(node)
        if item.optional_vars is not None:
            self.store(item.optional_vars, Value(obj, value.reads, "", value.request, "call"), node, "assign")
        before, marks = {h.acquisition for h in self.state.held}, self.marks()
        bounds = self.state.bounds
        if limits(text.partition("(")[0]) or (isinstance(obj, Heap) and limits(obj.type.name)):
            self.state.bounds = (*bounds, item)
        self.with_items(node, index + 1)
        self.state.bounds = bounds
        if text.partition("(")[0].endswith("ExitStack"):
            self.on_leaving(marks, lambda: self.drop_others(before))
            self.drop_others(before)
        if asynchronous and not quiet and self.state.alive:
            self.frame.statement = node
            self.suspend(node, text)

    def as_lock(self, value: Value, node: ast.expr) -> LockValue | None:
        """The lock that a context expression is, or seems to be."""
        obj = value.obj
        if isinstance(obj, LockValue):
            return obj
        known = isinstance(obj, Heap) and (
            obj.type.kind == "instance" or (obj.type.kind == "external" and obj.type.name in ("path",))
        )
        if known or isinstance(obj, Coroutine) or (isinstance(obj, External) and obj.name == LACKING):
            return None
        text = self.text_of(node)
        last = text.partition("(")[0].rpartition(".")[2].lower()
        name = obj.name if isinstance(obj, External) else ""
        if (
            name in self.lock_names
            or text.partition("(")[0] in self.lock_names
            or (any(w in last for w in ("lock", "mutex")) and "unlock" not in last)
        ):
            location = obj.location if isinstance(obj, Heap) else None
            return LockValue("both", True, location, node, unknown=True)
        return None

    def with_lock(self, node: ast.With | ast.AsyncWith, index: int, lock: LockValue, asynchronous: bool) -> None:
        marks = self.marks()
        self.acquire(lock, node, "async with" if asynchronous else "with")
        self.with_items(node, index + 1)
        self.on_leaving(marks, lambda: self.release(lock))
        self.release(lock)

    def with_thing(self, node: ast.With | ast.AsyncWith, index: int, thing: Thing, entered: Value) -> None:
        """A session, a connection or a transaction."""
        marks = self.marks()
        if isinstance(node, ast.AsyncWith):
            self.suspend(node, node.items[index].context_expr)
        self.switch(node)
        if node.items[index].optional_vars is not None:
            self.store(node.items[index].optional_vars, entered, node, "assign")  # type: ignore[arg-type]
        self.with_items(node, index + 1)
        self.frame.statement = node  # what `return` leaves, too, ends round it
        self.on_leaving(marks, lambda: self.database.leave(thing, node))
        alive, self.state.alive = self.state.alive, True
        self.database.leave(thing, node)
        if isinstance(node, ast.AsyncWith) and alive:
            self.suspend(node, node.items[index].context_expr)
        self.state.alive = alive

    def with_instance(self, node: ast.With | ast.AsyncWith, index: int, value: Value, asynchronous: bool) -> None:
        """An object of the project with __enter__ and __exit__."""
        marks = self.marks()
        heap = value.obj
        assert isinstance(heap, Heap)
        assert heap.type.ref is not None
        names = ("__aenter__", "__aexit__") if asynchronous else ("__enter__", "__exit__")
        entered = self.call_dunder(value, names[0], node)
        item = node.items[index]
        if item.optional_vars is not None:
            result = entered if entered.obj is not None else value
            self.store(item.optional_vars, result, node, "assign")
        self.with_items(node, index + 1)
        self.frame.statement = node
        self.on_leaving(marks, lambda: self.leave_instance(value, names[1], node))
        alive, self.state.alive = self.state.alive, True
        self.leave_instance(value, names[1], node)
        self.state.alive = alive

    def leave_instance(self, value: Value, name: str, node: ast.AST) -> None:
        self.call_dunder(value, name, node)

    def call_dunder(self, value: Value, name: str, node: ast.AST) -> Value:
        assert isinstance(value.obj, Heap)
        assert value.obj.type.ref is not None
        method = self.program.method(value.obj.type.ref, name)
        if method is None:
            if name.startswith("__a"):
                self.suspend(node, name)
            return NOTHING
        bound = self.bound(method, value).obj
        if not isinstance(bound, FunctionValue):
            return NOTHING
        return self.invoke(bound, [NOTHING] * 3 if "exit" in name else [], {}, node)

    def with_generator(self, node: ast.With | ast.AsyncWith, index: int, source: Coroutine) -> None:
        """A context manager written as a generator: the body runs at its `yield`."""
        outer = list(self.frames)
        owner = self.frame
        ran = False
        left = False

        def body(value: Value) -> None:
            nonlocal ran, left
            if ran:
                return
            ran = True
            item = node.items[index]
            file_lock = LockValue("both", True, None, item.context_expr, unknown=True)
            if locks_a_file:
                self.acquire(file_lock, node, "with")
            inner, self.frames = self.frames, outer
            try:
                if item.optional_vars is not None:
                    self.store(item.optional_vars, value, node, "assign")
                if named and len(self.state.held) == len(before):
                    self.with_lock(node, index, LockValue("both", True, None, item.context_expr, unknown=True), False)
                else:
                    self.with_items(node, index + 1)
                owner.statement = node
            finally:
                self.frames = inner
            left = not self.state.alive
            self.state.alive = True
            self.release(file_lock)

        before = {h.acquisition for h in self.state.held}
        named = _LOCKING.search(source.function.ref.name) is not None
        locks_a_file = _FILE_LOCKING.search(self.text_of(source.function.node)) is not None
        marks = self.marks()
        self.activate(source.function, source.args, source.kwargs, body)
        if not ran:
            self.with_items(node, index + 1)
            return
        if left:
            self.state.alive = False
        self.on_leaving(marks, lambda: self.drop_others(before))

    def drop_others(self, acquisitions: set[int]) -> None:
        """Locks that a context manager took are free again once its block has been left."""
        self.state.held = tuple(h for h in self.state.held if h.acquisition in acquisitions)


def _named(name: str) -> Value:
    return Value(None, term=repr(name), made="const")


def _answers(read: Read) -> bool:
    """Whether a look says by its answer that there is nothing, not by an exception: `d.get(key)`, `key in d`."""
    call = read.node
    asks = isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "get"
    return asks or read.how == "contains"


_NO_ELEMENT = ("KeyError", "IndexError", "LookupError")


def _is_element(read: Read) -> bool:
    """Whether a look is at an element that must be there: `d[key]`."""
    return read.how == "load" and read.location.fields[-1:] != () and read.location.fields[-1].startswith("[")


def _is_missed(handler: ast.ExceptHandler) -> bool:
    """`except KeyError`: there is no such element."""
    return _catches(handler, _NO_ELEMENT)


def _is_lookup(handler: ast.ExceptHandler) -> bool:
    """`except KeyError` and its like: what was looked for is not there."""
    return _catches(handler, (*_NO_ELEMENT, "AttributeError", "FileNotFoundError", "ValueError"))


def _is_unfound(handler: ast.ExceptHandler) -> bool:
    """`except NoResultFound` and its like: there is no such row."""
    return _catches(handler, ("NoResultFound", "DoesNotExist"))


def _lacking(looks: Sequence[Read], frame: int, way_out: str) -> Control:
    """What is known where the last of some looks has raised, as there was no row."""
    return Control(frozenset(looks[-1:]), looks[-1].node, "missing", False, way_out, frame)


def _catches(handler: ast.ExceptHandler, names: tuple[str, ...]) -> bool:
    text = ast.unparse(handler.type) if handler.type is not None else ""
    return any(name in text for name in names)


def _is_there_already(value: Value, place: Location, container: Heap, key: Value) -> bool:
    """Whether what is put into a container is the very object that is there under this key."""
    if not isinstance(value.obj, Heap) or value.obj.location != place:
        return False
    taken_from = f"{container.location}["
    known = bool(key.term) and value.term.startswith(taken_from)
    return not known or value.term == f"{taken_from}{key.term}]"


def _has_elements(node: ast.expr) -> bool:
    """Whether a loop over this has at least one turn: a display that is not empty, in whatever order."""
    if isinstance(node, ast.Call) and dotted(node.func) in ("sorted", "reversed", "list", "tuple", "set") and node.args:
        return _has_elements(node.args[0])
    return isinstance(node, ast.Tuple | ast.List | ast.Set) and not all(isinstance(e, ast.Starred) for e in node.elts)


def _captures(pattern: ast.pattern) -> list[str]:
    return [n.name for n in ast.walk(pattern) if isinstance(n, ast.MatchAs | ast.MatchStar) and n.name]


def _as_load(node: ast.expr) -> ast.expr:
    """The target of an augmented assignment, as an expression that is read."""
    loaded = _LOADS.get(id(node))
    if loaded is None:
        loaded = ast.copy_location(type(node)(**{f: getattr(node, f) for f in node._fields}), node)
        loaded.ctx = ast.Load()  # type: ignore[attr-defined]
        _LOADS[id(node)] = loaded
        _KEEP.append(node)
    return loaded


_LOADS: dict[int, ast.expr] = {}
_KEEP: list[ast.expr] = []

_HANDLERS: dict[type, Callable[[Any, Any], None]] = {
    ast.Expr: Statements.expression,
    ast.Assign: Statements.assign,
    ast.AnnAssign: Statements.annotated,
    ast.AugAssign: Statements.augmented,
    ast.Delete: Statements.delete,
    ast.Return: Statements.return_,
    ast.Raise: Statements.raise_,
    ast.Break: Statements.jump,
    ast.Continue: Statements.jump,
    ast.Assert: Statements.assert_,
    ast.FunctionDef: Statements.define,
    ast.AsyncFunctionDef: Statements.define,
    ast.ClassDef: Statements.define_class,
    ast.If: Statements.if_,
    Arm: Statements.arm,
    ast.Match: Statements.match,
    ast.While: Statements.while_,
    ast.For: Statements.for_,
    ast.AsyncFor: Statements.for_,
    ast.Try: Statements.try_,
    ast.With: Statements.with_,
    ast.AsyncWith: Statements.with_,
}
if hasattr(ast, "TryStar"):
    _HANDLERS[ast.TryStar] = Statements.try_
