"""Calls of language models, as entry points make them."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autolock.program.trace import Event

if TYPE_CHECKING:
    from autolock.program.trace import Entry


@dataclass(slots=True, frozen=True, eq=False)
class ModelCall(Event):
    """A model is called. `node` is the call.

    `bounded` when something admits only so many at a time, or so many in a while; `serial` is when it happens.
    """

    entry: Entry
    bounded: bool
    serial: int

    @property
    def text(self) -> str:
        """The call without its arguments."""
        assert isinstance(self.node, ast.Call)
        return ast.unparse(self.node.func)
