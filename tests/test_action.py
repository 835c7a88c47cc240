"""The GitHub Action, the pre-commit hooks and the container file: what of them can be run here is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli_runner import CLEAN, COUNTER

ROOT = Path(__file__).parent.parent


@pytest.fixture
def action() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
    return loaded


class Job:
    """A step of a job, run in a shell with the action's own script, as GitHub would with these inputs."""

    def __init__(self, action: dict[str, Any], folder: Path) -> None:
        self.folder = folder
        self._action = action
        # The environment that the first step makes is that of these tests.
        python = folder / "runner" / "autolock" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.symlink_to(sys.executable)

    def run(self, **inputs: str) -> tuple[int, dict[str, str], str, str]:
        """The exit code, the outputs, the summary and what was printed."""
        given = {name: str(about.get("default", "")) for name, about in self._action["inputs"].items()} | inputs
        step = self._action["runs"]["steps"][-1]
        environment = {name: _filled(value, given) for name, value in step["env"].items()}
        files = {name: self.folder / "runner" / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for file in files.values():
            file.write_text("")
        done = subprocess.run(
            ["bash", "-e", "-c", step["run"]],
            cwd=self.folder / "repository",
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(sys.path),
                "RUNNER_TEMP": str(self.folder / "runner"),
                **{name: str(file) for name, file in files.items()},
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        outputs = dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().splitlines())
        return done.returncode, outputs, files["GITHUB_STEP_SUMMARY"].read_text(), done.stdout + done.stderr


def _filled(expression: str, given: dict[str, str]) -> str:
    return re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda match: given[match[1]], expression)


@pytest.fixture
def job(action: dict[str, Any], tmp_path: Path) -> Job:
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository" / "app.py").write_text(COUNTER)
    return Job(action, tmp_path)


def test_check_fails_the_job_and_says_where(job: Job) -> None:
    code, outputs, summary, printed = job.run()
    assert code == 1
    assert outputs["findings"] == "1"
    assert "AL101" in summary
    assert "::error file=app.py" in printed
    assert (job.folder / "repository" / outputs["sarif"]).read_text().startswith("{")


def test_findings_need_not_fail_the_job(job: Job) -> None:
    assert job.run(fail="false")[0] == 0


def test_nothing_found(job: Job) -> None:
    (job.folder / "repository" / "app.py").write_text(CLEAN)
    code, outputs, _, _ = job.run()
    assert (code, outputs["findings"]) == (0, "0")


def test_diff_shows_and_fix_writes(job: Job) -> None:
    file = job.folder / "repository" / "app.py"
    code, outputs, summary, _ = job.run(mode="diff")
    assert (code, outputs["fixed"]) == (1, "1")
    assert "```diff" in summary
    assert file.read_text() == COUNTER
    code, outputs, _, _ = job.run(mode="fix")
    assert (code, outputs["fixed"]) == (0, "1")
    assert "counter_lock" in file.read_text()


@pytest.mark.parametrize(
    "text", ["$(touch pwned)", "; touch pwned", '"; touch pwned; "', "--output=pwned", "`touch pwned`"]
)
def test_an_input_is_never_run(job: Job, text: str) -> None:
    job.run(select=text)
    job.run(path=text)
    assert not (job.folder / "repository" / "pwned").exists()


@pytest.mark.parametrize("wrong", [{"mode": "destroy"}, {"unsafe": "maybe", "mode": "diff"}, {"select": "AL999"}])
def test_a_wrong_input_is_one_line(job: Job, wrong: dict[str, str]) -> None:
    code, _, _, printed = job.run(**wrong)
    assert code == 2
    assert "::error::" in printed
    assert "Traceback" not in printed


def test_every_input_reaches_the_script_through_the_environment(action: dict[str, Any]) -> None:
    steps = action["runs"]["steps"]
    assert all("${{" not in step["run"] for step in steps)
    passed = " ".join(str(value) for step in steps for value in step["env"].values())
    assert all(f"inputs.{name} " in passed for name in action["inputs"])


def test_the_action_is_as_github_describes_actions() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "check_jsonschema",
            "--builtin-schema",
            "vendor.github-actions",
            str(ROOT / "action.yml"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_hooks_are_given_no_files_and_run_one_at_a_time() -> None:
    hooks = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    assert set(hooks) == {"autolock", "autolock-fix"}
    for hook in hooks.values():
        assert hook["pass_filenames"] is False
        assert hook["require_serial"] is True


def test_the_container_runs_as_nobody_in_particular() -> None:
    lines = (ROOT / "Containerfile").read_text().splitlines()
    stages = [line for line in lines if line.startswith("FROM ")]
    assert len(stages) == 2
    last = lines[lines.index(stages[-1]) :]
    users = [line for line in last if line.startswith("USER ")]
    assert users == ["USER autolock"]
    assert any("git" in line for line in last)
