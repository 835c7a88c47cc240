"""How many processes of the application a deployment starts, as far as its files say."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

_FILES = re.compile(
    r"^(dockerfile.*|procfile|.*compose.*\.ya?ml|.*\.(sh|service|conf|toml|env)|\.env.*|gunicorn.*\.py)$", re.IGNORECASE
)
#: An option of uvicorn or gunicorn in a command, of which the parts may be quoted; a setting; copies of a service.
_NUMBER = re.compile(
    r"(?:--workers[ =\",']+"
    r"|\bgunicorn\b[^\n]*?\s-w[ =\",']*"
    r"|WEB_CONCURRENCY[\"']?\s*[:=]\s*[\"']?"
    r"|^\s*workers\s*=\s*"
    r"|\breplicas:\s*)(\d+)",
    re.MULTILINE,
)
_COMPUTED = re.compile(r"^\s*workers\s*=\s*.*cpu_count", re.MULTILINE)
_SKIPPED = {"node_modules", "site-packages", "venv", "tests", "docs", "__pycache__"}
_LARGEST = 200_000
_DEEPEST = 3


def has_several_workers(root: Path) -> bool:
    """Whether a Dockerfile, a Procfile, a compose file, a settings file or a script starts more than one."""
    return any(
        _COMPUTED.search(text) is not None or any(int(number) > 1 for number in _NUMBER.findall(text))
        for text in _texts(root)
    )


def _texts(root: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        deep = len(here.relative_to(root).parts) >= _DEEPEST
        folders[:] = [] if deep else [name for name in folders if name not in _SKIPPED and not name.startswith(".")]
        for name in files:
            path = here / name
            if _FILES.match(name) and path.is_file() and path.stat().st_size < _LARGEST:
                yield path.read_text("utf-8", "replace")
