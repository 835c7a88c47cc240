"""Proofs as GitHub-flavoured Markdown, for a job summary or a comment on a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from autolock.prove.proof import Proof, Side, Trial, Verdict
from autolock.prove.telling import Lanes, counted, differences, played_as, setting, summary
from autolock.report.markdown import cell, code, escape, fenced, html_text, prose
from autolock.report.typeset import glyphs

_PICTURE_WIDTH = 100


def render_proofs_markdown(proofs: Sequence[Proof], root: Path) -> str:
    """A table of the verdicts, then each witness with its two lanes. Nothing of the user's is read as Markdown."""
    return "".join(f"{line}\n" for line in _document(proofs, Lanes(root)))


def _document(proofs: Sequence[Proof], drawn: Lanes) -> Iterator[str]:
    yield "## autolock prove"
    yield ""
    yield f"**{escape(counted(proofs))}**"
    yield ""
    if proofs:
        yield "| what | place | before | after |"
        yield "| --- | --- | --- | --- |"
        for proof in proofs:
            cells = (*_what(proof), _verdict(proof.before), _verdict(proof.after))
            yield f"| {' | '.join(cell(text) for text in cells)} |"
        yield ""
    for proof in proofs:
        yield from _details(proof, drawn)


def _what(proof: Proof) -> tuple[str, str]:
    finding = proof.subject.finding
    if finding is None:
        return code(proof.subject.title), ""
    return f"{code(finding.rule)} {escape(finding.name)}", code(f"{finding.place.path}:{finding.place.line}")


def _verdict(side: Side | None) -> str:
    if side is None:
        return ""
    return f"**{side.verdict.value}**" if side.verdict is Verdict.WITNESSED else side.verdict.value


def _details(proof: Proof, drawn: Lanes) -> Iterator[str]:
    yield "<details>"
    yield f"<summary>{html_text(proof.subject.title)}</summary>"
    yield ""
    for name, side in (("before", proof.before), ("after", proof.after)):
        if side is None:
            continue
        yield prose(summary(name, side, proof.bounds))
        yield ""
        if side.verdict is Verdict.WITNESSED and side.decisive is not None:
            yield from fenced(list(_witness(side.decisive, drawn)))
            yield ""
    yield "</details>"
    yield ""


def _witness(trial: Trial, drawn: Lanes) -> Iterator[str]:
    yield from setting(trial)
    yield ""
    for row in played_as(trial, drawn, _PICTURE_WIDTH, glyphs(unicode=True), color=False):
        yield row.plain.rstrip()
    yield ""
    yield from differences(trial)
