"""What a test asks: whether something is there, large enough, equal, or simply true."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import TypeGuard

from autolock.program.index import dotted

_SHAPES: dict[type, str] = {
    ast.Lt: "compare",
    ast.LtE: "compare",
    ast.Gt: "compare",
    ast.GtE: "compare",
    ast.Eq: "equal",
    ast.NotEq: "different",
    ast.In: "present",
    ast.NotIn: "missing",
}

_OPPOSITE = {
    "compare": "compare",
    "equal": "different",
    "different": "equal",
    "present": "missing",
    "missing": "present",
    "truth": "falsy",
    "falsy": "truth",
}


#: How a result is asked for what it has found.
_FOUND = frozenset({"first", "one_or_none", "scalar", "scalar_one_or_none", "scalars", "fetchone", "all", "fetchall"})

SHAPES = frozenset(_OPPOSITE)
#: What a test finds when there is nothing yet.
ABSENT = ("missing", "falsy")
_IDENTITIES = (ast.Is, ast.IsNot, ast.Eq, ast.NotEq)


#: What a comparison of `len(x)` with a number asks where it only asks whether there is anything.
_COUNTS: dict[tuple[type, object], str] = {
    (ast.Eq, 0): "falsy",
    (ast.LtE, 0): "falsy",
    (ast.Lt, 1): "falsy",
    (ast.NotEq, 0): "truth",
    (ast.Gt, 0): "truth",
    (ast.GtE, 1): "truth",
}


def opposite(shape: str) -> str:
    """The shape of the negated test."""
    return _OPPOSITE[shape]


def shape_of(test: ast.AST) -> str:
    """`compare`, `equal`, `different`, `present`, `missing`, `truth` or `falsy`."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return _OPPOSITE[shape_of(test.operand)]
    if isinstance(test, ast.Compare):
        operator = test.ops[0]
        right = test.comparators[0]
        counted = _counts_any(test)
        if counted:
            return counted
        if isinstance(operator, ast.Is | ast.IsNot) or (isinstance(right, ast.Constant) and right.value is None):
            if isinstance(right, ast.Constant) and right.value is None:
                return "missing" if isinstance(operator, ast.Is | ast.Eq) else "present"
            return "equal" if isinstance(operator, ast.Is) else "different"
        return _SHAPES.get(operator.__class__, "truth")
    if isinstance(test, ast.Call) and isinstance(test.func, ast.Name) and test.func.id == "isinstance":
        return "present"
    if isinstance(test, ast.BoolOp):
        shapes = {shape_of(v) for v in test.values}
        for shape in ("compare", "missing", "present", "equal", "different", "falsy"):
            if shape in shapes:
                return shape
    return "truth"


def _counts_any(test: ast.Compare) -> str:
    """`falsy` for `len(x) == 0`, `truth` for `len(x) > 0`; empty for what asks for another number."""
    right = test.comparators[0]
    if len(test.ops) != 1 or not isinstance(right, ast.Constant) or isinstance(right.value, bool):
        return ""
    if not isinstance(test.left, ast.Call) or dotted(test.left.func) != "len":
        return ""
    return _COUNTS.get((type(test.ops[0]), right.value), "")


def look_within(test: ast.expr) -> ast.expr | None:
    """The look in `(await session.execute(query)).scalars().first()`: what is asked for the first that it has found."""
    looked = test
    while isinstance(looked, ast.Call) and isinstance(looked.func, ast.Attribute) and looked.func.attr in _FOUND:
        looked = looked.func.value
        looked = looked.value if isinstance(looked, ast.Await) else looked
    return looked if looked is not test else None


def wants_none(test: ast.Compare) -> bool | None:
    """True for `x is None`, False for `x is not None`, None for what asks for something else."""
    right, operator = test.comparators[0], test.ops[0]
    if len(test.ops) != 1 or not isinstance(right, ast.Constant) or right.value is not None:
        return None
    return isinstance(operator, ast.Is | ast.Eq) if isinstance(operator, _IDENTITIES) else None


def asked_of(look: ast.AST, test: ast.BoolOp) -> str:
    """What the one of several questions asks that looks whether something is in a container; empty for any other."""
    for question in test.values:
        plain = question.operand if isinstance(question, ast.UnaryOp) else question
        if plain is look and isinstance(plain, ast.Compare) and isinstance(plain.ops[0], ast.In | ast.NotIn):
            return shape_of(question)
    return ""


