"""A small repository before and after a run of three files, one of them behind a link."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from unittest.mock import patch

import pytest
from disk_faults import Fault, run_killed

from autolock.deliver.apply import apply_changes
from autolock.deliver.journal import Recovery, recover
from autolock.findings import FileChange

CHANGES = (
    FileChange("app/store.py", b"stock = {}\r\n", b"import asyncio\r\nstock = {}\r\nlock = asyncio.Lock()\r\n"),
    FileChange("app/main.py", b"def main(): ...", b"async def main(): ..."),
    FileChange("linked.py", b"\xffshared", b"\xffshared, locked\n"),
)
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")


class Repo:
    """A folder with the files before, and what can be asked of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cache = root / ".autolock_cache"
        self.reset()

    def reset(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        (self.root / "app").mkdir(parents=True)
        (self.root / "lib").mkdir()
        (self.root / "linked.py").symlink_to("lib/shared.py")
        (self.root / "lib/shared.py").touch()
        for change in CHANGES:
            (self.root / change.path).write_bytes(change.before)
        (self.root / "app/store.py").chmod(0o640)

    def apply(self) -> tuple[str, ...]:
        return apply_changes(self.root, CHANGES, self.cache, allow_dirty=False).paths

    def recover(self) -> Recovery:
        return recover(self.root, self.cache)

    def read(self) -> dict[str, bytes]:
        """Every file outside the cache folder; one that a run forgot would show."""
        files = (path for path in self.root.rglob("*") if self.cache not in path.parents and path.is_file())
        return {path.relative_to(self.root).as_posix(): path.read_bytes() for path in files}

    def die_half_applied(self) -> None:
        """Leaves what a process leaves that is killed when it has written the first file of three."""
        replace = os.replace

        def replace_or_die(source: Path, target: Path) -> None:
            if Path(target).name == "main.py":
                os.kill(os.getpid(), signal.SIGKILL)
            replace(source, target)

        with patch.object(os, "replace", replace_or_die):
            assert run_killed(self.apply, Fault.NONE, 0)
        assert self.read()["app/store.py"] == AFTER["app/store.py"]
        assert self.read()["app/main.py"] == BEFORE["app/main.py"]

    def runs(self) -> list[str]:
        return sorted(os.listdir(self.cache / "runs")) if (self.cache / "runs").exists() else []


BEFORE = {change.path: change.before for change in CHANGES} | {"lib/shared.py": CHANGES[2].before}
AFTER = {change.path: change.after for change in CHANGES} | {"lib/shared.py": CHANGES[2].after}
