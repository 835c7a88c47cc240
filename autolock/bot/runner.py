"""The thread that takes jobs from the store and does them, for as long as the server runs."""

from __future__ import annotations

import logging
import threading
import uuid
from typing import TYPE_CHECKING

from autolock.bot.store import LEASE, TRIES
from autolock.errors import AutolockError

if TYPE_CHECKING:
    from collections.abc import Callable

    from autolock.bot.store import Job, Store

_LOG = logging.getLogger("autolock.bot")
#: Seconds between two looks for work that nobody has told of: jobs that are tried again, or were another bot's.
_IDLE = 5.0
_FIRST_DELAY = 30.0


class Runner:
    """Does the jobs of a store, one after the other, in a thread of its own."""

    def __init__(self, store: Store, do: Callable[[Job], None]) -> None:
        self._store = store
        self._do = do
        self._holder = uuid.uuid4().hex
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="autolock-bot", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, patience: float = 10.0) -> None:
        """End after the job at hand, or in `patience` seconds: another bot then takes it over when its lease ends."""
        self._stop.set()
        self._wake.set()
        self._thread.join(patience)

    def wake(self) -> None:
        """Say that there is something to do."""
        self._wake.set()

    def do_all(self) -> None:
        """Do what is due, and return."""
        while not self._stop.is_set():
            job = self._store.take(self._holder)
            if job is None:
                return
            self._carry(job)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            try:
                self.do_all()
            except Exception:  # the database is away: what is to be done is still there when it is back
                _LOG.exception("looking for jobs failed")
            self._wake.wait(_IDLE)

    def _carry(self, job: Job) -> None:
        ended = threading.Event()
        keeper = threading.Thread(target=self._keep, args=(job, ended), daemon=True)
        keeper.start()
        try:
            self._do(job)
        except AutolockError as error:
            self._failed(job, str(error))
        except Exception as error:
            _LOG.debug("%s of %s", job.kind, job.repository, exc_info=True)
            self._failed(job, f"internal error, {type(error).__name__}")
        else:
            _LOG.info("%s of %s is done", job.kind, job.repository)
            self._store.done(job, self._holder)
        finally:
            ended.set()
            keeper.join()

    def _failed(self, job: Job, why: str) -> None:
        if job.tries >= TRIES:
            _LOG.error("%s of %s is given up: %s", job.kind, job.repository, why)
            self._store.done(job, self._holder)
            return
        delay = _FIRST_DELAY * 2 ** (job.tries - 1)
        _LOG.warning("%s of %s is tried again in %d s: %s", job.kind, job.repository, delay, why)
        self._store.again(job, self._holder, delay)

    def _keep(self, job: Job, ended: threading.Event) -> None:
        """Hold the job for as long as it takes."""
        while not ended.wait(LEASE / 3):
            try:
                self._store.keep(job, self._holder)
            except Exception:  # the database is away: there is time for more tries before the lease ends
                _LOG.exception("holding a job failed")
