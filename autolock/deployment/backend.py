"""What holds a lock where the rows to be locked are not there yet."""

from __future__ import annotations

from enum import Enum


class LockBackend(str, Enum):
    """`postgres`: advisory locks, for which every process and instance on the database waits."""

    POSTGRES = "postgres"
