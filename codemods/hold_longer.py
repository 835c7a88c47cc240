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
    from collections.abc import Sequence

    from libcst.codemod import CodemodContext


class _Old(NamedTuple):
    """What went: the statements that acquired and released, and how many lines and statements the lock was held for."""

    acquire: cst.SimpleStatementLine
    release: Statement
    lines: int
    statements: int


class HoldLonger(RegionCodemod):
    """Turn `await LOCK.acquire()` at `at` and the `try: ... finally: LOCK.release()` after it into `async with LOCK:`.

    The same where `LOCK.release()` comes later in the block, and without `await` for `with LOCK:`. `before` preceding
    siblings go into the block, and all of the `after` following ones.
    """

    DESCRIPTION = "Hold a lock with a with block for longer than acquire and release did."

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        """The arguments of the command line, named as those of the class."""
        arg_parser.add_argument("--at", required=True, help="path of the statement that acquires")
        arg_parser.add_argument("--lock", required=True, help="the expression that is the lock")
        arg_parser.add_argument("--is-async", action="store_true", help="write async with")
        arg_parser.add_argument("--before", type=int, default=0, help="how many statements before it")
        arg_parser.add_argument("--after", type=int, default=1, help="how many statements after it, the release too")

    def __init__(
        self, context: CodemodContext, at: str, lock: str, is_async: bool, before: int = 0, after: int = 1
    ) -> None:
        acquired = StatementPath.parse(at)
        super().__init__(context, str(acquired.sibling(acquired.index - before)), before + 1 + after)
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
        acquire, following = block.lines[at], block.lines[at + 1 : span.stop]
        called = f"{self.lock}.acquire()"
        if not is_call(acquire, f"await {called}" if self.is_async else called):
            raise PlaceError(f"there is no '{called}' where it should be")
        self._old, inner, rest = self._parts(cst.ensure_type(acquire, cst.SimpleStatementLine), following, block)
        lines = [*block.lines[span.start : at], *inner.with_leading(0, self._above(self._old)).lines, *rest]
        above, own = split_leading(lines[0].leading_lines) if self.before else (acquire.leading_lines, None)
        if own is not None:
            lines[0] = lines[0].with_changes(leading_lines=own)
        body = indented_block([pinned(x, block.margin) for x in lines], block.margin.step, newline_of(acquire))
        if not self.before:
            body = body.with_changes(header=self._old.acquire.trailing_whitespace)
        guarded = with_lock(body, self.lock, is_async=self.is_async).with_changes(leading_lines=above)
        if _comments(guarded) != sum(map(_comments, block.lines[span.start : span.stop])):
            raise PlaceError("a comment beside the calls of the lock would have no place")
        return block.with_lines(span, [guarded])

    def _parts(
        self, acquire: cst.SimpleStatementLine, following: Sequence[Statement], block: Block
    ) -> tuple[_Old, Block, Sequence[Statement]]:
        """What goes, what was under the lock, and what comes after that; raises PlaceError."""
        release = f"{self.lock}.release()"
        tried = following[0] if following else None
        if isinstance(tried, cst.Try) and self._only_releases(tried, block):
            inner = block_of(tried, "body", block.margin)
            return _Old(acquire, tried, len(inner.lines), len(inner)), inner, following[1:]
        end = next((n for n, line in enumerate(following) if is_call(line, release)), 0)
        if not end:
            raise PlaceError(f"there is no '{release}' where it should be")
        inner = replace(block, lines=tuple(following[:end]), footer=())
        return _Old(acquire, following[end], end, len(inner)), inner, following[end + 1 :]

    def _above(self, old: _Old) -> tuple[cst.EmptyLine, ...]:
        """What stood above the statements that go and comes to stand above the first that was under the lock."""
        tried = old.release.leading_lines if isinstance(old.release, cst.Try) else ()
        return (*(old.acquire.leading_lines if self.before else ()), *tried)

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
        inner = inner.without_leading(start, len(self._above(old)))
        if self.before:
            inner = inner.with_leading(0, guarded.leading_lines)
        end = start + old.lines
        under: Sequence[Statement] = (*inner.lines[start:end], old.release)
        if isinstance(old.release, cst.Try):
            own = block_of(old.release, "body", block.margin)
            under = [with_block(old.release, "body", replace(own, lines=inner.lines[start:end]))]
        lines = [*inner.lines[:start], old.acquire, *under, *inner.lines[end:]]
        return block.with_lines(range(line, line + 1), lines)

    def _move(self, index: int) -> Steps:
        start, field = self.region.start.index, self.region.start.field
        acquired, old = start + self.before, self._old
        if index < start:
            return (Step(field, index),)
        if index >= self.region.end:
            return (Step(field, index - self.region.count + 1),)
        if index < acquired:
            return Step(field, start), Step("body", index - start)
        under = old.statements if old is not None else 0
        released = acquired + 1 + (0 if old is None or isinstance(old.release, cst.Try) else under)
        if index in (acquired, released):
            return (Step(field, start),)
        if index < released:
            return Step(field, start), Step("body", index - start - 1)
        return Step(field, start), Step("body", self.before + under + index - released - 1)


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
