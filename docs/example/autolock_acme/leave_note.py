"""Leaves a note above a statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from codemods.base import Phase, RegionCodemod
from codemods.blocks import Margin, Statement, edit_statement
from codemods.paths import PlaceError, Step, Steps

if TYPE_CHECKING:
    import argparse

    from libcst.codemod import CodemodContext


class LeaveNote(RegionCodemod):
    """Put the comment `# NOTE` on a line of its own above the statement at `at`."""

    DESCRIPTION = "Leave a note above a statement."
    phase = Phase.STATEMENT

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        """The arguments of the command line, named as those of the class."""
        arg_parser.add_argument("--at", required=True, help="path of the statement, such as body[3].body[1]")
        arg_parser.add_argument("--note", required=True, help="what the comment says")

    def __init__(self, context: CodemodContext, at: str, note: str) -> None:
        super().__init__(context, at)
        self._line = cst.EmptyLine(comment=cst.Comment(f"# {note}"))

    def transform_module_impl(self, tree: cst.Module) -> cst.Module:
        """The module with the note; raises PlaceError."""
        return edit_statement(tree, self.region.start, self._noted)

    def undo(self, tree: cst.Module) -> cst.Module:
        """The module without it; raises PlaceError."""
        return edit_statement(tree, self.region.start, self._plain)

    def _noted(self, statement: Statement, _: Margin) -> Statement:
        return statement.with_changes(leading_lines=(*statement.leading_lines, self._line))

    def _plain(self, statement: Statement, _: Margin) -> Statement:
        *above, last = statement.leading_lines
        if not last.deep_equals(self._line):
            raise PlaceError("the note is not there")
        return statement.with_changes(leading_lines=above)

    def _move(self, index: int) -> Steps:
        """No statement is anywhere else afterwards."""
        return (Step(self.region.start.field, index),)
