"""Taking a decorator from a function or class."""

from __future__ import annotations

import libcst as cst

Definition = cst.FunctionDef | cst.ClassDef


def without_decorator(definition: Definition, number: int) -> Definition:
    """The definition without one of its decorators; the comments above that one stay."""
    decorators = list(definition.decorators)
    above = decorators.pop(number).leading_lines
    if number == len(decorators):
        return definition.with_changes(
            decorators=decorators, lines_after_decorators=(*above, *definition.lines_after_decorators)
        )
    below = decorators[number]
    decorators[number] = below.with_changes(leading_lines=(*above, *below.leading_lines))
    return definition.with_changes(decorators=decorators)
