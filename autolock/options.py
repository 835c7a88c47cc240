"""What a run can be asked for, apart from its paths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from pathlib import Path

    from autolock.deployment.backend import LockBackend
    from autolock.findings import Certainty, Severity

Progress = Callable[[str, int, int], None]
"""Told what a run is doing, how much of it is done and how much there is; 0 of 0 where that is not known."""


class Options(TypedDict, total=False):
    """The keyword arguments of `autolock.check` and `autolock.fix`; what is left out, the configuration decides.

    `select` and `ignore` hold ids, names or families of rules. `certainty` and `severity` are the
    lowest that are shown. `unsafe` also offers fixes that a reviewer must agree to. `lock_backend`, "postgres", lets
    fixes take advisory locks where rows cannot be locked. `jobs` is the
    number of processes. `cache` is whether facts of earlier runs are used and kept. `baseline` is a
    file of findings that are known. `verbose` adds a note for each place where the analysis stopped.
    `source` is what `-` stands for, if not what can be read from standard input. `progress` is
    called now and then.
    """

    select: Sequence[str] | None
    ignore: Sequence[str] | None
    certainty: Certainty | str | None
    severity: Severity | str | None
    unsafe: bool | None
    lock_backend: LockBackend | str | None
    jobs: int | None
    cache: bool
    baseline: Path | str | None
    verbose: bool
    source: bytes | None
    progress: Progress | None
