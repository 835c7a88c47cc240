"""Putting a simple statement beside another."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import libcst as cst

from codemods.base import Phase, RegionCodemod
from codemods.blocks import Block, edit_block
from codemods.expressions import syntax_of
from codemods.paths import PlaceError, StatementPath, Step, Steps
from codemods.sources import simple_statement

if TYPE_CHECKING:
    import argparse

    from libcst.codemod import CodemodContext


class InsertingCodemod(RegionCodemod):
    """A codemod that puts the simple statement CODE beside the one at `at`, in its block."""

    phase = Phase.STATEMENT

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        """The arguments of the command line, named as those of the class."""
        arg_parser.add_argument("--at", required=True, help="path of the statement to put it beside")
        arg_parser.add_argument("--code", required=True, help="the simple statement to put there")

    def __init__(self, context: CodemodContext, at: str, code: str) -> None:
        super().__init__(context, at)
        self.code = code
        self._inline: cst.SimpleWhitespace | None = None

    @property
    @abstractmethod
    def place(self) -> StatementPath:
        """Where the new statement is."""

    @abstractmethod
    def inserted(self, block: Block) -> Block:
        """The block with the new statement; raises PlaceError."""

    @abstractmethod
    def removed(self, block: Block, line: int) -> Block:
        """The block without the new statement, which is this line."""

    def transform_module_impl(self, tree: cst.Module) -> cst.Module:
        """The module with the new statement; raises PlaceError."""
        return edit_block(tree, self.region.start, self._inserted)

    def undo(self, tree: cst.Module) -> cst.Module:
        """The module without the new statement; raises PlaceError."""
        return edit_block(tree, self.place, self._removed)

    def _inserted(self, block: Block) -> Block:
        self._inline = block.inline
        return self.inserted(block.indented())

    def _removed(self, block: Block) -> Block:
        line = block.line_of(self.place.index)
        if syntax_of(block.lines[line]) != syntax_of(simple_statement(self.code, cst.Newline())):
            raise PlaceError(f"there is no statement {self.code!r} at {self.place}")
        return self.removed(block, line).on_header_line(self._inline)

    def _move(self, index: int) -> Steps:
        return (Step(self.place.field, index if index < self.place.index else index + 1),)
