"""`autolock` and `python -m autolock`."""

from __future__ import annotations

import gc
import sys

#: Objects between two collections. Syntax trees and facts are millions of objects that all stay in use.
_COLLECT_EVERY = 200_000


def main() -> None:
    """Run the command line and exit with its code."""
    gc.set_threshold(_COLLECT_EVERY, 50, 50)
    from autolock.cli.app import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
