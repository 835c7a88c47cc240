"""Ways to write an application that mean the same: what is found in it must not hang on how it is written."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Function = ast.FunctionDef | ast.AsyncFunctionDef
_VERBS = ("get", "post", "put", "patch", "delete")

WRAPPER = """
import functools as _functools
import inspect as _inspect

def _noted(label):
    def wrap(function):
        if _inspect.iscoroutinefunction(function):
            @_functools.wraps(function)
            async def later(*args, **kwargs):
                try:
                    return await function(*args, **kwargs)
                finally:
                    print(label)
            return later

        @_functools.wraps(function)
        def at_once(*args, **kwargs):
            print(label)
            return function(*args, **kwargs)
        return at_once
    return wrap
"""


def is_route(function: ast.AST) -> bool:
    """Whether a function stands below `@app.get(...)` or the like, and below nothing else."""
    return isinstance(function, Function) and [
        isinstance(d, ast.Call) and isinstance(d.func, ast.Attribute) and d.func.attr in _VERBS
        for d in function.decorator_list
    ] == [True]


def is_generator(function: ast.AST) -> bool:
    """Whether a function yields."""
    return any(isinstance(n, ast.Yield | ast.YieldFrom) for n in ast.walk(function))


def wrapped(tree: ast.Module) -> None:
    """Every handler, service and provider stands below a decorator of the project that hands all on."""
    for function in _functions(tree):
        if not is_generator(function) and (is_route(function) or not function.decorator_list):
            function.decorator_list.append(_expression("_noted('called')"))
    _put_first(tree, WRAPPER)


def handed_on(tree: ast.Module) -> None:
    """Every handler only calls a function that does the work."""
    for function in [f for f in tree.body if is_route(f) and not is_generator(f)]:
        assert isinstance(function, Function)
        names = [a.arg for a in (*function.args.args, *function.args.kwonlyargs)]
        call = f"_do_{function.name}({', '.join(f'{n}={n}' for n in names)})"
        call = f"return await {call}" if isinstance(function, ast.AsyncFunctionDef) else f"return {call}"
        helper = ast.parse(f"def _do_{function.name}({', '.join(names)}): pass").body[0]
        assert isinstance(helper, ast.FunctionDef)
        made = type(function)(name=helper.name, args=helper.args, body=function.body, decorator_list=[], returns=None)
        tree.body.append(made)
        function.body = ast.parse(f"async def _f():\n    {call}").body[0].body  # type: ignore[attr-defined]


def turned_round(tree: ast.Module) -> None:
    """`if bad: leave` and the rest become `if not bad: the rest` and `else: leave`."""
    for block in _blocks(tree):
        for index in reversed(range(len(block) - 1)):
            test, rest = block[index], block[index + 1 :]
            leaves = isinstance(test, ast.If) and not test.orelse and isinstance(test.body[-1], ast.Raise | ast.Return)
            if leaves and not any(isinstance(s, ast.Global | ast.Nonlocal) for s in rest):
                assert isinstance(test, ast.If)
                block[index:] = [ast.If(ast.UnaryOp(ast.Not(), test.test), rest, test.body)]


def with_named_tests(tree: ast.Module) -> None:
    """`if a > b` becomes `verdict = a > b` and `if verdict`."""
    for block in _blocks(tree):
        for index in reversed(range(len(block))):
            test = block[index]
            if isinstance(test, ast.If) and not any(isinstance(n, ast.NamedExpr) for n in ast.walk(test.test)):
                name = f"_verdict_{test.lineno}"
                block[index:index] = [ast.Assign([ast.Name(name, ast.Store())], test.test)]
                test.test = ast.Name(name, ast.Load())


def refused_by_a_helper(tree: ast.Module) -> None:
    """`if bad: raise error` becomes `_ensure(not bad, error)`."""
    for block in _blocks(tree):
        for index, test in enumerate(block):
            if isinstance(test, ast.If) and not test.orelse and len(test.body) == 1:
                leaving = test.body[0]
                if isinstance(leaving, ast.Raise) and isinstance(leaving.exc, ast.Call) and leaving.cause is None:
                    call = ast.Call(_expression("_ensure"), [ast.UnaryOp(ast.Not(), test.test), leaving.exc], [])
                    block[index] = ast.Expr(call)
    _put_first(tree, "def _ensure(fine, error):\n    if not fine:\n        raise error")


def narrated(tree: ast.Module) -> None:
    """There is a line for the log above each statement of a function."""
    for function in _functions(tree):
        if is_generator(function) or function.name.startswith("get_"):
            continue  # a provider that does more than hand out its session is left to a person
        told = [_statement(f"_log.info('step %s', {n})") for n in range(len(function.body))]
        first = [s for s in function.body if isinstance(s, ast.Global | ast.Nonlocal)]
        rest = [s for s in function.body if s not in first]
        function.body = [*first, *(s for pair in zip(told, rest, strict=False) for s in pair)]
    _put_first(tree, "import logging as _logging\n_log = _logging.getLogger(__name__)")


def registered(tree: ast.Module) -> None:
    """Handlers are registered by a call below them."""
    for function in [f for f in tree.body if is_route(f)]:
        assert isinstance(function, Function)
        call = function.decorator_list.pop()
        call = ast.Call(call, [ast.Name(function.name, ast.Load())], [])
        tree.body.insert(tree.body.index(function) + 1, ast.Expr(call))


def inherited(tree: ast.Module) -> None:
    """What a class does it has from a base class."""
    for index in reversed(range(len(tree.body))):
        cls = tree.body[index]
        works = isinstance(cls, ast.ClassDef) and any(isinstance(s, Function) for s in cls.body)
        if works and not cls.bases and not cls.decorator_list:  # type: ignore[union-attr]
            assert isinstance(cls, ast.ClassDef)
            own = _statement(f"class {cls.name}(_Base{cls.name}):\n    pass")
            cls.name = f"_Base{cls.name}"
            tree.body.insert(index + 1, own)


def annotated(tree: ast.Module) -> None:
    """What a function gives a name has a type that says nothing."""
    for function in _functions(tree):
        outer = {n for s in ast.walk(function) if isinstance(s, ast.Global | ast.Nonlocal) for n in s.names}
        for block in _blocks(function):
            for index, statement in enumerate(block):
                target = statement.targets[0] if isinstance(statement, ast.Assign) else None
                if isinstance(target, ast.Name) and target.id not in outer and len(statement.targets) == 1:  # type: ignore[attr-defined]
                    assert isinstance(statement, ast.Assign)
                    block[index] = ast.AnnAssign(target, ast.Name("object", ast.Load()), statement.value, 1)


def cast_about(tree: ast.Module) -> None:
    """What is awaited is cast to a type that says nothing."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Await):
            node.value = ast.Call(_expression("_typing.cast"), [_expression("object"), node.value], [])
    _put_first(tree, "import typing as _typing")


