"""What people may ask of autolock in a comment: `@autolock recreate`, at the beginning of a line."""

from __future__ import annotations

import re

COMMANDS = ("rebase", "recreate", "ignore", "explain")
#: Said in a closed pull request by somebody who may push, this asks for its findings again.
AGAIN = "recreate"
# Neither what is quoted ("> ...") nor what stands in a code block that is only indented.
_COMMAND = re.compile(rf"^ {{0,3}}@autolock[ \t]+({'|'.join(COMMANDS)})\b", re.MULTILINE | re.IGNORECASE)
_FENCED = re.compile(r"^ {0,3}(```+|~~~+).*?(?:^ {0,3}\1|\Z)", re.MULTILINE | re.DOTALL)


def command_in(text: str) -> str:
    """The command that a comment gives, the first where there are more; empty for none."""
    found = _COMMAND.search(_FENCED.sub("", text))
    return found[1].lower() if found else ""
