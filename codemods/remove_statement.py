"""Removes a statement."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from codemods.base import Phase, RegionCodemod
from codemods.blocks import Block, edit_block
from codemods.paths import PlaceError, Step, Steps

if TYPE_CHECKING:
    import argparse

    from libcst.codemod import CodemodContext


class _Old(NamedTuple):
    line: cst.SimpleStatementLine
    handed_on: int
    only: bool
    blank: tuple[cst.EmptyLine, ...] = ()


class RemoveStatement(RegionCodemod):
    """Remove the simple statement at `at`; `pass` stands for it where its block would be empty.

    The comments above it stay, and blank lines where the next statement has none above it. A file does
    not begin with blank lines that were below it.
    """

    DESCRIPTION = "Remove a simple statement."
    phase = Phase.STATEMENT

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        """The arguments of the command line, named as those of the class."""
        arg_parser.add_argument("--at", required=True, help="path of the statement")

    def __init__(self, context: CodemodContext, at: str) -> None:
        super().__init__(context, at)
        self._old: _Old | None = None

    def transform_module_impl(self, tree: cst.Module) -> cst.Module:
        """The module without the statement; raises PlaceError."""
        return edit_block(tree, self.region.start, self._removed)

    def undo(self, tree: cst.Module) -> cst.Module:
        """The module with the statement; raises PlaceError."""
        return edit_block(tree, self.region.start, self._restored)

    def _removed(self, block: Block) -> Block:
        line = block.line_of(self.region.start.index)
        statement = block.lines[line]
        if not isinstance(statement, cst.SimpleStatementLine):
            raise PlaceError("only a simple statement can be removed")
        only = len(block.lines) == 1
        kept = () if only else _kept(statement, block, line)
        blank = () if only or kept or statement.leading_lines else self._opening(block, line)
        self._old = _Old(statement, len(kept), only, blank)
        if only:
            return block.with_lines(range(line, line + 1), [statement.with_changes(body=[cst.Pass()])])
        shorter = block.with_lines(range(line, line + 1), [])
        return shorter.without_leading(line, len(blank)) if blank else shorter.with_leading(line, kept)

    def _opening(self, block: Block, line: int) -> tuple[cst.EmptyLine, ...]:
        """The blank lines below the first statement of a file, with which it would begin without the statement."""
        if line or len(self.region.start.steps) > 1 or len(block.lines) < 2:
            return ()
        return tuple(takewhile(lambda empty: empty.comment is None, block.lines[1].leading_lines))

    def _restored(self, block: Block) -> Block:
        if self._old is None:
            raise PlaceError("nothing was removed there")
        statement, handed_on, only, blank = self._old
        if only:
            return block.with_lines(range(1), [statement])
        line = self._line_in(block)
        rest = block.with_leading(line, blank) if blank else block.without_leading(line, handed_on)
        return rest.with_lines(range(line, line), [statement])

    def _line_in(self, block: Block) -> int:
        """The line before which the statement stood."""
        index = self.region.start.index
        return len(block.lines) if index == len(block) else block.locate(index)[0]

    def _move(self, index: int) -> Steps:
        at, field = self.region.start.index, self.region.start.field
        if index == at:
            raise PlaceError(f"the statement at {self.region.start} is removed by another edit")
        return (Step(field, index if index < at else index - 1),)


def _kept(statement: cst.SimpleStatementLine, block: Block, line: int) -> tuple[cst.EmptyLine, ...]:
    """What stood above the statement and goes above the next one."""
    above = tuple(statement.leading_lines)
    below = block.footer if line + 1 == len(block.lines) else block.lines[line + 1].leading_lines
    if any(empty.comment for empty in above) or not below or below[0].comment is not None:
        return above
    return ()
