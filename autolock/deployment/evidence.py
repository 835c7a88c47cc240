"""What says that an application runs in more than one process."""

from __future__ import annotations

from typing import NamedTuple


class Deployed(NamedTuple):
    """A line of a project's files that starts several processes of an application.

    `path` is relative to the project's root, `text` what stands there. `processes` is how many, 0 where there are as
    many as the machine has processors. `target` is the module that the command names, dotted; empty where it names
    none, and then it is about what lies in `folder` or below.
    """

    path: str
    line: int
    text: str
    processes: int
    target: str = ""
    folder: str = ""

    @property
    def where(self) -> str:
        """`deploy/run.sh:3`."""
        return f"{self.path}:{self.line}"

    @property
    def many(self) -> str:
        """How many processes, in words."""
        return f"{self.processes} processes" if self.processes else "a process for each processor"


def reach_of_a_lock(deployed: Deployed | None) -> str:
    """How far a lock in memory holds, for the reason of a fix that puts one there."""
    if deployed is None:
        return "It holds within one process; several workers need a lock outside of it."
    return f"It holds within one process, and {deployed.where} starts {deployed.many}: what they share is not guarded."
