"""Puts a statement after another."""

from __future__ import annotations

import libcst as cst

from codemods.blocks import Block, blank_lines, distance, newline_of
from codemods.inserting import InsertingCodemod
from codemods.paths import PlaceError, StatementPath
from codemods.sources import simple_statement


class InsertAfter(InsertingCodemod):
    """Put the simple statement CODE after the one at `at`, in its block."""

    DESCRIPTION = "Put a simple statement after another one."
    last_first = True

    @property
    def place(self) -> StatementPath:
        return self.region.start.sibling(self.region.start.index + 1)

    def inserted(self, block: Block) -> Block:
        number, position = block.locate(self.region.start.index)
        line = block.lines[number]
        if isinstance(line, cst.SimpleStatementLine) and position + 1 != len(line.body):
            raise PlaceError("the statement is followed by another on its line, parted by a semicolon")
        newline = newline_of(line)
        new = simple_statement(self.code, newline).with_changes(
            leading_lines=blank_lines(distance(line, block), newline)
        )
        return block.with_lines(range(number + 1, number + 1), [new])

    def removed(self, block: Block, line: int) -> Block:
        return block.with_lines(range(line, line + 1), [])
