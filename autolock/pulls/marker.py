"""The hidden comment in a pull request's body, by which autolock knows it again."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import asdict, dataclass

_MARKER = re.compile(r"<!-- autolock:pull ([A-Za-z0-9+/=]+) -->")


@dataclass(frozen=True, slots=True)
class Marker:
    """What a pull request is about, and the last commit that autolock has pushed to its branch.

    The body is written before the branch is pushed, so after a crash in between the branch is still at `previous`.
    `title` is the one that autolock has given: another one is somebody's choice. `settled` is whether labels, reviewers
    and assignees have been asked for, once and for all. `within` is the folder or file that was looked at.
    """

    group: str
    rules: tuple[str, ...]
    fingerprints: tuple[str, ...]
    head: str
    previous: str
    title: str
    version: str
    settled: bool = True
    within: str = "."

    def __str__(self) -> str:
        data = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return f"<!-- autolock:pull {base64.b64encode(data.encode()).decode('ascii')} -->"


def marker_in(body: str) -> Marker | None:
    """The marker of a body; None where there is none that can be read.

    The last one counts: text that somebody has quoted above does not.
    """
    found = _MARKER.findall(body)
    if not found:
        return None
    try:
        data = json.loads(base64.b64decode(found[-1], validate=True))
        return Marker(
            group=str(data["group"]),
            rules=tuple(map(str, data["rules"])),
            fingerprints=tuple(map(str, data["fingerprints"])),
            head=str(data["head"]),
            previous=str(data["previous"]),
            title=str(data["title"]),
            version=str(data["version"]),
            settled=bool(data["settled"]),
            within=str(data.get("within", ".")),
        )
    except (ValueError, KeyError, TypeError):
        return None
