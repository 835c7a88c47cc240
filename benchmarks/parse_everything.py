"""What autolock is measured against: every Python file below a folder through `ast.parse`, once, in this process."""

from __future__ import annotations

import ast
import contextlib
import sys
from pathlib import Path


def main() -> None:
    for path in Path(sys.argv[1]).rglob("*.py"):
        # Real repositories hold templates, and syntax newer than the running Python.
        with contextlib.suppress(SyntaxError, ValueError, OSError):
            ast.parse(path.read_bytes())


if __name__ == "__main__":
    main()
