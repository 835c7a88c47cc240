"""What autolock is measured against: every Python file below a folder through `ast.parse`, once, in this process."""

from __future__ import annotations

import ast
import sys
from pathlib import Path


def main() -> None:
    for path in Path(sys.argv[1]).rglob("*.py"):
        ast.parse(path.read_bytes())


if __name__ == "__main__":
    main()
