"""Witnesses as Nuclei templates, for those who test from outside: the same requests, sent at once.

https://docs.projectdiscovery.io/templates/protocols/http/race-conditions
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from autolock.prove.proof import Proof, Trial, Verdict
from autolock.prove.requests import RequestDoc
from autolock.prove.telling import differences, slug


@dataclass(frozen=True)
class NucleiTemplates:
    """Writes a template for each witness into a folder; `setup` is what a scenario sends first."""

    folder: Path
    setup: tuple[RequestDoc, ...] = ()

    def write(self, proofs: Sequence[Proof]) -> list[Path]:
        """Write them, and return what was written."""
        written = []
        for proof in proofs:
            trial = proof.before.decisive if proof.before is not None else None
            if trial is None or not _can_be_sent(trial):
                continue
            if proof.before is not None and proof.before.verdict is Verdict.WITNESSED:
                self.folder.mkdir(parents=True, exist_ok=True)
                path = self.folder / f"{slug(proof.subject)}.yaml"
                lines = _template(proof, trial, (*self.setup, *trial.race.prelude))
                path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
                written.append(path)
        return written


def _can_be_sent(trial: Trial) -> bool:
    """Whether requests over HTTP, sent at once, are all that the witness needs."""
    sockets = any(request["method"] == "WEBSOCKET" for request in trial.race.requests)
    return not (trial.race.failing or trial.race.crowd or trial.race.apart or sockets)


def _template(proof: Proof, trial: Trial, before: tuple[RequestDoc, ...]) -> Iterator[str]:
    """The lines of a template. Texts are written as JSON, which is YAML too."""
    finding = proof.subject.finding
    witness = trial.result["witness"]
    statuses = sorted({answer["status"] for answer in witness["responses"] if answer is not None})
    yield f"id: {slug(proof.subject).replace('_', '-')}"
    yield ""
    yield "info:"
    yield f"  name: {json.dumps(_title(proof))}"
    yield "  author: autolock"
    yield f"  severity: {finding.severity.value if finding is not None else 'info'}"
    yield f"  description: {json.dumps(_description(trial))}"
    yield "  tags: race-condition"
    yield ""
    yield "http:"
    if before:
        yield "  - raw:"
        for request in before:
            yield from _raw(request)
        yield ""
    yield "  - raw:"
    requests = trial.race.requests
    same = all(request == requests[0] for request in requests)
    for request in requests[:1] if same else requests:
        yield from _raw(request)
    yield ""
    yield "    race: true"
    yield f"    {'race_count' if same else 'threads'}: {len(requests)}"
    yield ""
    yield "    matchers:"
    yield "      - type: status"
    yield "        status:"
    for status in statuses:
        yield f"          - {status}"


def _title(proof: Proof) -> str:
    finding = proof.subject.finding
    return proof.subject.title if finding is None else f"{finding.rule} {finding.name}: {', '.join(finding.routes)}"


def _description(trial: Trial) -> str:
    told = "; ".join(differences(trial)) or trial.result["witness"]["why"]
    return (
        f"{len(trial.race.requests)} requests at once that end as in no order, one after the other: {told}. "
        "Values come from a copy of the application; put those of the target in their place. "
        "A match says that an answer came with a status that the race gave; compare what is left on the target."
    )


def _raw(request: RequestDoc) -> Iterator[str]:
    query = urlencode(request.get("query", {}), doseq=True)
    body = request.get("body")
    headers = {"Host": "{{Hostname}}", **request.get("headers", {})}
    if body is not None and not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = "application/json"
    yield "      - |"
    yield f"        {request['method']} {request['path']}{'?' + query if query else ''} HTTP/1.1"
    for name, value in headers.items():
        yield f"        {name}: {value}"
    if body is not None:
        yield ""
        yield f"        {body if isinstance(body, str) else json.dumps(body)}"
