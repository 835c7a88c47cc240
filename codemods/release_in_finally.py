"""Makes sure that a lock is released whatever happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from codemods.base import RegionCodemod
from codemods.blocks import Block, Statement, block_of, edit_block, indented_block, newline_of, pinned
from codemods.locks import held, is_call, with_lock
from codemods.paths import PlaceError, Step, Steps

if TYPE_CHECKING:
    import argparse

    from libcst.codemod import CodemodContext


class _Old(NamedTuple):
    acquire: cst.SimpleStatementLine
    release: cst.SimpleStatementLine


class ReleaseInFinally(RegionCodemod):
    """Turn `await LOCK.acquire()` at `at`, `count` statements and `LOCK.release()` into `async with LOCK:`.

    The same without `await` for `with LOCK:`. Comments of the two lines that go stay where they were.
    """

    DESCRIPTION = "Turn acquire and release of a lock into a with block."

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        """The arguments of the command line, named as those of the class."""
        arg_parser.add_argument("--at", required=True, help="path of the statement that acquires")
        arg_parser.add_argument("--count", type=int, default=1, help="how many statements up to the release")
        arg_parser.add_argument("--lock", required=True, help="the expression that is the lock")
        arg_parser.add_argument("--is-async", action="store_true", help="write async with")

    def __init__(self, context: CodemodContext, at: str, count: int, lock: str, is_async: bool) -> None:
        if count < 1:
            raise PlaceError("there is nothing between acquire and release")
        super().__init__(context, at, count + 2)
        self.lock = lock
        self.is_async = is_async
        self._old: _Old | None = None

    def transform_module_impl(self, tree: cst.Module) -> cst.Module:
        """The module with the block; raises PlaceError."""
        return edit_block(tree, self.region.start, self._guarded)

    def undo(self, tree: cst.Module) -> cst.Module:
        """The module with the two calls; raises PlaceError."""
        return edit_block(tree, self.region.start, self._called)

    def _guarded(self, block: Block) -> Block:
        span = block.span(self.region.start.index, self.region.count)
        acquire, *lines, release = block.lines[span.start : span.stop]
        called = f"{self.lock}.acquire()"
        acquire = self._call(acquire, f"await {called}" if self.is_async else called)
        release = self._call(release, f"{self.lock}.release()")
        self._old = _Old(acquire, release)
        if block.inline is not None or not lines:
            raise PlaceError("acquire and release are not on lines of their own")
        inner = indented_block([pinned(line, block.margin) for line in lines], block.margin.step, newline_of(acquire))
        body = inner.with_changes(header=acquire.trailing_whitespace, footer=_comments(release))
        guarded = with_lock(body, self.lock, is_async=self.is_async)
        return block.with_lines(span, [guarded.with_changes(leading_lines=acquire.leading_lines)])

    def _called(self, block: Block) -> Block:
        line = block.line_of(self.region.start.index)
        guarded = held(block.lines[line], self.lock, is_async=self.is_async)
        if self._old is None:
            raise PlaceError("the block was not made by this codemod")
        inner = block_of(guarded, "body", block.margin)
        acquire, release = self._old
        return block.with_lines(range(line, line + 1), [acquire, *inner.lines, release])

    def _call(self, line: Statement, code: str) -> cst.SimpleStatementLine:
        if not isinstance(line, cst.SimpleStatementLine) or not is_call(line, code):
            raise PlaceError(f"there is no '{code}' where it should be")
        return line

    def _move(self, index: int) -> Steps:
        start, field = self.region.start.index, self.region.start.field
        if start < index < self.region.end - 1:
            return Step(field, start), Step("body", index - start - 1)
        if start <= index < self.region.end:
            return (Step(field, start),)
        return (Step(field, index if index < start else index - self.region.count + 1),)


def _comments(release: cst.SimpleStatementLine) -> tuple[cst.EmptyLine, ...]:
    """The comments above and after the call, as lines of their own."""
    above = release.leading_lines if any(line.comment for line in release.leading_lines) else ()
    end = release.trailing_whitespace
    if end.comment is None:
        return tuple(above)
    return (*above, cst.EmptyLine(comment=end.comment, newline=end.newline))
