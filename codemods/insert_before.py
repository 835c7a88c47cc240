"""Puts a statement before another."""

from __future__ import annotations

from codemods.blocks import Block, newline_of, split_leading
from codemods.inserting import InsertingCodemod
from codemods.paths import PlaceError, StatementPath
from codemods.sources import simple_statement


class InsertBefore(InsertingCodemod):
    """Put the simple statement CODE before the one at `at`, in its block.

    Comments that touch that statement stay with it, blank lines above it stay above the new one.
    """

    DESCRIPTION = "Put a simple statement before another one."

    @property
    def place(self) -> StatementPath:
        return self.region.start

    def inserted(self, block: Block) -> Block:
        number, position = block.locate(self.place.index)
        if position:
            raise PlaceError("the statement follows another one on its line, parted by a semicolon")
        below = block.lines[number]
        above, own = split_leading(below.leading_lines)
        new = simple_statement(self.code, newline_of(below)).with_changes(leading_lines=above)
        return block.with_lines(range(number, number + 1), [new, below.with_changes(leading_lines=own)])

    def removed(self, block: Block, line: int) -> Block:
        above = block.lines[line].leading_lines
        return block.with_lines(range(line, line + 1), []).with_leading(line, above)
