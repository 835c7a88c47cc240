"""Putting statements in the place of one, and that one back."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from codemods.base import Phase, RegionCodemod
from codemods.blocks import Block, Margin, Statement, edit_block
from codemods.expressions import syntax_of
from codemods.paths import PlaceError, Step, Steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from libcst.codemod import CodemodContext


class _Change(NamedTuple):
    """The statement as it was, how its block was written, and the syntax of what came in its place."""

    old: Statement
    inline: cst.SimpleWhitespace | None
    new: tuple[str, ...]


class ReplacingCodemod(RegionCodemod):
    """A codemod that puts one statement or several in the place of the one at `at`."""

    phase = Phase.STATEMENT

    def __init__(self, context: CodemodContext, at: str) -> None:
        super().__init__(context, at)
        self._change: _Change | None = None

    @abstractmethod
    def replacement(self, statement: Statement, margin: Margin) -> Sequence[Statement]:
        """What comes in place of the statement in a block of that margin, a statement a line; raises PlaceError."""

    def transform_module_impl(self, tree: cst.Module) -> cst.Module:
        """The module with the other statements; raises PlaceError."""
        return edit_block(tree, self.region.start, self._replaced)

    def undo(self, tree: cst.Module) -> cst.Module:
        """The module with the statement that was there before; raises PlaceError."""
        return edit_block(tree, self.region.start, self._restored)

    def _replaced(self, block: Block) -> Block:
        line = block.line_of(self.region.start.index)
        old = block.lines[line]
        new = self.replacement(old, block.margin)
        self._change = _Change(old, block.inline, tuple(map(syntax_of, new)))
        written = block if len(new) == 1 else block.indented()
        return written.with_lines(range(line, line + 1), new)

    def _restored(self, block: Block) -> Block:
        line = block.line_of(self.region.start.index)
        change = self._change
        if change is None or tuple(map(syntax_of, block.lines[line : line + len(change.new)])) != change.new:
            raise PlaceError("what is there was not put there by this codemod")
        restored = block.with_lines(range(line, line + len(change.new)), [change.old])
        return restored.on_header_line(change.inline)

    def _move(self, index: int) -> Steps:
        added = len(self._change.new) - 1 if self._change is not None else 0
        return (Step(self.region.start.field, index if index <= self.region.start.index else index + added),)
