"""`autolock` and `python -m autolock`."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from typing import NoReturn

#: Objects between two collections. Syntax trees and facts are millions of objects that all stay in use.
_COLLECT_EVERY = 200_000


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    gc.set_threshold(_COLLECT_EVERY, 50, 50)
    from autolock.cli.app import run

    _leave(run(sys.argv[1:]))


def _leave(code: int) -> NoReturn:
    """Exit without taking every object apart, which is a quarter of a run that finds all of it in the cache."""
    atexit._run_exitfuncs()
    try:
        for stream in filter(None, (sys.stdout, sys.stderr)):  # one that was closed is None
            stream.flush()
    except (OSError, ValueError):
        sys.exit(code)  # Python says what is wrong with the stream
    os._exit(code)


if __name__ == "__main__":
    main()
