"""What the analysis says of random applications, against every interleaving of their requests played by brute force."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from random_applications import Author, handlers_of, loses_updates, program

import autolock

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("seed", range(60))
def test_a_race_is_found_where_one_is_and_is_gone_after_the_fix(seed: int, tmp_path: Path) -> None:
    handlers = Author(random.Random(seed)).application()
    text = program(handlers)
    assert handlers_of(text) == handlers
    main = tmp_path / "main.py"
    main.write_text(text, encoding="utf-8")

    findings = autolock.check([tmp_path], cache=False).findings
    # AL105 is about what a reader sees between two changes; the brute force looks at what is left in the end.
    races = [f for f in findings if f.certainty.value == "race" and f.rule != "AL105"]
    assert bool(races) == loses_updates(handlers), text

    autolock.fix([tmp_path], apply=True, allow_dirty=True, cache=False)
    if not autolock.check([tmp_path], cache=False).findings:
        mended = main.read_text(encoding="utf-8")
        assert not loses_updates(handlers_of(mended)), mended
