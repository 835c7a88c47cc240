"""Puts statements into one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codemods.locks import with_lock
from codemods.wrapping import WrappingCodemod

if TYPE_CHECKING:
    import argparse

    import libcst as cst
    from libcst.codemod import CodemodContext


class WrapInTransaction(WrappingCodemod):
    """Put `count` sibling statements from `at` on under `with HEADER:` or `async with HEADER:`.

    HEADER is the text of one with item or several: `session.begin()`, or
    `pool.acquire() as connection, connection.transaction()`.
    """

    DESCRIPTION = "Put sibling statements into a transaction."

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        """The arguments of the command line, named as those of the class."""
        arg_parser.add_argument("--at", required=True, help="path of the first statement, such as body[3].body[1]")
        arg_parser.add_argument("--count", type=int, default=1, help="how many sibling statements")
        arg_parser.add_argument("--header", required=True, help="what begins the transaction, such as session.begin()")
        arg_parser.add_argument("--is-async", action="store_true", help="write async with")

    def __init__(self, context: CodemodContext, at: str, count: int, header: str, is_async: bool) -> None:
        super().__init__(context, at, count)
        self.header = header
        self.is_async = is_async

    def around(self, body: cst.IndentedBlock) -> cst.With:
        """The block of the transaction; raises PlaceError."""
        return with_lock(body, self.header, is_async=self.is_async)
