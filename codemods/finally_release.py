"""Moves the release of a lock into a `finally`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from codemods.base import RegionCodemod
from codemods.blocks import Block, block_of, edit_block, indented_block, newline_of, pinned, split_leading
from codemods.locks import is_call
from codemods.paths import PlaceError, Step, Steps

if TYPE_CHECKING:
    import argparse

    from libcst.codemod import CodemodContext

    from codemods.blocks import Statement


class FinallyRelease(RegionCodemod):
    """Put `count` statements from `at` on under `try:`, and the `LOCK.release()` after them into its `finally`.

    Blank lines above the first statement stay above the `try`.
    """

    DESCRIPTION = "Release a lock in a finally."

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        """The arguments of the command line, named as those of the class."""
        arg_parser.add_argument("--at", required=True, help="path of the first statement under the lock")
        arg_parser.add_argument("--count", type=int, default=1, help="how many statements up to the release")
        arg_parser.add_argument("--lock", required=True, help="the expression that is the lock")

    def __init__(self, context: CodemodContext, at: str, count: int, lock: str) -> None:
        if count < 1:
            raise PlaceError("there is nothing before the release")
        super().__init__(context, at, count + 1)
        self.lock = lock
        self._release: Statement | None = None

    def transform_module_impl(self, tree: cst.Module) -> cst.Module:
        """The module with the `try`; raises PlaceError."""
        return edit_block(tree, self.region.start, self._tried)

    def undo(self, tree: cst.Module) -> cst.Module:
        """The module with the call after the statements; raises PlaceError."""
        return edit_block(tree, self.region.start, self._called)

    def _tried(self, block: Block) -> Block:
        span = block.span(self.region.start.index, self.region.count)
        *lines, release = block.lines[span.start : span.stop]
        if not is_call(release, f"{self.lock}.release()"):
            raise PlaceError(f"there is no '{self.lock}.release()' where it should be")
        if block.inline is not None or not lines:
            raise PlaceError("the release is not on a line of its own")
        self._release = release
        inner = [pinned(line, block.margin) for line in lines]
        above, own = split_leading(inner[0].leading_lines)
        newline = newline_of(inner[0])
        inner[0] = inner[0].with_changes(leading_lines=own)
        comments = [line for line in release.leading_lines if line.comment is not None]
        last = indented_block([release.with_changes(leading_lines=comments)], block.margin.step, newline)
        tried = cst.Try(
            leading_lines=above,
            body=indented_block(inner, block.margin.step, newline),
            finalbody=cst.Finally(body=last),
        )
        return block.with_lines(span, [tried])

    def _called(self, block: Block) -> Block:
        line = block.line_of(self.region.start.index)
        tried = block.lines[line]
        if self._release is None or not isinstance(tried, cst.Try) or tried.finalbody is None:
            raise PlaceError("the try was not made by this codemod")
        inner = block_of(tried, "body", block.margin)
        first = inner.lines[0]
        restored = first.with_changes(leading_lines=(*tried.leading_lines, *first.leading_lines))
        return block.with_lines(range(line, line + 1), [restored, *inner.lines[1:], self._release])

    def _move(self, index: int) -> Steps:
        start, field = self.region.start.index, self.region.start.field
        if index < start:
            return (Step(field, index),)
        if index < self.region.end - 1:
            return Step(field, start), Step("body", index - start)
        if index < self.region.end:
            return Step(field, start), Step("finalbody", 0)
        return (Step(field, index - self.region.count + 1),)
