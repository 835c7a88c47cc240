"""Calls of language models, as entry points make them."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autolock.program.trace import Event

if TYPE_CHECKING:
    from autolock.program.trace import Entry, Read


@dataclass(slots=True, frozen=True, eq=False)
class ModelCall(Event):
    """A model is called. `node` is the call.

    `bounded` when something admits only so many at a time, or so many in a while; `serial` is when it happens.
    `reads` are what it is given of shared state.
    """

    entry: Entry
    bounded: bool
    serial: int
    reads: frozenset[Read]

    @property
    def text(self) -> str:
        """The call without its arguments."""
        assert isinstance(self.node, ast.Call)
        return ast.unparse(self.node.func)
