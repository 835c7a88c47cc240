"""Which of an application's files run in several processes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from autolock.deployment.evidence import Deployed
from autolock.deployment.files import about, deployments_below
from autolock.program.processes import Started


class Said(NamedTuple):
    """What a file says, and the module of the project that it means; empty where it names none."""

    deployed: Deployed
    module: str


@dataclass(frozen=True, slots=True)
class Deployments:
    """All that is said about processes in a project."""

    said: tuple[Said, ...] = ()

    def of(self, paths: Sequence[str]) -> Deployed | None:
        """What says that an application of these files runs in several processes; None where nothing does.

        A command that names a module of theirs says more than a setting of the folder that they lie in.
        """
        own = frozenset(paths)
        return next((s.deployed for s in self.said if s.module in own), None) or next(
            (s.deployed for s in self.said if not s.deployed.target and _is_around(s.deployed.folder, paths)), None
        )


NO_DEPLOYMENTS = Deployments()
#: Folders of sources that a package may lie in below the folder that a command is run in.
_DEEPER = 3


def deployments_of(root: Path, paths: Iterable[str], runs: Iterable[tuple[str, Started]] = ()) -> Deployments:
    """What the files of a project say, whose Python files are `paths`, and calls in its code: (file, call)."""
    called = (
        Deployed(path, line, text, processes, target, about(path)) for path, (line, processes, target, text) in runs
    )
    said = (*deployments_below(root), *called)
    named = {one.target.rpartition(".")[2] for one in said if one.target}
    modules = [path for path in paths if _stem(path) in named] if named else []
    return Deployments(tuple(Said(one, _meant(one, modules)) for one in said))


def _stem(path: str) -> str:
    return path.removesuffix("/__init__.py").removesuffix(".py").rpartition("/")[2]


def _meant(deployed: Deployed, paths: Iterable[str]) -> str:
    """The file that a command names, below the folder that it is run in; of several the nearest, if there is one.

    `main:app` may be in a folder of sources, but is no file of that name anywhere.
    """
    if not deployed.target:
        return ""
    stem = deployed.target.replace(".", "/")
    below = f"{deployed.folder}/" if deployed.folder else ""
    ends = (f"/{stem}.py", f"/{stem}/__init__.py")
    deep = stem.count("/") + (_DEEPER if "/" in stem else 1)
    found = [p for p in paths if p.startswith(below) and f"/{p}".endswith(ends) and p[len(below) :].count("/") <= deep]
    ranks = sorted((_distance(deployed.path, path), path) for path in found)
    if not ranks or (len(ranks) > 1 and ranks[0][0] == ranks[1][0]):
        return ""
    return ranks[0][1]


def _distance(file: str, path: str) -> tuple[int, int]:
    """How far a module is from the file that names it: folders that they have in common, then how deep it lies."""
    common = set(file.split("/")[:-1]) & set(path.split("/")[:-1])
    return -len(common), path.count("/")


def _is_around(folder: str, paths: Sequence[str]) -> bool:
    return any(path.startswith(f"{folder}/" if folder else "") for path in paths)
