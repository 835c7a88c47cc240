"""Makes a provider hand out a session of its own to each request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from codemods.blocks import Margin, Statement, block_of, indented_block, newline_of
from codemods.decorators import without_decorator
from codemods.expressions import expression
from codemods.locks import with_lock
from codemods.paths import PlaceError, StatementPath
from codemods.replacing import ReplacingCodemod
from codemods.sources import simple_statement

if TYPE_CHECKING:
    import argparse

    from libcst.codemod import CodemodContext


class YieldSession(ReplacingCodemod):
    """Make the body of the function at `at` `with FACTORY() as NAME:` / `yield NAME`, but for its docstring.

    With `is_async` it is `async with` in an `async def`. What is yielded is GIVEN where that is not empty,
    an expression with NAME in it. A return annotation becomes ANNOTATION, and the decorators named in
    `undecorate` (parted by commas) go.
    """

    DESCRIPTION = "Let a provider open a session for each request."

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        """The arguments of the command line, named as those of the class."""
        arg_parser.add_argument("--at", required=True, help="path of the function")
        arg_parser.add_argument("--factory", required=True, help="the expression that is called for a session")
        arg_parser.add_argument("--is-async", action="store_true", help="write async with")
        arg_parser.add_argument("--name", default="session", help="name of the session")
        arg_parser.add_argument("--given", default="", help="what is yielded, where it is not the session")
        arg_parser.add_argument("--annotation", default="", help="what a return annotation becomes")
        arg_parser.add_argument("--undecorate", default="", help="names of decorators to take away")

    def __init__(
        self,
        context: CodemodContext,
        at: str,
        factory: str,
        is_async: bool,
        name: str = "session",
        annotation: str = "",
        undecorate: str = "",
        given: str = "",
    ) -> None:
        super().__init__(context, at)
        self.factory = factory
        self.is_async = is_async
        self.name = name
        self.annotation = annotation
        self.given = given or name
        self.undecorate = [name.strip() for name in undecorate.split(",") if name.strip()]
        self._has_docstring = False

    def relocate(self, path: StatementPath) -> StatementPath:
        inside = path.steps[len(self.region.start.steps) :]
        if path.steps[: len(self.region.start.steps)] != self.region.start.steps or not inside:
            return path
        if self._has_docstring and inside[0].index == 0:
            return path
        raise PlaceError(f"the statement at {path} is replaced by another edit")

    def replacement(self, statement: Statement, margin: Margin) -> list[Statement]:
        """The function with the other body; raises PlaceError."""
        if not isinstance(statement, cst.FunctionDef):
            raise PlaceError("there is no function there")
        function = self._annotated(self._undecorated(statement))
        if self.is_async:
            function = function.with_changes(asynchronous=function.asynchronous or cst.Asynchronous())
        return [self._opening(function, margin)]

    def _undecorated(self, function: cst.FunctionDef) -> cst.FunctionDef:
        for name in self.undecorate:
            numbers = [n for n, decorator in enumerate(function.decorators) if _names(decorator.decorator, name)]
            if not numbers:
                raise PlaceError(f"{function.name.value} has no decorator {name}")
            function = cst.ensure_type(without_decorator(function, numbers[0]), cst.FunctionDef)
        return function

    def _annotated(self, function: cst.FunctionDef) -> cst.FunctionDef:
        if function.returns is None:
            return function
        if not self.annotation:
            raise PlaceError(f"{function.name.value} has a return annotation, and there is none to put in its place")
        returns = function.returns.with_changes(annotation=expression(self.annotation))
        return function.with_changes(returns=returns)

    def _opening(self, function: cst.FunctionDef, margin: Margin) -> cst.FunctionDef:
        """The function with the body that opens the session."""
        old = block_of(function, "body", margin)
        newline = newline_of(function)
        self._has_docstring = function.get_docstring() is not None
        step = old.margin.step
        result = indented_block([simple_statement(f"yield {self.given}", newline)], step, newline)
        opened = with_lock(result, f"{self.factory}() as {self.name}", is_async=self.is_async)
        lines: list[Statement] = [opened]
        if self._has_docstring:
            docstring = cst.ensure_type(old.lines[0], cst.SimpleStatementLine)
            lines = [docstring.with_changes(body=[docstring.body[0].with_changes(semicolon=cst.MaybeSentinel.DEFAULT)])]
            below = old.lines[1].leading_lines if len(old.lines) > 1 else ()
            blank = [line for line in below if line.comment is None][:1]
            lines.append(opened.with_changes(leading_lines=blank))
        body = indented_block(lines, step, newline)
        if isinstance(function.body, cst.IndentedBlock):
            body = body.with_changes(header=function.body.header, footer=function.body.footer)
        return function.with_changes(body=body)


def _names(decorator: cst.BaseExpression, name: str) -> bool:
    """Whether a decorator, called or not, is of that name, in whatever module."""
    if isinstance(decorator, cst.Call):
        decorator = decorator.func
    if isinstance(decorator, cst.Attribute):
        decorator = decorator.attr
    return isinstance(decorator, cst.Name) and decorator.value == name.rpartition(".")[2]
