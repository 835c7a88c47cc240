"""Who owns files: CODEOWNERS, as GitHub, GitLab and Gitea read it (the last line that fits a file counts)."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from pathspec import GitIgnoreSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from autolock.pulls.git import Repository

_PLACES = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS", ".gitea/CODEOWNERS")
_SECTION = re.compile(r"\^?\[[^\]]*\]")


def owners_of(repository: Repository, commit: str, paths: Sequence[str]) -> list[str]:
    """The accounts (and `owner/team`s) that own the files, each once; addresses, which name nobody, are passed over."""
    text = next((t for t in (repository.text(commit, place) for place in _PLACES) if t is not None), "")
    rules = list(_rules(text))
    found: dict[str, None] = {}
    for path in paths:
        owners = next((owners for spec, owners in reversed(rules) if spec.match_file(path)), [])
        found.update(dict.fromkeys(owners))
    return list(found)


def _rules(text: str) -> Iterator[tuple[GitIgnoreSpec, list[str]]]:
    for line in text.splitlines():
        words = line.partition(" #")[0].split()
        if not words or words[0].startswith("#") or _SECTION.match(line):
            continue
        names = [word.lstrip("@") for word in words[1:] if word.startswith("@")]
        with contextlib.suppress(ValueError):  # no pattern, and so no file
            yield GitIgnoreSpec.from_lines([words[0]]), names
