"""How findings are played where two requests at once are not what shows them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Manner:
    """`failing`: the first request fails on its way, and what is looked at is its `tables`, or whether `locks` are
    free for the next one. `others`: it is raced against every other route, and what those answer counts. `unseen`: why
    nothing that comes of requests could show it; `blind`: why a search that finds nothing says nothing of it.
    """

    failing: str = ""
    others: bool = False
    unseen: str = ""
    blind: str = ""


_IN_TURN = "a driver that gets two statements at the same moment is not played: it gets them in turn"
_MANNERS = {
    "AL105": Manner(others=True),
    "AL108": Manner(others=True),
    "AL201": Manner(failing="tables"),
    "AL209": Manner(blind="what is told to others before a commit that then fails is not looked at"),
    "AL301": Manner(blind=_IN_TURN),
    "AL302": Manner(blind=_IN_TURN),
    "AL303": Manner(blind="it shows when many requests have used up the connections, and two are played"),
    "AL401": Manner(unseen="it is about how many calls go on at once, which no answer and no state tells"),
    "AL506": Manner(failing="locks"),
}


def manner_of(rule: str) -> Manner:
    """The manner for the findings of a rule."""
    return _MANNERS.get(rule, Manner())
