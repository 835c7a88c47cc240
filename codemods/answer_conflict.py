"""Answers a conflict that the database reports."""

from __future__ import annotations

import ast
from itertools import chain, count
from typing import TYPE_CHECKING, cast

import libcst as cst

from codemods.scopes import parsed, scopes_of
from codemods.sources import simple_statement, statements
from codemods.trying import TryingCodemod

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from libcst.codemod import CodemodContext

    from codemods.blocks import Statement


class AnswerConflict(TryingCodemod):
    """Put `count` sibling statements from `at` on under `try:`, with `except ERROR:` that rolls back and answers.

    ANSWER is the source of the statements after the rollback. What they raise is raised `from` the
    error. With an empty SESSION nothing is rolled back.
    """

    DESCRIPTION = "Answer a conflict that the database reports."

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        """The arguments of the command line, named as those of the class."""
        TryingCodemod.add_args(arg_parser)
        arg_parser.add_argument("--answer", required=True, help="the statements that answer")
        arg_parser.add_argument("--session", default="", help="the expression that is to be rolled back")
        arg_parser.add_argument("--is-async", action="store_true", help="await the rollback")

    def __init__(
        self,
        context: CodemodContext,
        at: str,
        count: int,
        answer: str,
        error: str,
        session: str = "",
        is_async: bool = False,
    ) -> None:
        super().__init__(context, at, count, error)
        self.answer = answer
        self.session = session
        self.is_async = is_async

    def transform_module_impl(self, tree: cst.Module) -> cst.Module:
        """The module with the answer; raises PlaceError."""
        syntax = parsed(self.answer)
        if any(isinstance(node, ast.Raise) and node.exc and not node.cause for node in ast.walk(syntax)):
            self.caught = _free_name(scopes_of(parsed(tree.code), self.region.start)[-1], syntax)
        return super().transform_module_impl(tree)

    def handling(self, newline: cst.Newline) -> Sequence[Statement]:
        answer = [_raised_from(line, self.caught) for line in statements(self.answer, newline)]
        if not self.session:
            return answer
        rollback = f"{'await ' if self.is_async else ''}{self.session}.rollback()"
        return [simple_statement(rollback, newline), *answer]


class _RaisesFrom(cst.CSTTransformer):
    """Raises from an error what is raised without a cause."""

    def __init__(self, error: str) -> None:
        super().__init__()
        self._error = error

    def leave_Raise(self, original_node: cst.Raise, updated_node: cst.Raise) -> cst.Raise:
        if updated_node.exc is None or updated_node.cause is not None:
            return updated_node
        return updated_node.with_changes(cause=cst.From(cst.Name(self._error)))


def _raised_from(line: Statement, error: str) -> Statement:
    """The statement with what it raises raised from the error."""
    return cast("Statement", line.visit(_RaisesFrom(error)))


def _free_name(*trees: ast.AST) -> str:
    """A name for the error that nothing in the trees has."""
    nodes = [node for tree in trees for node in ast.walk(tree)]
    taken = {getattr(node, field, None) for node in nodes for field in ("id", "arg", "name")}
    names = chain(("error", "conflict"), (f"error_{number}" for number in count(1)))
    return next(name for name in names if name not in taken)