def asks_of_any(test: ast.AST) -> bool:
    """Whether a test goes through several things for one that fits: `any(m.name == name for m in members)`."""
    if not isinstance(test, ast.Call) or not isinstance(test.func, ast.Name) or test.func.id != "any":
        return False
    return len(test.args) == 1 and isinstance(test.args[0], ast.GeneratorExp | ast.ListComp)


def asked_with_details(test: ast.AST) -> ast.expr | None:
    """Of `row and row.active`, `row is None or row.old`: what asks whether there is one; None for other tests."""
    parts = test.values if isinstance(test, ast.BoolOp) else []
    for part in parts:
        plain = part.operand if isinstance(part, ast.UnaryOp) and isinstance(part.op, ast.Not) else part
        plain = plain.left if isinstance(plain, ast.Compare) and wants_none(plain) is not None else plain
        if isinstance(plain, ast.Name) and all(_is_of(other, plain.id) for other in parts if other is not part):
            return part
    return None


def _is_of(test: ast.expr, name: str) -> bool:
    """Whether a test asks about an attribute of what a name stands for."""
    return any(
        isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id == name for n in ast.walk(test)
    )


def says_equal(test: ast.expr) -> bool:
    """Whether two things are equal where a test comes out true: `a == b`, or that and more."""
    if isinstance(test, ast.BoolOp):
        return isinstance(test.op, ast.And) and any(says_equal(v) for v in test.values)
    return isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.Eq | ast.Is)


def says_different(test: ast.expr) -> bool:
    """Whether two things are equal where a test comes out false: `a != b`, or that or more."""
    if isinstance(test, ast.BoolOp):
        return isinstance(test.op, ast.Or) and any(says_different(v) for v in test.values)
    return isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.NotEq | ast.IsNot)


def effective(shape: str, negated: bool) -> str:
    """What is known to have been true of the state where the code runs."""
    return _OPPOSITE[shape] if negated else shape


def name_test(tests: dict[str, ast.expr], name: str, value: ast.expr) -> None:
    """Keep what a name stands for where it is given a comparison; forget it where it is given anything else."""
    value = plain_truth(value)
    if isinstance(value, ast.Compare | ast.BoolOp) or is_not(value):
        tests[name] = value
    elif tests:
        tests.pop(name, None)


def plain_truth(value: ast.expr) -> ast.expr:
    """The test in `bool(test)`, `True if test else False` and `False if test else True`."""
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "bool":
        return value.args[0] if len(value.args) == 1 and not value.keywords else value
    if not isinstance(value, ast.IfExp):
        return value
    outcomes = [o.value for o in (value.body, value.orelse) if isinstance(o, ast.Constant)]
    if outcomes == [True, False]:
        return value.test
    return ast.copy_location(ast.UnaryOp(ast.Not(), value.test), value) if outcomes == [False, True] else value


def tests_given(function: ast.AST, bound: bool, call: ast.AST, tests: Mapping[str, ast.expr]) -> dict[str, ast.expr]:
    """The comparisons that a call hands to parameters of a function, by name: `ensure(stock >= wanted, error)`.

    `tests` are those to which the caller has given names.
    """
    if not isinstance(call, ast.Call) or not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
        return {}
    names = [a.arg for a in (*function.args.posonlyargs, *function.args.args)][bound:]
    given = [*zip(names, call.args, strict=False), *((k.arg, k.value) for k in call.keywords if k.arg is not None)]
    meant = [(name, tests.get(value.id, value) if isinstance(value, ast.Name) else value) for name, value in given]
    return {name: test for name, test in meant if isinstance(test, ast.Compare | ast.BoolOp) or is_not(test)}


def is_not(test: ast.expr) -> TypeGuard[ast.UnaryOp]:
    """Whether a test is `not ...`."""
    return isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)


def written_out(test: ast.expr, tests: dict[str, ast.expr]) -> tuple[ast.expr, bool]:
    """The comparison that a test asks for, and whether it asks for the opposite.

    That is the one behind a name in `tests`, and the one in the brackets of `not (a and b)`; any other test
    is as it stands.
    """
    inner, flipped = _without_not(test)
    if isinstance(inner, ast.Name) and inner.id in tests:
        inner, again = _without_not(tests[inner.id])
        return inner, flipped != again
    return (inner, flipped) if isinstance(inner, ast.BoolOp) else (test, False)


