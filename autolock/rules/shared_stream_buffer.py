"""AL403 shared-stream-buffer."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.rules.base import Match
from autolock.rules.shapes import function_name

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


class SharedStreamBuffer:
    """What a model says is collected, part by part, in a place that all requests share.

    Between two parts of a stream other requests run, and put parts of their own streams into the same place.

    ## Racy

        async for chunk in stream:
            buffer.append(chunk)
            yield chunk

    ## Interleaving

        A puts in `The `; B puts in `A `; A puts in `cat`: the text of A reads `The A cat`

    ## Fix

    No lock is offered: it would make each stream wait for all of the one before. Collect the parts in a local
    variable, and store the whole under the key of its conversation when the stream has ended.
    """

    id: ClassVar[str] = "AL403"
    name: ClassVar[str] = "shared-stream-buffer"
    category: ClassVar[str] = "llm"
    summary: ClassVar[str] = "parts of a model's stream are collected in a place that all requests share"
    codemods: ClassVar[tuple[str, ...]] = ()

    def match(self, window: RaceWindow) -> Match | None:
        if window.kind != "stream-shared" or window.exchange is None:
            return None
        return Match(
            Severity.HIGH,
            f"`{function_name(window)}` collects what the model says (`{window.exchange.text}`) in `{window.shown}`: "
            "parts of other requests' streams come in between.",
        )
