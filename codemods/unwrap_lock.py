"""Takes a lock away from round its statements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codemods.base import RegionCodemod
from codemods.blocks import Block, block_of, edit_block
from codemods.locks import held
from codemods.paths import PlaceError, StatementPath, Step, Steps

if TYPE_CHECKING:
    import argparse

    import libcst as cst
    from libcst.codemod import CodemodContext


class UnwrapLock(RegionCodemod):
    """Put the body of the `with LOCK:` at `at` in its place, where a block around it takes the lock instead."""

    DESCRIPTION = "Take a lock away from round its statements."

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        """The arguments of the command line, named as those of the class."""
        arg_parser.add_argument("--at", required=True, help="path of the with statement")
        arg_parser.add_argument("--lock", required=True, help="the expression that is the lock")
        arg_parser.add_argument("--is-async", action="store_true", help="it is an async with")

    def __init__(self, context: CodemodContext, at: str, lock: str, is_async: bool) -> None:
        super().__init__(context, at)
        self.lock = lock
        self.is_async = is_async
        self._guard: cst.With | None = None
        self._statements = 0
        self._lines = 0

    def transform_module_impl(self, tree: cst.Module) -> cst.Module:
        """The module without the lock; raises PlaceError."""
        return edit_block(tree, self.region.start, self._unwrapped)

    def undo(self, tree: cst.Module) -> cst.Module:
        """The module with the lock round the statements again; raises PlaceError."""
        return edit_block(tree, self.region.start, self._wrapped)

    def _unwrapped(self, block: Block) -> Block:
        line = block.line_of(self.region.start.index)
        guard = held(block.lines[line], self.lock, is_async=self.is_async)
        inner = block_of(guard, "body", block.margin).indented()
        self._guard, self._lines, self._statements = guard, len(inner.lines), len(inner)
        first = inner.lines[0]
        restored = first.with_changes(leading_lines=(*guard.leading_lines, *first.leading_lines))
        plain = block.with_lines(range(line, line + 1), [restored, *inner.lines[1:]])
        return plain.with_leading(line + len(inner.lines), inner.footer)

    def _wrapped(self, block: Block) -> Block:
        line = block.line_of(self.region.start.index)
        if self._guard is None or line + self._lines > len(block.lines):
            raise PlaceError("no lock was taken away here")
        inner = block_of(self._guard, "body", block.margin)
        end = line + self._lines
        bare = block.without_leading(end, len(inner.footer)) if inner.footer else block
        return bare.with_lines(range(line, end), [self._guard])

    def relocate(self, path: StatementPath) -> StatementPath:
        start = self.region.start
        depth = len(start.steps)
        inside = path.steps[depth:]
        if path.steps[:depth] != start.steps or not inside:
            return path.moved(start, self._move)
        moved = Step(start.steps[-1].field, start.index + inside[0].index)
        return StatementPath((*start.steps[:-1], moved, *inside[1:]))

    def _move(self, index: int) -> Steps:
        start, field = self.region.start.index, self.region.start.field
        return (Step(field, index if index <= start else index + self._statements - 1),)
