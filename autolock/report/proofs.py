"""Proofs for a person at a terminal: a verdict a line, the witness as two lanes, and what it has that no
serial order has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

from autolock.findings import Safety
from autolock.prove.proof import Proof, Side, Verdict
from autolock.prove.telling import Lanes, counted, differences, no_fix, played_as, setting, summary
from autolock.report.base import RenderOptions
from autolock.report.typeset import Glyphs, glyphs, wrap

_STYLES = {
    Verdict.WITNESSED: "bold red",
    Verdict.HELD: "bold green",
    Verdict.INCONCLUSIVE: "bold yellow",
    Verdict.NOT_DRIVEN: "yellow",
}
_INDENT = "  "
_NARROWEST = 60


def render_proofs(proofs: Sequence[Proof], root: Path, options: RenderOptions) -> str:
    """The proofs in lines as wide as the terminal (60 cells at the least); without pictures when quiet."""
    page = _Page(root, max(options.width, _NARROWEST), glyphs(options.unicode), options.color, options.quiet)
    out = StringIO()
    console = Console(
        file=out, width=page.width, force_terminal=options.color, no_color=not options.color, highlight=False
    )
    for line in page.lines(proofs):
        console.print(line, soft_wrap=True)
    return out.getvalue()


class _Page:
    def __init__(self, root: Path, width: int, drawn: Glyphs, color: bool, quiet: bool) -> None:
        self.width = width
        self._lanes = Lanes(root)
        self._glyphs = drawn
        self._color = color
        self._quiet = quiet

    def lines(self, proofs: Sequence[Proof]) -> Iterator[Text]:
        for proof in proofs:
            yield from self._proof(proof)
            yield Text("")
        yield Text(counted(proofs))

    def _proof(self, proof: Proof) -> Iterator[Text]:
        finding = proof.subject.finding
        detail = f"  {finding.place.function}  " if finding is not None else ""
        yield Text.assemble((proof.subject.title, "bold"), detail, (finding.name if finding is not None else "", "dim"))
        for name, side in (("before", proof.before), ("after", proof.after)):
            if side is not None:
                yield from self._side(proof, name, side)
        if finding is not None and proof.after is None and finding.fix.safety is not Safety.SAFE:
            yield from (Text(f"{_INDENT}{line}") for line in wrap(no_fix(finding), self.width - 2 * len(_INDENT)))

    def _side(self, proof: Proof, name: str, side: Side) -> Iterator[Text]:
        for line in wrap(summary(name, side, proof.bounds), self.width - 2 * len(_INDENT)):
            yield Text(f"{_INDENT}{line}", style=_STYLES[side.verdict])
        trial = side.decisive
        if trial is None or self._quiet or side.verdict is not Verdict.WITNESSED:
            return
        for line in setting(trial):
            yield Text(f"{_INDENT * 2}{line}", overflow="fold")
        for row in played_as(trial, self._lanes, self.width - 4, self._glyphs, color=self._color):
            yield Text(_INDENT * 2).append_text(row)
        for line in differences(trial):
            yield Text(f"{_INDENT * 2}{self._glyphs.cross} {line}")
