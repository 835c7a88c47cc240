"""A process in which an application is played, seen from outside."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from autolock.errors import AutolockError
from autolock.prove.stage.wire import Wire
from autolock.prove.warden import guarded

_STAGE = Path(__file__).parent / "stage"
_MEBI = 1024 * 1024


class PlayFailed(AutolockError):
    """The application could not be played; the message says why in one line."""


class Actor:
    """A stage in a process of its own. As a context manager it leaves no process behind.

    `answers` are the questions that the stage may ask: a database that is kept on this side.
    """

    def __init__(
        self,
        python: str,
        folder: Path,
        env: dict[str, str],
        answers: dict[str, Callable[[], Any]] | None = None,
        *,
        seconds: float = 120.0,
        mebibytes: int = 4096,
    ) -> None:
        ours, theirs = socket.socketpair()
        ours.settimeout(seconds)
        self._socket = ours
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the actor)
        self._answers = answers or {}
        self._process = subprocess.Popen(
            [python, "-X", "utf8", str(_STAGE), str(theirs.fileno())],
            cwd=folder,
            env={**os.environ, **env, "PYTHONDONTWRITEBYTECODE": "1"},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: _limit_memory(mebibytes),
        )
        theirs.close()
        self._guard = guarded("group", self._process.pid)
        self._wire = Wire(ours)

    def __enter__(self) -> Actor:
        self._guard.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._socket.close()
        try:
            self._process.wait(0.5)
        except subprocess.TimeoutExpired:
            _end_group(self._process)
        self._guard.__exit__(kind, error, tb)
        self._output.close()

    def do(self, command: str, **more: Any) -> dict[str, Any]:
        """Send a command and wait for its answer.

        Raises PlayFailed with what the stage, or the dying process, said.
        """
        try:
            self._wire.send({"do": command, **more})
            while True:
                message = self._wire.receive()
                if "ask" not in message:
                    break
                self._wire.send({"answer": self._answers[message["ask"]]()})
        except TimeoutError as error:
            _end_group(self._process)
            raise PlayFailed("the application did not answer within its time limit") from error
        except (EOFError, OSError) as error:
            raise PlayFailed(f"the application's process ended: {self._last_words()}") from error
        if "error" in message:
            raise PlayFailed(message["error"])
        answer: dict[str, Any] = message["answer"]
        return answer

    def _last_words(self) -> str:
        self._output.seek(0)
        lines = self._output.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else f"exit code {self._process.poll()}"


def _limit_memory(mebibytes: int) -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (mebibytes * _MEBI, mebibytes * _MEBI))


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End the process and what it has started: it leads a session of its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
