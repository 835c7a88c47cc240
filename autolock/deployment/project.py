"""Which of an application's files run in several processes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from autolock.deployment.evidence import Deployed
from autolock.deployment.files import about, deployments_below


class ServerRun(NamedTuple):
    """`uvicorn.run("app.main:app", workers=4)` in the code: where, how many, and the module that it names."""

    line: int
    processes: int
    target: str
    text: str


@dataclass(frozen=True, slots=True)
class Deployments:
    """All that is said about processes in a project."""

    said: tuple[Deployed, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.said)

    def of(self, paths: Sequence[str]) -> Deployed | None:
        """What says that an application of these files runs in several processes; None where nothing does.

        A command that names a module of theirs says more than a setting of the folder that they lie in.
        """
        return next((d for d in self.said if d.target and _is_meant(d, paths)), None) or next(
            (d for d in self.said if not d.target and _is_around(d.folder, paths)), None
        )


NO_DEPLOYMENTS = Deployments()
#: Folders of sources that a package may lie in below the folder that a command is run in.
_DEEPER = 3


def deployments_of(root: Path, runs: Iterable[tuple[str, ServerRun]] = ()) -> Deployments:
    """What the files of a project say, and calls in its code: (file, call)."""
    called = (Deployed(path, run.line, run.text, run.processes, run.target, about(path)) for path, run in runs)
    return Deployments((*deployments_below(root), *called))


def _is_meant(deployed: Deployed, paths: Sequence[str]) -> bool:
    """Whether one of the files is the module that a command names, below the folder that it is run in.

    `main:app` may be in a folder of sources, but is no file of that name anywhere.
    """
    stem = deployed.target.replace(".", "/")
    below = f"{deployed.folder}/" if deployed.folder else ""
    ends = (f"/{stem}.py", f"/{stem}/__init__.py")
    deep = stem.count("/") + (_DEEPER if "/" in stem else 1)
    return any(
        path.startswith(below) and f"/{path}".endswith(ends) and path.removeprefix(below).count("/") <= deep
        for path in paths
    )


def _is_around(folder: str, paths: Sequence[str]) -> bool:
    return any(path.startswith(f"{folder}/" if folder else "") for path in paths)
