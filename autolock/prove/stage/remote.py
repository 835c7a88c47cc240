"""Data that the other side keeps for the stage: a PostgreSQL database, for which the application's
environment may lack a driver of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .wire import Wire


@dataclass(frozen=True)
class RemoteData:
    """A database that is put back and looked at from outside."""

    wire: Wire

    def remember(self) -> None:
        """Take what it holds now as the start of every run."""
        self.wire.ask("remember")

    def forget(self) -> None:
        """Go back to the start before the last one."""
        self.wire.ask("forget")

    def restore(self) -> None:
        """Put back what it held."""
        self.wire.ask("restore")

    def picture(self) -> dict[str, Any]:
        """The rows of every table."""
        rows: dict[str, Any] = self.wire.ask("picture")
        return rows

    def all_wait(self, requests: int) -> bool:
        """Whether as many connections wait for locks as requests are inside their driver."""
        return int(self.wire.ask("waiting")) >= requests
