"""One file a database library: its calls, translated into reads, writes and transactions."""

from __future__ import annotations

from typing import cast

from autolock import registry
from autolock.database.adapters.base import Adapter


def adapters() -> list[type[Adapter]]:
    """The adapters that are installed, in the order of their names."""
    return [cast("type[Adapter]", made) for _, made in sorted(registry.adapters().items())]
