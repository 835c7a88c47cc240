"""Putting a run of statements under `try:`."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import libcst as cst

from codemods.expressions import expression
from codemods.wrapping import WrappingCodemod

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from libcst.codemod import CodemodContext

    from codemods.blocks import Statement


class TryingCodemod(WrappingCodemod):
    """A codemod that puts `count` sibling statements from `at` on under `try:`, with one `except ERROR:`.

    Where `caught` is not empty it is the name that the handler gives to the error.
    """

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        """The arguments of the command line, named as those of the class."""
        arg_parser.add_argument("--at", required=True, help="path of the first statement, such as body[3].body[1]")
        arg_parser.add_argument("--count", type=int, default=1, help="how many sibling statements")
        arg_parser.add_argument("--error", required=True, help="the exception, as it is named there")

    def __init__(self, context: CodemodContext, at: str, count: int, error: str) -> None:
        super().__init__(context, at, count)
        self.error = error
        self.caught = ""

    @abstractmethod
    def handling(self, newline: cst.Newline) -> Sequence[Statement]:
        """The statements of the handler, with lines that end like `newline`; raises PlaceError."""

    def around(self, body: cst.IndentedBlock) -> cst.Try:
        """The `try` with that body; raises PlaceError."""
        lines = self.handling(body.header.newline)
        handler = cst.ExceptHandler(
            type=expression(self.error),
            name=cst.AsName(cst.Name(self.caught)) if self.caught else None,
            body=body.with_changes(body=lines),
        )
        return cst.Try(body=body, handlers=[handler])
