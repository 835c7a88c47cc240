"""AL601 in-process-guard."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.rules.base import Match
from autolock.rules.shapes import function_name

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


class InProcessGuard:
    """State is kept in the memory of a process, and the application runs in several of them.

    Each process has its own, and none sees what the others have changed: every one of them sells the last seat,
    accepts the same name, hands out the same number. A lock in memory guards the copy of one process from that process
    alone. Which files say that there are several is part of the finding: commands for uvicorn, gunicorn, hypercorn,
    granian and `fastapi run` in Dockerfiles, Procfiles, scripts, unit and compose files; gunicorn's settings;
    WEB_CONCURRENCY; replicas in compose files, Kubernetes manifests and Helm charts; `uvicorn.run(workers=...)`.

    ## Racy

        # Dockerfile: CMD ["gunicorn", "shop.main:app", "-w", "4"]
        async with seats_lock:
            if seats[show] == 0:
                raise HTTPException(409)
            seats[show] -= 1

    ## Interleaving

        A, in one process, sees 1 and takes it; B, in another, sees 1 and takes it, too

    ## Fix

    None is offered: a lock does not bring the copies together. Keep the state where all processes see it, in a row that
    is changed by `UPDATE ... SET left = left - 1 WHERE left > 0`, or in Redis; until then start one process.

    For a file: a lock on the file, such as `fcntl.flock` or the package filelock, from the read to the write.

    Rows that are guarded by a lock in memory are no case of this rule: where there are several processes, such a lock
    counts for nothing, and the rules on rows find them. Not reported: caches and objects that are made once,
    connections and tasks, what a request gives back when it ends, counts that nothing goes by, and whatever no file
    says is started in several processes.
    """

    id: ClassVar[str] = "AL601"
    name: ClassVar[str] = "in-process-guard"
    category: ClassVar[str] = "deployment"
    summary: ClassVar[str] = "requests are decided by state in the memory of one process, and several are started"
    codemods: ClassVar[tuple[str, ...]] = ()

    def match(self, window: RaceWindow) -> Match | None:
        # Imported late: a run in which nothing has changed only asks rules for their names.
        from autolock.deployment.windows import ProcessWindow

        if not isinstance(window, ProcessWindow) or window.deployed is None:
            return None
        if window.is_file:
            lock = next((str(g.location) for g in window.guards if g.location is not None), "a lock in memory")
            return Match(
                Severity.HIGH,
                f"`{function_name(window)}` changes `{window.shown}` under `{lock}`, which holds within one process, "
                f"and {window.deployed.where} starts {window.deployed.many}: they overwrite each other's changes.",
            )
        said = f"{window.deployed.where} starts {window.deployed.many}, each with a `{window.location.base}` of its own"
        if window.decides:
            return Match(
                Severity.HIGH,
                f"`{function_name(window)}` decides by `{window.shown}` in memory, and {said}: what requests to one of "
                "them have changed, the others do not know of.",
            )
        return Match(
            Severity.MEDIUM,
            f"`{function_name(window)}` goes by a `{window.shown}` that it computes from the one before, and {said}: "
            "several of them come to the same.",
        )
