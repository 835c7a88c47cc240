"""Applies the edits of one file and proves the result before anyone sees it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import libcst as cst
from libcst.codemod import CodemodContext

from autolock.rewriting.text import Text, TextError, carried
from codemods.base import PlacedCodemod
from codemods.parsing import parse
from codemods.paths import PlaceError

if TYPE_CHECKING:
    from autolock.edits import Edit

Codemods = Mapping[str, type[PlacedCodemod]]


class RewriteError(Exception):
    """Edits cannot be carried out or do not stand the proof; `reason` says why, in a sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@cache
def registered_codemods() -> Codemods:
    """The codemods of the entry-point group `autolock.codemods` by name; empty where none is installed."""
    return {point.name: point.load() for point in entry_points(group="autolock.codemods")}


def apply_edits(source: bytes, edits: Sequence[Edit], codemods: Codemods | None = None) -> bytes:
    """The file with all edits made; their paths all refer to `source`.

    The result is proven: it parses, and the inverses of the codemods, last to first, give `source`
    back. What no codemod changed is the same byte for byte. Edits that are alike are made once.
    `codemods` maps the edits' names to classes, by default the registered ones.

    Raises RewriteError, and nothing else, where this cannot be done.
    """
    with _refusals():
        text = Text.read(source)
        _parsed(source)
        original, printed = _original(text.code)
        steps = _in_order(edits, registered_codemods() if codemods is None else codemods)
        edited = _applied(original, steps)
        code = edited.code
        written = carried(text.code, printed, code)
        after = text.written(written)
        tree = _parsed(after)
        # Comparing takes as long as all the rest, and most files are printed as they were.
        same = written == code and Text.read(after).code == code
        if not same and ast.dump(tree) != ast.dump(_parsed(code)):
            raise RewriteError("the edited file does not read as it was meant to")
        undone = _undone(edited, steps)
        # Comparing trees that have most of their nodes in common takes no time, printing them does.
        if not undone.deep_equals(original) and undone.code != printed:
            raise RewriteError("taking the edits back does not give the original file")
        return after


@lru_cache(maxsize=2)
def _original(code: str) -> tuple[cst.Module, str]:
    """A file's tree and what it prints as: the plans for one file are carried out one after the other."""
    module = cst.parse_module(code)
    return module, module.code


@contextmanager
def _refusals() -> Iterator[None]:
    """Tells what the parts raise as RewriteError."""
    try:
        yield
    except (PlaceError, TextError) as error:
        raise RewriteError(str(error)) from error
    except SyntaxError as error:
        raise RewriteError(f"Python cannot parse the file: {error.msg} on line {error.lineno}") from error
    except cst.ParserSyntaxError as error:
        raise RewriteError(f"libcst cannot parse the file: line {error.raw_line}") from error
    except cst.CSTValidationError as error:
        raise RewriteError(f"the edit would not be valid Python: {error}") from error
    except (RecursionError, MemoryError) as error:
        raise RewriteError("the file is nested too deep to be edited") from error


def _parsed(code: bytes | str) -> ast.Module:
    try:
        return parse(code)
    except ValueError as error:
        raise RewriteError(f"Python cannot parse the file: {error}") from error


def _in_order(edits: Sequence[Edit], codemods: Codemods) -> list[PlacedCodemod]:
    """The codemods of the edits as they are to be applied: new statements, regions from the outside in, imports.

    Of statements put after one place the last is inserted first, so that they end up in the order given.
    """
    made: list[tuple[tuple[object, ...], PlacedCodemod]] = []
    for number, edit in enumerate(_distinct(edits)):
        codemod = _instance(edit, codemods)
        made.append(((*codemod.order, -number if codemod.last_first else number), codemod))
    return [codemod for _, codemod in sorted(made, key=lambda item: item[0])]


def _distinct(edits: Sequence[Edit]) -> list[Edit]:
    distinct: list[Edit] = []
    for edit in edits:
        if edit not in distinct:
            distinct.append(edit)
    return distinct


def _instance(edit: Edit, codemods: Codemods) -> PlacedCodemod:
    codemod = codemods.get(edit.codemod)
    if codemod is None:
        raise RewriteError(f"there is no codemod {edit.codemod!r}")
    try:
        made = codemod(CodemodContext(), **edit.arguments)
    except TypeError as error:
        raise RewriteError(f"{edit.codemod}: {error}") from error
    if not isinstance(made, PlacedCodemod):
        raise RewriteError(f"the codemod {edit.codemod!r} cannot be taken back: it is no PlacedCodemod")
    return made


def _applied(module: cst.Module, steps: Sequence[PlacedCodemod]) -> cst.Module:
    """The module after all steps, each of which tells the later ones where their statements are now."""
    for number, step in enumerate(steps, 1):
        module = step.transform_module(module)
        for later in steps[number:]:
            later.follow(step.relocate)
    return module


def _undone(module: cst.Module, steps: Sequence[PlacedCodemod]) -> cst.Module:
    for step in reversed(steps):
        module = step.undo(module)
    return module
