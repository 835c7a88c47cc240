"""From calls of models to Windows: endpoints that send every request to one."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from autolock.llm.limiters import Limiters
from autolock.program.trace import context_name
from autolock.program.values import Location, Root
from autolock.program.windows import RaceWindow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autolock.llm.trace import ModelCall
    from autolock.program.linker import Program, Ref
    from autolock.program.trace import Entry, Frame


@dataclass(slots=True)
class ModelWindow(RaceWindow):
    """A Window that is open for as long as a model works: nothing says how many requests are in it at once.

    `kind` is model-unbounded. `calls` are the calls that nothing bounds, `handler` is the endpoint.
    """

    calls: list[ModelCall] = field(default_factory=list)
    handler: Ref | None = None

    @property
    def shown(self) -> str:
        return f"{self.calls[0].text}()"


class ModelFinder:
    """Turns unbounded calls of models into windows, one for each endpoint."""

    def __init__(self, program: Program, calls: Sequence[ModelCall]) -> None:
        self.program = program
        self.calls = calls
        self.limiters = Limiters(program)

    def windows(self) -> list[RaceWindow]:
        """All windows."""
        groups: dict[Ref, list[ModelCall]] = defaultdict(list)
        for call in self.calls:
            outer = endpoint_of(call.entry)
            if call.bounded or outer.kind != "route" or outer.function is None:
                continue
            groups[outer.function].append(call)
        return [self.window(handler, calls) for handler, calls in groups.items() if not self.limiters.limits(handler)]

    def window(self, handler: Ref, calls: list[ModelCall]) -> ModelWindow:
        call = calls[0]
        frame = next((f for f in frames_of(call) if f.function == handler), frames_of(call)[0])
        outer = endpoint_of(call.entry)
        assert frame.function is not None
        return ModelWindow(
            "model-unbounded",
            Location(Root("model", handler.path, handler.name)),
            frame.function,
            frame.statement,
            frame.statement,
            outer,
            True,
            context_name(call.context),
            entries=list({id(e): e for e in (endpoint_of(c.entry) for c in calls)}.values()),
            calls=calls,
            handler=handler,
        )


def endpoint_of(entry: Entry) -> Entry:
    """What has started an entry in the end."""
    while entry.parent is not None:
        entry = entry.parent
    return entry


def frames_of(call: ModelCall) -> tuple[Frame, ...]:
    """The calls that led to a call of a model, from the endpoint on."""
    frames, entry = call.stack, call.entry
    while entry.parent is not None:
        frames, entry = (*entry.start, *frames), entry.parent
    return frames
