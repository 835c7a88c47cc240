"""What all codemods here have in common: a place, an inverse, and how other places move."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import IntEnum
from typing import TYPE_CHECKING

from libcst.codemod import CodemodCommand, CodemodContext

from codemods.paths import Region, Relocate, StatementPath, Steps

if TYPE_CHECKING:
    import libcst as cst


class Phase(IntEnum):
    """When a codemod is applied if several edit one file: new statements first, imports last."""

    INSERT = 0
    REGION = 1
    STATEMENT = 2
    IMPORT = 3


Order = tuple[Phase, Steps, tuple[int, ...]]


class PlacedCodemod(CodemodCommand, ABC):
    """A codemod that edits at statement paths and whose edit can be taken back exactly.

    An instance is used on one module: `transform_module`, then perhaps `undo`. Several are applied
    one after the other: `relocate` of one that was applied tells the others, through `follow`,
    where the statements that they mean are now.

    `last_first` says that of several with the same order the last given is applied first: those
    that put something after a statement end up in the order given.
    """

    last_first = False

    def transform_module(self, tree: cst.Module) -> cst.Module:
        """Edit the module; raises PlaceError where that is not possible.

        libcst would copy the whole tree to resolve metadata, which nothing here needs.
        """
        return self.transform_module_impl(tree)

    @abstractmethod
    def undo(self, tree: cst.Module) -> cst.Module:
        """What `transform_module` was given, from what it returned; raises PlaceError on anything else."""

    @property
    @abstractmethod
    def order(self) -> Order:
        """The key by which the codemods of one file are sorted; for ties see `last_first`."""

    @abstractmethod
    def follow(self, relocate: Relocate) -> None:
        """Edit where this codemod's statements are after another one was applied; raises PlaceError."""

    @abstractmethod
    def relocate(self, path: StatementPath) -> StatementPath:
        """Where the statement at `path` is after this codemod was applied; raises PlaceError if it is gone."""


class RegionCodemod(PlacedCodemod):
    """A codemod that edits a run of sibling statements."""

    phase = Phase.REGION

    def __init__(self, context: CodemodContext, at: str, count: int = 1) -> None:
        super().__init__(context)
        self.region = Region(StatementPath.parse(at), count)

    @property
    def order(self) -> Order:
        """Outer regions before those inside them, earlier before later."""
        return self.phase, self.region.start.steps, (-self.region.count,)

    def follow(self, relocate: Relocate) -> None:
        self.region = self.region.moved(relocate)

    def relocate(self, path: StatementPath) -> StatementPath:
        return path.moved(self.region.start, self._move)

    @abstractmethod
    def _move(self, index: int) -> Steps:
        """Where the statement of this index of the region's block is now, from the block's owner on."""
