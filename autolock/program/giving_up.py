"""What ends the following of one entry point, and of no other."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autolock.program.core import OutOfBudget

INTERNAL = "internal error"


@contextmanager
def noted(stopped: dict[str, str], label: str) -> Iterator[None]:
    """Follow an entry point; where that does not come to its end, `stopped` says under its label why not."""
    try:
        yield
    except OutOfBudget:
        stopped[label] = "too much code to follow from here"
    except RecursionError:
        stopped[label] = "nested too deeply to follow"
    except Exception as error:
        stopped[label] = failure(error)


def failure(error: Exception) -> str:
    """What to say where autolock itself is at fault, so that it can be found: the last line that was run."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{INTERNAL}, {type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})"
