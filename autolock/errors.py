"""The one exception that reaches the user as a line of text."""

from __future__ import annotations


class AutolockError(Exception):
    """Something is wrong that a person can mend; printed as one line, exit code 2.

    `message` names the file and what is wrong, `hint` what to do.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}; {hint}" if hint else message)
        self.message = message
        self.hint = hint