MEANINGS: dict[str, Callable[[ast.Module], None]] = {
    made.__name__: made
    for made in (
        wrapped,
        handed_on,
        turned_round,
        with_named_tests,
        refused_by_a_helper,
        narrated,
        registered,
        inherited,
        annotated,
        cast_about,
    )
}


def rewritten(source: str, meaning: str) -> str:
    """A file, written in another way that means the same."""
    tree = ast.parse(source)
    MEANINGS[meaning](tree)
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"


def _functions(tree: ast.AST) -> Iterator[Function]:
    """The functions of a module and of its classes, but for those that Python or a framework calls by their names."""
    for outer in (tree, *(c for c in ast.iter_child_nodes(tree) if isinstance(c, ast.ClassDef))):
        for function in ast.iter_child_nodes(outer):
            if isinstance(function, Function) and not function.name.startswith("__") and function.name != "lifespan":
                yield function


def _blocks(tree: ast.AST) -> Iterator[list[ast.stmt]]:
    """The blocks of statements in functions, innermost last."""
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody") if isinstance(node, ast.stmt | ast.ExceptHandler) else ():
            block = getattr(node, name, None)
            if isinstance(block, list) and block and not isinstance(node, ast.ClassDef):
                yield block


def _put_first(tree: ast.Module, code: str) -> None:
    """Put code below the docstring and the imports of a module."""
    numbers = [n for n, s in enumerate(tree.body) if isinstance(s, ast.Import | ast.ImportFrom)]
    place = numbers[-1] + 1 if numbers else 0
    tree.body[place:place] = ast.parse(code).body


def _statement(code: str) -> ast.stmt:
    return ast.parse(code).body[0]


def _expression(code: str) -> ast.expr:
    return ast.parse(code, mode="eval").body
