"""Diffs for a terminal: coloured, and each under the reason for it."""

from autolock.deliver.patch import unified_diff
from autolock.findings import Rewrite, Safety
from autolock.report.lines import clean

_RESET = "\x1b[0m"
_BOLD = "\x1b[1m"
_DIM = "\x1b[2m"
_YELLOW = "\x1b[33m"
_STYLES = (
    ("--- ", _BOLD),
    ("+++ ", _BOLD),
    ("@@ ", "\x1b[36m"),
    ("+", "\x1b[32m"),
    ("-", "\x1b[31m"),
    ("\\", _DIM),
)


def headed(rewrite: Rewrite, context: int, *, color: bool) -> str:
    """One fix: its title, its reason, its diff."""
    unsafe = " (unsafe)" if rewrite.safety is Safety.UNSAFE else ""
    title, reason = clean(rewrite.title + unsafe), clean(rewrite.reason)
    patch = unified_diff(rewrite.changes, context)
    if not color:
        return f"{title}\n  {reason}\n\n{_text(patch)}\n"
    style = _BOLD + _YELLOW if unsafe else _BOLD
    return f"{style}{title}{_RESET}\n{_DIM}  {reason}{_RESET}\n\n{colored(patch)}\n"


def colored(patch: bytes) -> str:
    """A unified diff with a colour a kind of line."""
    return "".join(_styled(line) for line in _text(patch).splitlines(keepends=True))


def _text(patch: bytes) -> str:
    """The diff as it can be shown: what a terminal would obey is escaped, carriage returns are left out."""
    lines = patch.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    return "\n".join(clean(line) if "\t" not in line else "\t".join(map(clean, line.split("\t"))) for line in lines)


def _styled(line: str) -> str:
    style = next((style for start, style in _STYLES if line.startswith(start)), "")
    text = line.rstrip("\n")
    return f"{style}{text}{_RESET}{line[len(text) :]}" if style else line
