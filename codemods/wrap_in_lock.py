"""Puts statements under a lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codemods.locks import with_lock
from codemods.wrapping import WrappingCodemod

if TYPE_CHECKING:
    import argparse

    import libcst as cst
    from libcst.codemod import CodemodContext


class WrapInLock(WrappingCodemod):
    """Put `count` sibling statements from `at` on under `with LOCK:` or `async with LOCK:`."""

    DESCRIPTION = "Put sibling statements under a lock."

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        """The arguments of the command line, named as those of the class."""
        arg_parser.add_argument("--at", required=True, help="path of the first statement, such as body[3].body[1]")
        arg_parser.add_argument("--count", type=int, default=1, help="how many sibling statements")
        arg_parser.add_argument("--lock", required=True, help="the expression that is the lock")
        arg_parser.add_argument("--is-async", action="store_true", help="write async with")

    def __init__(self, context: CodemodContext, at: str, count: int, lock: str, is_async: bool) -> None:
        super().__init__(context, at, count)
        self.lock = lock
        self.is_async = is_async

    def around(self, body: cst.IndentedBlock) -> cst.With:
        """The block of the lock; raises PlaceError."""
        return with_lock(body, self.lock, is_async=self.is_async)
