"""Puts statements under a lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codemods.base import RegionCodemod
from codemods.blocks import Block, block_of, edit_block, newline_of, pinned, split_leading
from codemods.locks import held, with_lock
from codemods.paths import Step, Steps

if TYPE_CHECKING:
    import argparse

    import libcst as cst
    from libcst.codemod import CodemodContext


class WrapInLock(RegionCodemod):
    """Put `count` sibling statements from `at` on under `with LOCK:` or `async with LOCK:`.

    Blank lines above the first statement stay above the block, the comments that touch it move
    inside with it. A block on its header's line becomes an indented one.
    """

    DESCRIPTION = "Put sibling statements under a lock."

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        """The arguments of the command line, named as those of the class."""
        arg_parser.add_argument("--at", required=True, help="path of the first statement, such as body[3].body[1]")
        arg_parser.add_argument("--count", type=int, default=1, help="how many sibling statements")
        arg_parser.add_argument("--lock", required=True, help="the expression that is the lock")
        arg_parser.add_argument("--is-async", action="store_true", help="write async with")

    def __init__(self, context: CodemodContext, at: str, count: int, lock: str, is_async: bool) -> None:
        super().__init__(context, at, count)
        self.lock = lock
        self.is_async = is_async
        self._inline: cst.SimpleWhitespace | None = None

    def transform_module_impl(self, tree: cst.Module) -> cst.Module:
        """The module with the statements under the lock; raises PlaceError."""
        return edit_block(tree, self.region.start, self._wrapped)

    def undo(self, tree: cst.Module) -> cst.Module:
        """The module with the lock taken away and its body in its place; raises PlaceError."""
        return edit_block(tree, self.region.start, self._unwrapped)

    def _wrapped(self, block: Block) -> Block:
        span = block.span(self.region.start.index, self.region.count)
        self._inline = block.inline
        lines = [pinned(line, block.margin) for line in block.lines[span.start : span.stop]]
        above, own = split_leading(lines[0].leading_lines)
        newline = newline_of(lines[0])
        lines[0] = lines[0].with_changes(leading_lines=own)
        guarded = with_lock(
            lines,
            self.lock,
            is_async=self.is_async,
            indent=block.margin.step,
            newline=newline,
            leading_lines=above,
        )
        return block.indented().with_lines(span, [guarded])

    def _unwrapped(self, block: Block) -> Block:
        line = block.line_of(self.region.start.index)
        guarded = held(block.lines[line], self.lock, is_async=self.is_async)
        inner = block_of(guarded, "body", block.margin)
        first = inner.lines[0]
        restored = first.with_changes(leading_lines=(*guarded.leading_lines, *first.leading_lines))
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
