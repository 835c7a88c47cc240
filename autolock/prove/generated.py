"""Tests for the races that were witnessed: plain pytest, which fails as long as the race is there."""

from __future__ import annotations

import os
import pprint
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import black

from autolock.prove.application import Application
from autolock.prove.bundle import bundled
from autolock.prove.proof import Proof, Trial, Verdict
from autolock.prove.scenario import Scenario
from autolock.prove.stage.racing import difference_lines, step_lines
from autolock.prove.telling import slug, title_of, worth_telling

SUPPORT = "race_support.py"
_WIDTH = 110

_TEST = '''"""{title}

Written by `autolock prove --write-tests`. {what}

{story}
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from race_support import Race  # noqa: E402

RACE = Race(
{fields})


def test_{name}() -> None:
    RACE.check()
'''


_AT_ONCE = """It sends these requests at once and lets them go on as is told here, which
fails while the race is there; then in other ways, and passes when all end as in some order, one after the other."""
_FAILING = """It lets the first request fail at each of its steps, and sends the second after it.
It passes when a request that fails leaves nothing half done, and no lock taken."""
_CROWD = """It sends this request many times. It passes when no number of them stands in the way of another one."""


@dataclass(frozen=True)
class GeneratedTests:
    """Writes tests into a folder. `root` is the project, `application` what is played, `scenario` how."""

    folder: Path
    root: Path
    application: Application
    scenario: Scenario

    def write(self, proofs: Sequence[Proof]) -> list[Path]:
        """A test for each race that was witnessed before its fix, and the support module; none where there is none.

        Returns what was written.
        """
        sources = dict(source for proof in proofs if (source := self._source(proof)) is not None)
        if not sources:
            return []
        self.folder.mkdir(parents=True, exist_ok=True)
        written = []
        for name, text in {**sources, SUPPORT: bundled()}.items():
            path = self.folder / name
            path.write_text(text, encoding="utf-8", newline="\n")
            written.append(path)
        return written

    def _source(self, proof: Proof) -> tuple[str, str] | None:
        """The name and the text of the test for a proof; None where it could not tell before from after."""
        trial = proof.before.decisive if proof.before is not None else None
        if proof.before is None or trial is None or proof.before.verdict is not Verdict.WITNESSED:
            return None
        if trial.answers_only and (proof.after is None or proof.after.verdict is not Verdict.HELD):
            return None
        name = slug(proof.subject)
        text = _TEST.format(
            title=_title(proof),
            what=_FAILING if trial.race.failing else _CROWD if trial.race.crowd else _AT_ONCE,
            story=_escaped(textwrap.indent("\n".join(_story(trial)), "    ")),
            fields="".join(self._fields(trial, proof.before.environment)),
            name=name,
        )
        return f"test_{name}.py", black.format_str(text, mode=black.Mode(line_length=_WIDTH))

    def _fields(self, trial: Trial, environment: dict[str, str]) -> Iterator[str]:
        schedule = "".join(chr(ord("A") + lane) for lane in trial.result["witness"]["choices"])
        yield f"    app={self.application.name!r},\n"
        yield f"    root=str(HERE / {os.path.relpath(self.root, self.folder).replace(os.sep, '/')!r}),\n"
        if self.application.folder != ".":
            yield f"    folder={self.application.folder!r},\n"
        if not trial.race.failing and not trial.race.crowd:
            yield f"    schedule={schedule!r},\n"
        fields: dict[str, Any] = {
            "before": [*self.scenario.setup, *trial.race.prelude],
            "requests": list(trial.race.requests),
            "answers_matter": trial.answers_only or trial.race.answers_matter,
            "failing": trial.race.failing,
            "crowd": trial.race.crowd,
            "at_once": trial.race.at_once,
            "apart": trial.race.apart,
            "instances": trial.race.instances if trial.race.instances > 1 else 0,
            "environment": environment,
            "overrides": self.scenario.overrides,
            "invariants": self.scenario.invariants,
            "allow": list(self.scenario.allow),
            "ignore": list(self.scenario.ignore),
        }
        for name, value in fields.items():
            if value:
                text = pprint.pformat(value, width=_WIDTH - len(name), sort_dicts=False)
                yield textwrap.indent(f"{name}={text},\n", "    ")


def _title(proof: Proof) -> str:
    finding = proof.subject.finding
    if finding is None:
        return f"{proof.subject.title}: two requests at once end as in no order."
    return f"{finding.rule} {finding.name} in {finding.place.function} ({finding.place.path})."


def _story(trial: Trial) -> Iterator[str]:
    witness = trial.result["witness"]
    for number, request in enumerate(trial.race.requests):
        yield f"{chr(ord('A') + number)} sends {title_of(request)}"
    yield ""
    yield from step_lines(worth_telling(trial))
    yield ""
    yield from difference_lines(witness)
    if not witness["differences"]:
        yield witness["why"]


def _escaped(text: str) -> str:
    """Text as it may stand in a docstring."""
    lines = (line.rstrip() for line in text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"').splitlines())
    return "\n".join(line if len(line) <= _WIDTH else f"{line[: _WIDTH - 3]}..." for line in lines)
