"""`autolock fix --interactive`: the questions and their answers."""

import os
import shlex
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from autolock.cli.console import emit, say, use_color
from autolock.cli.diffs import headed
from autolock.findings import FileChange, Finding, Rewrite
from autolock.rewrite import Quit
from codemods.parsing import parse

_QUESTION = "Take this fix? [y]es, [n]o, [a]ll of this rule, [e]dit, [q]uit: "


class Chooser:
    """Asks about one fix after the other, as `autolock.fix(choose=...)` wants it."""

    def __init__(self, context: int) -> None:
        self._context = context
        self._taken_rules: set[str] = set()

    def __call__(self, rewrite: Rewrite, findings: tuple[Finding, ...]) -> Rewrite | None:
        """The fix as it is to be taken, or None. Raises Quit when the user wants no more."""
        rules = {finding.rule for finding in findings}
        if rules and rules <= self._taken_rules:
            return rewrite
        while True:
            emit(_findings(findings) + headed(rewrite, self._context, color=use_color()))
            answer = _ask()
            if answer == "y":
                return rewrite
            if answer == "n":
                return None
            if answer == "a":
                self._taken_rules |= rules
                return rewrite
            if answer == "q":
                raise Quit
            rewrite = _edited(rewrite)


def _findings(findings: tuple[Finding, ...]) -> str:
    return "".join(f"{f.place.path}:{f.place.line}: {f.rule} {f.name}: {f.message}\n" for f in findings)


def _ask() -> str:
    """One of y, n, a, e and q; the end of the input is q."""
    while True:
        print(_QUESTION, end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        answer = line.strip().lower()[:1] if line else "q"
        if answer and answer in "ynaeq":
            return answer
        say("answer with y, n, a, e or q")


def _edited(rewrite: Rewrite) -> Rewrite:
    """The fix with what the user's editor makes of its files; as it was where that does not work out."""
    with tempfile.TemporaryDirectory(prefix="autolock-") as folder:
        copies = [_copy(Path(folder), change) for change in rewrite.changes]
        if not _run_editor(copies):
            return rewrite
        changes = tuple(
            replace(change, after=copy.read_bytes()) for change, copy in zip(rewrite.changes, copies, strict=True)
        )
    wrong = [complaint for change in changes if (complaint := _complaint(change))]
    for complaint in wrong:
        say(f"autolock: {complaint}; the edit is dropped")
    return rewrite if wrong else replace(rewrite, changes=changes)


def _copy(folder: Path, change: FileChange) -> Path:
    copy = folder / change.path
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_bytes(change.after)
    return copy


def _run_editor(files: list[Path]) -> bool:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        code = subprocess.run([*shlex.split(editor), *map(str, files)], check=False).returncode
    except (OSError, ValueError) as error:
        say(f"autolock: {editor}: cannot be run ({error}); set EDITOR to an editor")
        return False
    if code:
        say(f"autolock: {editor}: ended with code {code}; the edit is dropped")
    return code == 0


def _complaint(change: FileChange) -> str:
    try:
        parse(change.after)
    except (SyntaxError, ValueError, RecursionError) as error:
        return f"{change.path}: does not parse any more: {error}"
    return ""
