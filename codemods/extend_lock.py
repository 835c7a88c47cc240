"""Lets a lock span more of the statements around it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from codemods.base import Order, Phase, PlacedCodemod
from codemods.blocks import Block, Statement, block_of, edit_block, pinned, split_leading, with_block
from codemods.paths import PlaceError, Region, Relocate, StatementPath, Step, Steps

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from libcst.codemod import CodemodContext


class _Old(NamedTuple):
    """How the block was before: the numbers of its lines and of comments, and whether it was inline."""

    leading: int
    lines: int
    statements: int
    footer: int
    inline: cst.SimpleWhitespace | None


class ExtendLock(PlacedCodemod):
    """Pull `before` preceding and `after` following siblings into the `with` block at `at`.

    Comments stay beside the statements that they were beside.
    """

    DESCRIPTION = "Pull sibling statements into a with block."

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        """The arguments of the command line, named as those of the class."""
        arg_parser.add_argument("--at", required=True, help="path of the with statement")
        arg_parser.add_argument("--before", type=int, default=0, help="how many statements before it")
        arg_parser.add_argument("--after", type=int, default=0, help="how many statements after it")

    def __init__(self, context: CodemodContext, at: str, before: int, after: int) -> None:
        super().__init__(context)
        self.at = StatementPath.parse(at)
        self.region = Region(self.at.sibling(self.at.index - before), before + 1 + after)
        self._old: _Old | None = None

    @property
    def order(self) -> Order:
        """Among the regions, outer ones first."""
        return Phase.REGION, self.region.start.steps, (-self.region.count,)

    def follow(self, relocate: Relocate) -> None:
        at, region = relocate(self.at), self.region.moved(relocate)
        if not at.shares_block(region.start):
            raise PlaceError(f"the with statement at {self.at} is moved by another edit")
        self.at, self.region = at, region

    def relocate(self, path: StatementPath) -> StatementPath:
        depth = len(self.at.steps)
        inside = path.steps[depth:]
        if path.steps[:depth] != self.at.steps or not inside:
            return path.moved(self.at, self._move)
        body = Step("body", inside[0].index + self._before)
        return StatementPath((*self.region.start.steps, body, *inside[1:]))

    def transform_module_impl(self, tree: cst.Module) -> cst.Module:
        """The module with the statements in the block; raises PlaceError."""
        return edit_block(tree, self.at, self._extended)

    def undo(self, tree: cst.Module) -> cst.Module:
        """The module with the statements beside the block again; raises PlaceError."""
        return edit_block(tree, self.region.start, self._shrunk)

    @property
    def _before(self) -> int:
        return self.at.index - self.region.start.index

    @property
    def _after(self) -> int:
        return self.region.end - self.at.index - 1

    def _extended(self, block: Block) -> Block:
        span = block.span(self.region.start.index, self.region.count)
        at = block.line_of(self.at.index)
        guard = _with(block.lines[at])
        before = [pinned(line, block.margin) for line in block.lines[span.start : at]]
        after = [pinned(line, block.margin) for line in block.lines[at + 1 : span.stop]]
        inner = block_of(guard, "body", block.margin)
        self._old = _Old(len(guard.leading_lines), len(inner.lines), len(inner), len(inner.footer), inner.inline)
        inner = inner.indented()
        if before:
            above, own = split_leading(before[0].leading_lines)
            inner = inner.with_leading(0, [pinned(line, block.margin) for line in guard.leading_lines])
            inner = inner.with_lines(range(0), [before[0].with_changes(leading_lines=own), *before[1:]])
            guard = guard.with_changes(leading_lines=above)
        if after:
            footer, end = inner.footer, len(inner.lines)
            inner = replace(inner, lines=(*inner.lines, *after), footer=())
            inner = inner.with_leading(end, footer)
        return block.with_lines(span, [with_block(guard, "body", inner)])

    def _shrunk(self, block: Block) -> Block:
        line = block.line_of(self.region.start.index)
        guard = _with(block.lines[line])
        inner = block_of(guard, "body", block.margin)
        old = self._old
        if old is None or len(inner) != old.statements + self._before + self._after:
            raise PlaceError("the with block was not extended by this codemod")
        start = inner.span(0, self._before).stop if self._before else 0
        end = start + old.lines
        before, held, after = list(inner.lines[:start]), list(inner.lines[start:end]), list(inner.lines[end:])
        footer = inner.footer
        if before:
            before[0] = _with_leading(before[0], [*guard.leading_lines, *before[0].leading_lines])
            guard = guard.with_changes(leading_lines=held[0].leading_lines[: old.leading])
            held[0] = _with_leading(held[0], held[0].leading_lines[old.leading :])
        if after:
            below = after[0].leading_lines
            after[0] = _with_leading(after[0], below[old.footer :])
            footer = tuple(below[: old.footer])
        inner = replace(inner, lines=tuple(held), footer=footer, inline=old.inline)
        return block.with_lines(range(line, line + 1), [*before, with_block(guard, "body", inner), *after])

    def _move(self, index: int) -> Steps:
        start, at = self.region.start, self.at.index
        if index < start.index:
            return (Step(start.field, index),)
        if index >= self.region.end:
            return (Step(start.field, index - self.region.count + 1),)
        block = Step(start.field, start.index)
        if index < at:
            return block, Step("body", index - start.index)
        if index == at:
            return (block,)
        held = self._old.statements if self._old else 0
        return block, Step("body", self._before + held + index - at - 1)


def _with(line: Statement) -> cst.With:
    if not isinstance(line, cst.With):
        raise PlaceError("there is no with statement there")
    return line


def _with_leading(line: Statement, leading_lines: Sequence[cst.EmptyLine]) -> Statement:
    return line.with_changes(leading_lines=tuple(leading_lines))
