"""The two sides of a proof speak in lines of JSON over one socket.

The side where autolock runs sends commands; the stage answers each with `{"answer": ...}` or `{"error": ...}`. While it
plays, the stage may itself ask for things (`{"ask": ...}`) and report steps (`{"progress": ...}`).
"""

from __future__ import annotations

import json
import socket
from typing import Any


class Wire:
    """One end of the connection. Raises EOFError when the other end is gone."""

    def __init__(self, connection: socket.socket) -> None:
        self._file = connection.makefile("rwb")

    def send(self, message: dict[str, Any]) -> None:
        """Send one message."""
        self._file.write(json.dumps(message, default=str).encode() + b"\n")
        self._file.flush()

    def receive(self) -> dict[str, Any]:
        """Wait for one message."""
        line = self._file.readline()
        if not line:
            raise EOFError("the other side has ended")
        message: dict[str, Any] = json.loads(line)
        return message

    def ask(self, question: str, **more: Any) -> Any:
        """Ask the other side for something, and wait for what it gives."""
        self.send({"ask": question, **more})
        return self.receive()["answer"]
