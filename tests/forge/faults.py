"""What goes wrong on purpose. A fault waits for a request that it fits, and acts on it a number of times."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Kind(Enum):
    """What becomes of the request and of its answer."""

    ANSWER = "answered otherwise"
    DROP = "connection closed"
    CUT = "closed in the middle of the answer"
    SLOW = "answered late"
    MEANWHILE = "something else happened"


@dataclass(eq=False)
class Fault:
    """One fault. With `after` the request takes effect first, and only its answer is lost."""

    kind: Kind
    method: str
    path: str
    after: bool = False
    times: int | None = 1
    skip: int = 0
    status: int = 502
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    action: Callable[[], object] | None = None
    hits: int = 0

    def takes(self, method: str, path: str) -> bool:
        """Whether it acts on this request; counts what it lets pass and what it takes."""
        if self.method not in ("*", method) or not self._ending.search(path) or self.is_spent:
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.hits += 1
        return True

    @property
    def is_spent(self) -> bool:
        return self.times is not None and self.hits >= self.times

    @property
    def _ending(self) -> re.Pattern[str]:
        return re.compile(re.escape(self.path).replace(r"\*", "[^/]+") + "$")
