"""Puts statements under a lock, but for the check that they begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codemods.blocks import Block, Statement, pinned
from codemods.expressions import syntax_of
from codemods.paths import PlaceError, Step, Steps
from codemods.wrap_in_lock import WrapInLock

if TYPE_CHECKING:
    import argparse

    from libcst.codemod import CodemodContext


class WrapChecked(WrapInLock):
    """Put `count` sibling statements under a lock, and a copy of the first `checks` of them before it.

    Those find out whether there is anything to do, and return when there is not. Who has nothing to
    do then does not wait for the lock; who has waited for it looks again.
    """

    DESCRIPTION = "Put sibling statements under a lock, and the checks they begin with also before it."

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        """The arguments of the command line, named as those of the class."""
        WrapInLock.add_args(arg_parser)
        arg_parser.add_argument("--checks", type=int, default=1, help="how many of them are the check")

    def __init__(self, context: CodemodContext, at: str, count: int, lock: str, is_async: bool, checks: int) -> None:
        super().__init__(context, at, count, lock, is_async)
        self.checks = checks

    def _wrapped(self, block: Block) -> Block:
        if not 0 < self.checks < self.region.count:
            raise PlaceError("the checks must be the first of the statements")
        span = block.span(self.region.start.index, self.checks)
        copies = [
            pinned(line, block.margin).with_changes(leading_lines=()) for line in block.lines[span.start : span.stop]
        ]
        wrapped = super()._wrapped(block)
        wrapper = wrapped.lines[span.start]
        copies[0] = copies[0].with_changes(leading_lines=wrapper.leading_lines)
        copies = [line.deep_clone() for line in copies]
        return wrapped.with_lines(range(span.start, span.start + 1), [*copies, wrapper.with_changes(leading_lines=())])

    def _unwrapped(self, block: Block) -> Block:
        span = block.span(self.region.start.index, self.checks)
        copies, wrapper = block.lines[span.start : span.stop], block.lines[span.stop]
        above = copies[0].leading_lines
        plain = block.with_lines(range(span.start, span.stop + 1), [wrapper.with_changes(leading_lines=above)])
        result = super()._unwrapped(plain)
        originals = result.lines[span.start : span.stop]
        if [_bare(line) for line in copies] != [_bare(line) for line in originals]:
            raise PlaceError("the checks before the lock are others than those under it")
        return result

    def _move(self, index: int) -> Steps:
        first, *rest = super()._move(index)
        if index < self.region.start.index:
            return (first, *rest)
        return (Step(first.field, first.index + self.checks), *rest)


def _bare(line: Statement) -> object:
    """A statement without what stands above it, to be compared with others."""
    return syntax_of(line.with_changes(leading_lines=()))
