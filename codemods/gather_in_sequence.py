"""Awaits one after the other what was awaited at once."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import libcst as cst

from codemods.blocks import Margin, Statement, indented_block, newline_of
from codemods.expressions import ExpressionCodemod, code_of, expressions, find, spells, with_expression
from codemods.layout import comments
from codemods.paths import PlaceError
from codemods.replacing import ReplacingCodemod
from codemods.scopes import parsed, scopes_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from libcst.codemod import CodemodContext

_Comprehension = cst.ListComp | cst.GeneratorExp


class GatherInSequence(ReplacingCodemod):
    """Turn `await asyncio.gather(x(), y())`, or its call alone as EXPRESSION, into `await x()` and `await y()`.

    They become a statement each where what they return is assigned to as many names, or not used;
    elsewhere a list, as `gather` gives one. `gather(*(f(x) for x in xs))` becomes
    `[await f(x) for x in xs]`, or a loop where what it gives is not used and the function has no other `x`. NAMED are
    variables, parted by commas, that hold coroutines which do not run yet, or lists of them: `gather(*tasks)` becomes
    `[await EACH for EACH in tasks]`.
    """

    DESCRIPTION = "Await one after the other what was awaited at once."

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        """The arguments of the command line, named as those of the class."""
        ExpressionCodemod.add_args(arg_parser)
        arg_parser.add_argument("--named", default="", help="variables that hold coroutines which do not run yet")
        arg_parser.add_argument("--each", default="each", help="name for one of a list of them")

    def __init__(
        self, context: CodemodContext, at: str, expression: str, nth: int = 0, named: str = "", each: str = "each"
    ) -> None:
        super().__init__(context, at)
        self.expression = expression
        self.nth = nth
        self.named = frozenset(name.strip() for name in named.split(",") if name.strip())
        self.each = each
        self._mentioned: list[str] = []

    def transform_module_impl(self, tree: cst.Module) -> cst.Module:
        """The module that awaits in sequence; raises PlaceError."""
        scope = scopes_of(parsed(tree.code), self.region.start)[-1]
        self._mentioned = _mentioned(scope)
        return super().transform_module_impl(tree)

    def replacement(self, statement: Statement, margin: Margin) -> list[Statement]:
        """The statements that await in sequence; raises PlaceError."""
        gathering = self._gathering(statement)
        call = cst.ensure_type(gathering.expression, cst.Call)
        args = _gathered(call, self.named)
        new = self._split(statement, gathering, args) or [
            with_expression(statement, gathering, _listed(gathering, args, self.each))
        ]
        if sorted(comments(statement)) != sorted(comment for line in new for comment in comments(line)):
            raise PlaceError("there are comments inside the gather() that would be lost")
        return new

    def _gathering(self, statement: Statement) -> cst.Await:
        """The `await` of the `gather` that is meant; raises PlaceError."""
        nodes = list(expressions(statement))
        found = nodes[find(statement, self.expression, self.nth)]
        for node in nodes:
            if (
                isinstance(node, cst.Await)
                and (node is found or node.expression is found)
                and _is_gather(node.expression)
            ):
                return node
        raise PlaceError("the expression is no gather() that is awaited where it is called")

    def _split(self, statement: Statement, gathering: cst.Await, args: Sequence[cst.Arg]) -> list[Statement]:
        """A statement for each argument, empty where one statement has to do."""
        if not isinstance(statement, cst.SimpleStatementLine) or comments(gathering):
            return []
        small = statement.body[0]
        if len(args) == 1 and args[0].star:
            unused = isinstance(small, cst.Expr) and small.value is gathering
            return self._looped(statement, _comprehension(args[0].value, self.each)) if unused else []
        if any(arg.star for arg in args):
            return []
        inside = cst.ensure_type(gathering.expression, cst.Call).whitespace_before_args
        awaited = [cst.Await(_moved_left(arg.value, inside)) for arg in args]
        if isinstance(small, cst.Expr) and small.value is gathering:
            return _lines(statement, [cst.Expr(value) for value in awaited])
        if not isinstance(small, cst.Assign) or small.value is not gathering or len(small.targets) != 1:
            return []
        names = _names(small.targets[0].target)
        if len(names) != len(awaited) or _uses_earlier([name.value for name in names], awaited):
            return []
        assigned = [cst.Assign([cst.AssignTarget(name)], value) for name, value in zip(names, awaited, strict=True)]
        return _lines(statement, assigned)

    def _looped(self, statement: cst.SimpleStatementLine, listed: cst.ListComp) -> list[Statement]:
        """The loop that does what the list does, empty where its variables would be seen elsewhere in the function."""
        loop = listed.for_in
        names = [n.id for n in ast.walk(ast.parse(code_of(loop.target))) if isinstance(n, ast.Name)]
        inside = _mentioned(ast.parse(f"async def f():\n    {code_of(statement.body[0])}"))
        if loop.ifs or loop.inner_for_in is not None or loop.asynchronous is not None:
            return []
        if any(self._mentioned.count(name) > inside.count(name) for name in names):
            return []
        newline = newline_of(statement)
        body = cst.SimpleStatementLine([cst.Expr(listed.elt)], trailing_whitespace=statement.trailing_whitespace)
        return [
            cst.For(
                target=loop.target,
                iter=loop.iter,
                body=indented_block([body], None, newline),
                leading_lines=statement.leading_lines,
            )
        ]


def _mentioned(tree: ast.AST) -> list[str]:
    """Every name in a tree, as often as it is there."""
    return [str(name) for n in ast.walk(tree) for name in (getattr(n, "id", None), getattr(n, "arg", None)) if name]


class _MovesLeft(cst.CSTTransformer):
    """Takes indentation from the lines inside an expression."""

    def __init__(self, indentation: str) -> None:
        super().__init__()
        self.indentation = indentation

    def leave_ParenthesizedWhitespace(
        self, original_node: cst.ParenthesizedWhitespace, updated_node: cst.ParenthesizedWhitespace
    ) -> cst.ParenthesizedWhitespace:
        """The line that follows, further left."""
        last = updated_node.last_line
        moved = last.with_changes(value=last.value.removeprefix(self.indentation))
        return updated_node.with_changes(last_line=moved)


def _moved_left(value: cst.BaseExpression, inside: cst.BaseParenthesizableWhitespace) -> cst.BaseExpression:
    """An argument that stood on a line of its own, as far left as the statement."""
    if not isinstance(inside, cst.ParenthesizedWhitespace):
        return value
    moved = value.visit(_MovesLeft(inside.last_line.value))
    assert isinstance(moved, cst.BaseExpression)
    return moved


def _is_gather(node: cst.BaseExpression) -> bool:
    """Whether an expression is a call of `gather`, of whatever module."""
    if not isinstance(node, cst.Call):
        return False
    name = node.func.attr if isinstance(node.func, cst.Attribute) else node.func
    return isinstance(name, cst.Name) and name.value == "gather"


def _gathered(call: cst.Call, named: frozenset[str]) -> list[cst.Arg]:
    """What is gathered, by calls or by variables that are `named`.

    Raises PlaceError where awaiting it in sequence would be something else.
    """
    args: list[cst.Arg] = []
    for arg in call.args:
        if arg.keyword is not None and arg.keyword.value == "return_exceptions":
            if not spells(arg.value, "False"):
                raise PlaceError("gather() returns exceptions instead of raising them")
            continue
        if arg.keyword is not None or arg.star == "**":
            raise PlaceError("gather() has arguments of unknown meaning")
        plain = arg.value.elt if arg.star and isinstance(arg.value, _Comprehension) else arg.value
        is_named = plain is arg.value and isinstance(plain, cst.Name) and plain.value in named
        if not is_named and (not isinstance(plain, cst.Call) or (arg.star and plain is arg.value)):
            raise PlaceError("what is gathered is not called there: it may be running already")
        args.append(arg)
    if not args:
        raise PlaceError("gather() has no arguments")
    if len(args) < len(call.args):
        end = call.args[-1]
        args[-1] = args[-1].with_changes(comma=end.comma, whitespace_after_arg=end.whitespace_after_arg)
    return args


def _listed(gathering: cst.Await, args: Sequence[cst.Arg], each: str) -> cst.BaseExpression:
    """The list of what is awaited in sequence, laid out as the call was."""
    call = cst.ensure_type(gathering.expression, cst.Call)
    if len(args) == 1 and args[0].star:
        return _comprehension(args[0].value, each).with_changes(lpar=gathering.lpar, rpar=gathering.rpar)
    elements: list[cst.BaseElement] = []
    for arg in args:
        if arg.star:
            elements.append(cst.StarredElement(_comprehension(arg.value, each), comma=arg.comma))
        else:
            elements.append(cst.Element(cst.Await(arg.value), comma=arg.comma))
    return cst.List(
        elements,
        lbracket=cst.LeftSquareBracket(whitespace_after=call.whitespace_before_args),
        rbracket=cst.RightSquareBracket(whitespace_before=args[-1].whitespace_after_arg),
        lpar=gathering.lpar,
        rpar=gathering.rpar,
    )


def _comprehension(value: cst.BaseExpression, each: str) -> cst.ListComp:
    """The list comprehension that awaits what the comprehension makes, or what a list holds."""
    if isinstance(value, cst.Name):
        one = cst.Name(each)
        return cst.ListComp(cst.Await(one), cst.CompFor(one, value))
    if isinstance(value, cst.ListComp):
        return value.with_changes(elt=cst.Await(value.elt))
    generator = cst.ensure_type(value, cst.GeneratorExp)
    opened, closed = generator.lpar, generator.rpar
    return cst.ListComp(
        cst.Await(generator.elt),
        generator.for_in,
        lbracket=cst.LeftSquareBracket(opened[0].whitespace_after if opened else cst.SimpleWhitespace("")),
        rbracket=cst.RightSquareBracket(closed[0].whitespace_before if closed else cst.SimpleWhitespace("")),
    )


def _names(target: cst.BaseExpression) -> list[cst.Name]:
    """The names of a tuple or list of just names, empty for any other target."""
    if not isinstance(target, cst.Tuple | cst.List):
        return []
    values = [element.value for element in target.elements if isinstance(element, cst.Element)]
    names = [value for value in values if isinstance(value, cst.Name)]
    return names if len(names) == len(target.elements) else []


def _uses_earlier(names: Sequence[str], awaited: Sequence[cst.Await]) -> bool:
    """Whether one of the values uses a name that was bound before it, and had another value in the `gather`."""
    for number, value in enumerate(awaited):
        used = {node.id for node in ast.walk(ast.parse(f"({code_of(value)})")) if isinstance(node, ast.Name)}
        if used & set(names[:number]):
            return True
    return False


def _lines(statement: cst.SimpleStatementLine, smalls: Sequence[cst.BaseSmallStatement]) -> list[Statement]:
    """A line for each; the first has the comments of the statement."""
    first, *others = smalls
    end = cst.TrailingWhitespace(newline=newline_of(statement))
    following = [cst.SimpleStatementLine([small], trailing_whitespace=end) for small in others]
    return [statement.with_changes(body=[first]), *following]