def leaves_at_once(block: list[ast.stmt]) -> str:
    """How the other side of a test leaves without an answer of its own: `else: raise ...`, `else: return False`."""
    last = block[-1] if block else None
    if isinstance(last, ast.Raise):
        return "raise"
    plain = isinstance(last, ast.Return) and (last.value is None or isinstance(last.value, ast.Constant))
    return "return" if plain and len(block) == 1 else ""


#: What cannot be written twice without being done twice.
_DOING = (ast.Call, ast.Await, ast.NamedExpr, ast.Yield, ast.YieldFrom)


class Arm(ast.If):
    """A case of a `match`, as the `if` that means the same. `origin` is the statement that stands in the file."""

    origin: ast.Match


def chained(node: ast.Match) -> list[ast.stmt] | None:
    """A `match` that only asks for values of what can be looked at again and again, as a chain of arms; or None."""
    if any(isinstance(n, _DOING) for n in ast.walk(node.subject)):
        return None
    rest: list[ast.stmt] = []
    for case in reversed(node.cases):
        test = _asked_by(case.pattern, node.subject)
        if test is None or case.guard is not None:
            return None
        if isinstance(test, ast.Constant):
            rest = case.body
        else:
            arm = ast.copy_location(Arm(test, case.body, rest), case.pattern)
            arm.origin = node
            rest = [arm]
    return rest


def _asked_by(pattern: ast.pattern, subject: ast.expr) -> ast.expr | None:
    """The test that a pattern makes of a subject: True for `_`, None for a pattern that binds or takes apart."""
    if isinstance(pattern, ast.MatchAs) and pattern.pattern is None and pattern.name is None:
        return ast.copy_location(ast.Constant(True), pattern)
    if isinstance(pattern, ast.MatchSingleton):
        if isinstance(pattern.value, bool) and (isinstance(subject, ast.Compare | ast.BoolOp) or is_not(subject)):
            return subject if pattern.value else ast.copy_location(ast.UnaryOp(ast.Not(), subject), pattern)
        value: ast.expr = ast.copy_location(ast.Constant(pattern.value), pattern)
        return ast.copy_location(ast.Compare(subject, [ast.Is()], [value]), pattern)
    if isinstance(pattern, ast.MatchValue):
        return ast.copy_location(ast.Compare(subject, [ast.Eq()], [pattern.value]), pattern)
    if isinstance(pattern, ast.MatchOr):
        tests = [_asked_by(p, subject) for p in pattern.patterns]
        known = [t for t in tests if t is not None and not isinstance(t, ast.Constant)]
        return ast.copy_location(ast.BoolOp(ast.Or(), known), pattern) if len(known) == len(tests) else None
    if isinstance(pattern, ast.MatchMapping | ast.MatchClass):
        return _asked_of_parts(pattern, subject)
    return None


def _asked_of_parts(pattern: ast.MatchMapping | ast.MatchClass, subject: ast.expr) -> ast.expr | None:
    """`order["state"] == "paid"` of `case {"state": "paid"}`, `order.state == "paid"` of `case Order(state="paid")`."""
    parts: list[ast.expr] = []
    if isinstance(pattern, ast.MatchMapping):
        parts += [ast.Subscript(subject, key, ast.Load()) for key in pattern.keys]
        inner = pattern.patterns
        binds = pattern.rest is not None
    else:
        parts += [ast.Attribute(subject, name, ast.Load()) for name in pattern.kwd_attrs]
        inner = pattern.kwd_patterns
        binds = bool(pattern.patterns)
    located = [ast.fix_missing_locations(ast.copy_location(part, pattern)) for part in parts]
    tests = [_asked_by(asked, part) for asked, part in zip(inner, located, strict=True)]
    known = [t for t in tests if t is not None and not isinstance(t, ast.Constant)]
    if binds or not known or len([t for t in tests if t is not None]) < len(tests):
        return None
    return known[0] if len(known) == 1 else ast.copy_location(ast.BoolOp(ast.And(), known), pattern)


def _without_not(test: ast.expr) -> tuple[ast.expr, bool]:
    flipped = False
    while is_not(test):
        test, flipped = test.operand, not flipped
    return test, flipped
