"""autolock finds race conditions in FastAPI applications and rewrites them.

    import autolock

    report = autolock.check(["src"])
    for finding in report.findings:
        print(finding.place.path, finding.place.line, finding.message)

docs/python-api.md describes the functions and the report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from autolock.api import check, combined, fix, remaining, routes, standalone, undo
    from autolock.errors import AutolockError
    from autolock.findings import Finding, Report, Rewrite

__all__ = [
    "AutolockError",
    "Finding",
    "Report",
    "Rewrite",
    "__version__",
    "check",
    "combined",
    "fix",
    "remaining",
    "routes",
    "standalone",
    "undo",
]

_HOMES = {
    "AutolockError": "autolock.errors",
    "Finding": "autolock.findings",
    "Report": "autolock.findings",
    "Rewrite": "autolock.findings",
    "check": "autolock.api",
    "combined": "autolock.api",
    "fix": "autolock.api",
    "remaining": "autolock.api",
    "routes": "autolock.api",
    "standalone": "autolock.api",
    "undo": "autolock.api",
}


def __getattr__(name: str) -> object:
    """Import what is asked for, and no more: the command line starts faster than all of it loads."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
    return value
