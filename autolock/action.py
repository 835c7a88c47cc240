"""What the GitHub Action runs: its inputs are in the environment, its outputs and summary go where GitHub says.

Nothing of an input becomes part of a shell command.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path

from autolock.errors import AutolockError
from autolock.report.markdown import fence_round

MODES = ("check", "diff", "fix", "pr", "review")
_COULD_NOT_RUN = 2
#: GitHub takes no longer summaries of a step.
_LONGEST_SUMMARY = 1_000_000
_ESCAPED = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_URL = re.compile(r"https?://\S+$", re.MULTILINE)


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Do what the inputs say, and return the exit code of the step."""
    try:
        return _Action(environment).run()
    except AutolockError as error:
        print(f"::error::{str(error).translate(_ESCAPED)}")
        return _COULD_NOT_RUN


class _Action:
    """One run of the action."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._mode = self._input("mode") or "check"
        if self._mode not in MODES:
            raise AutolockError(f"mode must be one of {', '.join(MODES)}, not {self._mode!r}")

    def run(self) -> int:
        """Report, then do what the mode asks for."""
        findings = self._reported()
        deed = {"diff": self._diff, "fix": self._fix, "pr": self._pr, "review": self._review}.get(self._mode)
        code = deed() if deed is not None else (1 if findings else 0)
        if code == 1 and self._mode in ("check", "diff", "review") and not self._is_on("fail", default=True):
            return 0
        return code

    def _reported(self) -> int:
        """Write the findings as SARIF, as annotations and into the summary; returns how many there are."""
        sarif = self._input("sarif") or "autolock.sarif"
        self._autolock("check", *self._filters(), "--format", "sarif", "--output", sarif)
        self._output("sarif", sarif)
        found = self._autolock("check", *self._filters(), "--format", "github")
        print(found.stdout, end="")
        with tempfile.TemporaryDirectory() as folder:
            summary = Path(folder) / "summary.md"
            self._autolock("check", *self._filters(), "--format", "markdown", "--output", str(summary))
            self._summarise(summary.read_text(encoding="utf-8"))
        count = len(re.findall(r"^::(?:error|warning|notice) ", found.stdout, re.MULTILINE))
        self._output("findings", str(count))
        return count

    def _diff(self) -> int:
        made = self._autolock("fix", *self._filters(), *self._unsafe())
        _show(made.stdout)
        fence = fence_round(made.stdout)
        if made.stdout:
            self._summarise(f"{fence}diff\n{made.stdout}{fence}\n")
        self._output("fixed", str(len(re.findall(r"^\+\+\+ ", made.stdout, re.MULTILINE))))
        return made.returncode

    def _fix(self) -> int:
        made = self._autolock("fix", *self._filters(), *self._unsafe(), "--apply")
        _show(made.stdout)
        self._output("fixed", str(len(re.findall(r"^fixed ", made.stdout, re.MULTILINE))))
        return 0

    def _pr(self) -> int:
        options = [f"--{name}={self._input(name)}" for name in ("group", "base") if self._input(name)]
        rules = [f"--{name}={self._input(name)}" for name in ("select", "ignore") if self._input(name)]
        made = self._autolock("pr", self._path(), *options, *rules)
        _show(made.stdout)
        urls = _URL.findall(made.stdout)
        self._output("fixed", str(len(urls)))
        self._output("pull-request-url", urls[0] if urls else "")
        self._summarise("".join(f"* {line}\n" for line in made.stdout.splitlines()))
        return made.returncode

    def _review(self) -> int:
        rules = [f"--{name}={self._input(name)}" for name in ("select", "ignore", "severity") if self._input(name)]
        made = self._autolock("review", self._path(), *rules)
        _show(made.stdout)
        return made.returncode

    def _filters(self) -> list[str]:
        named = ("select", "ignore", "severity", "certainty")
        return [self._path(), *(f"--{name}={self._input(name)}" for name in named if self._input(name))]

    def _path(self) -> str:
        path = self._input("path") or "."
        return f"./{path}" if path.startswith("-") else path

    def _unsafe(self) -> list[str]:
        return ["--unsafe"] if self._is_on("unsafe", default=False) else []

    def _autolock(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run autolock; what it complains about is passed on. Raises AutolockError where it could not run."""
        done = subprocess.run(
            [sys.executable, "-m", "autolock", *arguments], env=dict(self._environment), capture_output=True, text=True
        )
        sys.stderr.write(done.stderr)
        if done.returncode not in (0, 1):
            complaint = done.stderr.strip().splitlines()
            raise AutolockError(complaint[-1].removeprefix("autolock: ") if complaint else "autolock could not run")
        return done

    def _input(self, name: str) -> str:
        return self._environment.get(f"AUTOLOCK_{name.upper()}", "").strip()

    def _is_on(self, name: str, *, default: bool) -> bool:
        text = self._input(name).lower() or str(default).lower()
        if text not in ("true", "false"):
            raise AutolockError(f"{name} must be true or false, not {text!r}")
        return text == "true"

    def _output(self, name: str, value: str) -> None:
        self._append("GITHUB_OUTPUT", f"{name}={' '.join(value.split())}\n")

    def _summarise(self, text: str) -> None:
        self._append("GITHUB_STEP_SUMMARY", f"{text[:_LONGEST_SUMMARY]}\n")

    def _append(self, name: str, text: str) -> None:
        file = self._environment.get(name, "")
        if file:
            with open(file, "a", encoding="utf-8") as stream:
                stream.write(text)


def _show(text: str) -> None:
    """Print what may hold anything that stands in files: nothing of it is a command to the runner."""
    if text:
        token = uuid.uuid4().hex
        print(f"::stop-commands::{token}\n{text.rstrip()}\n::{token}::")


if __name__ == "__main__":
    sys.exit(main())
