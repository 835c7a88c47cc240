"""A `with` in place of acquire() and a `finally` that releases, round more of the statements beside them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from codemods.base import RegionCodemod
from codemods.blocks import (
    Block,
    Statement,
    block_of,
    edit_block,
    indented_block,
    newline_of,
    pinned,
    split_leading,
    with_block,
)
from codemods.locks import held, is_call, with_lock
from codemods.paths import PlaceError, StatementPath, Step, Steps

if TYPE_CHECKING:
    import argparse

    from libcst.codemod import CodemodContext


class _Old(NamedTuple):
    """What went: the two statements, and how many lines and statements were in the `try`."""

    acquire: cst.SimpleStatementLine
    tried: cst.Try
    lines: int
    statements: int


class HoldLonger(RegionCodemod):
    """Turn `await LOCK.acquire()` at `at` and the `try: ... finally: LOCK.release()` after it into `async with LOCK:`.

    The same without `await` for `with LOCK:`. `before` preceding and `after` following siblings go into the block.
    """

    DESCRIPTION = "Hold a lock with a with block for longer than acquire and release did."

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        """The arguments of the command line, named as those of the class."""
        arg_parser.add_argument("--at", required=True, help="path of the statement that acquires")
        arg_parser.add_argument("--lock", required=True, help="the expression that is the lock")
        arg_parser.add_argument("--is-async", action="store_true", help="write async with")
        arg_parser.add_argument("--before", type=int, default=0, help="how many statements before it")
        arg_parser.add_argument("--after", type=int, default=0, help="how many statements after the try")

    def __init__(
        self, context: CodemodContext, at: str, lock: str, is_async: bool, before: int = 0, after: int = 0
    ) -> None:
        acquired = StatementPath.parse(at)
        super().__init__(context, str(acquired.sibling(acquired.index - before)), before + 2 + after)
        self.lock = lock
        self.is_async = is_async
        self.before = before
        self._old: _Old | None = None

    def transform_module_impl(self, tree: cst.Module) -> cst.Module:
        """The module with the block; raises PlaceError."""
        return edit_block(tree, self.region.start, self._held)

    def undo(self, tree: cst.Module) -> cst.Module:
        """The module with the calls; raises PlaceError."""
        return edit_block(tree, self.region.start, self._called)

    def _held(self, block: Block) -> Block:
        span = block.span(self.region.start.index, self.region.count)
        at = block.line_of(self.region.start.index + self.before)
        acquire, tried = block.lines[at], block.lines[at + 1]
        called = f"{self.lock}.acquire()"
        if not is_call(acquire, f"await {called}" if self.is_async else called):
            raise PlaceError(f"there is no '{called}' where it should be")
        if not isinstance(tried, cst.Try) or not self._only_releases(tried, block):
            raise PlaceError(f"there is no try with '{self.lock}.release()' in its finally where it should be")
        inner = block_of(tried, "body", block.margin)
        self._old = _Old(cst.ensure_type(acquire, cst.SimpleStatementLine), tried, len(inner.lines), len(inner))
        inner = inner.with_leading(0, self._above(acquire, tried))
        lines = [*block.lines[span.start : at], *inner.lines, *block.lines[at + 2 : span.stop]]
        above, own = split_leading(lines[0].leading_lines) if self.before else (acquire.leading_lines, None)
        if own is not None:
            lines[0] = lines[0].with_changes(leading_lines=own)
        body = indented_block([pinned(x, block.margin) for x in lines], block.margin.step, newline_of(acquire))
        if not self.before:
            body = body.with_changes(header=self._old.acquire.trailing_whitespace)
        guarded = with_lock(body, self.lock, is_async=self.is_async).with_changes(leading_lines=above)
        if _comments(guarded) != sum(map(_comments, block.lines[span.start : span.stop])):
            raise PlaceError("a comment beside the try or its finally would have no place")
        return block.with_lines(span, [guarded])

    def _above(self, acquire: Statement, tried: cst.Try) -> tuple[cst.EmptyLine, ...]:
        """What stood above the two statements and comes to stand above the first of the `try`."""
        return (*(acquire.leading_lines if self.before else ()), *tried.leading_lines)

    def _only_releases(self, tried: cst.Try, block: Block) -> bool:
        """Whether all that a `try` does is to make sure of the release."""
        if tried.handlers or tried.orelse or tried.finalbody is None:
            return False
        last = block_of(tried, "finalbody", block.margin)
        return len(last.lines) == 1 and is_call(last.lines[0], f"{self.lock}.release()")

    def _called(self, block: Block) -> Block:
        line = block.line_of(self.region.start.index)
        guarded = held(block.lines[line], self.lock, is_async=self.is_async)
        old = self._old
        if old is None:
            raise PlaceError("the block was not made by this codemod")
        inner = block_of(guarded, "body", block.margin)
        start = inner.span(0, self.before).stop if self.before else 0
        inner = inner.without_leading(start, len(self._above(old.acquire, old.tried)))
        if self.before:
            inner = inner.with_leading(0, guarded.leading_lines)
        own = block_of(old.tried, "body", block.margin)
        tried = with_block(old.tried, "body", replace(own, lines=inner.lines[start : start + old.lines]))
        lines = [*inner.lines[:start], old.acquire, tried, *inner.lines[start + old.lines :]]
        return block.with_lines(range(line, line + 1), lines)

    def _move(self, index: int) -> Steps:
        start, field = self.region.start.index, self.region.start.field
        acquired, inside = start + self.before, self._old.statements if self._old is not None else 0
        if index < start:
            return (Step(field, index),)
        if index >= self.region.end:
            return (Step(field, index - self.region.count + 1),)
        if index < acquired:
            return Step(field, start), Step("body", index - start)
        if index <= acquired + 1:
            return (Step(field, start),)
        return Step(field, start), Step("body", index - start - 2 + inside)


class _Counter(cst.CSTVisitor):
    """Counts comments."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def visit_Comment(self, node: cst.Comment) -> None:
        self.count += 1


def _comments(node: cst.CSTNode) -> int:
    counter = _Counter()
    node.visit(counter)
    return counter.count
