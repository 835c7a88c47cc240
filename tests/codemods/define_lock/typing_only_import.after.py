from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

hits: dict[str, int] = {}
hits_lock = asyncio.Lock()
