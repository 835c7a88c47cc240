"""Putting a run of statements into a block of their own, and taking them out again."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import libcst as cst

from codemods.base import RegionCodemod
from codemods.blocks import Block, block_of, edit_block, indented_block, newline_of, pinned, split_leading
from codemods.expressions import syntax_of
from codemods.paths import PlaceError, Step, Steps

if TYPE_CHECKING:
    from libcst.codemod import CodemodContext

Wrapper = cst.With | cst.Try


class WrappingCodemod(RegionCodemod):
    """A codemod that puts `count` sibling statements from `at` on into the body of a statement.

    Blank lines above the first statement stay above that one, the comments that touch it move
    inside with it. A block on its header's line becomes an indented one.
    """

    def __init__(self, context: CodemodContext, at: str, count: int) -> None:
        super().__init__(context, at, count)
        self._inline: cst.SimpleWhitespace | None = None

    @abstractmethod
    def around(self, body: cst.IndentedBlock) -> Wrapper:
        """The statement with that body; raises PlaceError."""

    def transform_module_impl(self, tree: cst.Module) -> cst.Module:
        """The module with the statements in the block; raises PlaceError."""
        return edit_block(tree, self.region.start, self._wrapped)

    def undo(self, tree: cst.Module) -> cst.Module:
        """The module with the statements in the block's place; raises PlaceError."""
        return edit_block(tree, self.region.start, self._unwrapped)

    def _wrapped(self, block: Block) -> Block:
        span = block.span(self.region.start.index, self.region.count)
        self._inline = block.inline
        lines = [pinned(line, block.margin) for line in block.lines[span.start : span.stop]]
        above, own = split_leading(lines[0].leading_lines)
        newline = newline_of(lines[0])
        lines[0] = lines[0].with_changes(leading_lines=own)
        wrapper = self.around(indented_block(lines, block.margin.step, newline))
        return block.indented().with_lines(span, [wrapper.with_changes(leading_lines=above)])

    def _unwrapped(self, block: Block) -> Block:
        line = block.line_of(self.region.start.index)
        wrapper = block.lines[line]
        empty = indented_block((), None, newline_of(wrapper))
        if not isinstance(wrapper, Wrapper) or syntax_of(wrapper.with_changes(body=empty)) != syntax_of(
            self.around(empty)
        ):
            raise PlaceError("what is there was not put round the statements by this codemod")
        inner = block_of(wrapper, "body", block.margin)
        first = inner.lines[0]
        restored = first.with_changes(leading_lines=(*wrapper.leading_lines, *first.leading_lines))
        plain = block.with_lines(range(line, line + 1), [restored, *inner.lines[1:]])
        plain = plain.with_leading(line + len(inner.lines), inner.footer)
        return plain.on_header_line(self._inline)

    def _move(self, index: int) -> Steps:
        start, field = self.region.start.index, self.region.start.field
        if index < start:
            return (Step(field, index),)
        if index < self.region.end:
            return Step(field, start), Step("body", index - start)
        return (Step(field, index - self.region.count + 1),)
