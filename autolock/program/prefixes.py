"""Which `include_router` brings a router in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autolock.program.facts import Inclusion
    from autolock.program.linker import Program, Ref

Found = tuple[str, "Inclusion"]


class Inclusions:
    """The inclusions of a program by what they include; the first one counts, and the file is where it stands."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._by_target: dict[tuple[Ref, tuple[str, ...]], Found] = {}
        self._by_name: dict[tuple[str, str, str], Found] = {}
        for path, facts in program.modules.items():
            for inclusion in facts.inclusions:
                if inclusion.child:
                    self._by_name.setdefault((path, inclusion.child, inclusion.scope), (path, inclusion))
                    target = program.resolve(path, inclusion.child, inclusion.scope)
                    if target is not None:
                        self._by_target.setdefault(target, (path, inclusion))

    def of(self, path: str, base: str, scope: str) -> Found | None:
        """The inclusion of the router that is called `base` in a file."""
        target = self._program.resolve(path, base, scope)
        if target is None or target[0].kind != "variable":
            return self._by_name.get((path, base, scope))
        return self._by_target.get(target)
