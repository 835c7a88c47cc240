"""A baseline: the findings that were there when a project began to use autolock, so that only new ones fail.

The file is JSON, sorted, one finding a line, so that it changes as little as the findings do and
merges well. Findings are known again by their fingerprint, which lines added above do not change;
rule, path and function are for the person who reads it. A fingerprint that occurs twice counts twice.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, NamedTuple

from autolock.errors import AutolockError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from autolock.findings import Finding

_VERSION = 1


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One recorded finding."""

    path: str
    rule: str
    function: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Baseline:
    """The recorded findings, in order."""

    entries: tuple[Entry, ...] = ()


class Split(NamedTuple):
    """Findings held against a baseline: those it does not know, how many it knows, and its entries that are gone."""

    new: tuple[Finding, ...]
    known: int
    gone: tuple[Entry, ...]


def read_baseline(path: Path) -> Baseline:
    """Read a baseline. Raises AutolockError when the file is missing, unreadable or not a baseline."""
    try:
        document = json.loads(path.read_bytes())
        if document["version"] != _VERSION:
            raise AutolockError(
                f"{path}: baseline version {document['version']!r} is not known to this autolock",
                "record it anew with --write-baseline",
            )
        entries = tuple(_entry(item) for item in document["findings"])
    except FileNotFoundError:
        raise AutolockError(f"{path}: no such baseline", "record one with --write-baseline") from None
    except OSError as error:
        raise AutolockError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise AutolockError(f"{path}: not a baseline", "record it anew with --write-baseline") from None
    return Baseline(entries)


def _entry(item: dict[str, object]) -> Entry:
    """Raises KeyError or TypeError for anything but an entry."""
    values = {name: item[name] for name in Entry.__slots__}
    if not all(isinstance(value, str) for value in values.values()):
        raise TypeError
    return Entry(**{name: str(value) for name, value in values.items()})


def write_baseline(path: Path, findings: Iterable[Finding]) -> None:
    """Record findings in a file, whole or not at all. Raises AutolockError when it cannot be written."""
    entries = sorted(
        Entry(finding.place.path, finding.rule, finding.place.function, finding.fingerprint) for finding in findings
    )
    lines = ",\n".join(f"    {json.dumps(asdict(entry))}" for entry in entries)
    listed = f"[\n{lines}\n  ]" if entries else "[]"
    text = f'{{\n  "version": {_VERSION},\n  "findings": {listed}\n}}\n'
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        beside.write_bytes(text.encode())
        beside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise AutolockError(f"{path}: the baseline cannot be written: {error.strerror}") from None


def split(findings: Sequence[Finding], baseline: Baseline) -> Split:
    """Divide findings into new and known.

    Of findings with one fingerprint as many are known as the baseline has entries for it, the first
    ones first. Entries are gone only with regard to what was checked: a run on a part of the project
    makes those of the rest look gone.
    """
    left = Counter(entry.fingerprint for entry in baseline.entries)
    new: list[Finding] = []
    for finding in findings:
        if left[finding.fingerprint] > 0:
            left[finding.fingerprint] -= 1
        else:
            new.append(finding)
    gone: list[Entry] = []
    for entry in reversed(baseline.entries):
        if left[entry.fingerprint] > 0:
            left[entry.fingerprint] -= 1
            gone.append(entry)
    return Split(tuple(new), len(findings) - len(new), tuple(reversed(gone)))
