"""A progress bar for runs that take longer than a moment, on a terminal only."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_PATIENCE_SECONDS = 1.0
_COUNTED = "reading"


class ProgressBar:
    """Called with what the run is doing; draws nothing before the run has taken a second."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._timer: threading.Timer | None = None
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._state = ("", 0, 0)

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show the state, or keep it for later."""
        self._state = (stage, done, total)
        left = self._started + _PATIENCE_SECONDS - time.monotonic()
        if self._bar is not None:
            self._draw()
        elif left <= 0:
            self._show()
        elif stage != _COUNTED and self._timer is None:
            # A stage that cannot be counted calls once. Reading calls often, and a thread that waits would
            # be in the way when it forks.
            self._timer = threading.Timer(left, self._show)
            self._timer.daemon = True
            self._timer.start()

    def close(self) -> None:
        """Take the bar off the screen."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _show(self) -> None:
        # Imported late: most runs end before they would show anything.
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

        bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = bar.add_task("")
        bar.start()
        self._bar = bar
        self._draw()

    def _draw(self) -> None:
        stage, done, total = self._state
        assert self._bar is not None
        assert self._task is not None
        self._bar.update(self._task, description=stage, completed=done, total=total or None)


class _NoBar(ProgressBar):
    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show nothing."""


@contextmanager
def progress_bar(*, wanted: bool) -> Iterator[ProgressBar]:
    """A bar for the time of the block; it shows nothing where it is not wanted or nobody would see it."""
    bar = ProgressBar() if wanted and sys.stderr.isatty() else _NoBar()
    try:
        yield bar
    finally:
        bar.close()
