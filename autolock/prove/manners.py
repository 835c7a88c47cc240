"""How findings are played where two requests at once are not what shows them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Manner:
    """`failing`: the first request fails on its way, and what is looked at is its `tables`, whether `locks` are free
    for the next one, or who was `told` of what a commit did not keep. `crowd`: one is sent many times, and what is
    looked at is how many `calls` go on at once, whether `connections` are kept from others, or whether each of them is
    served in its turn (`turns`). `at_once`: drivers are asked for several things at the same moment, too. `others`: it
    is raced against every other route, and what those answer counts. `unplayed` says why nothing is played.
    """

    failing: str = ""
    crowd: str = ""
    at_once: bool = False
    others: bool = False
    unplayed: str = ""


_MANNERS = {
    "AL105": Manner(others=True),
    "AL108": Manner(others=True),
    "AL201": Manner(failing="tables"),
    "AL209": Manner(failing="told"),
    "AL301": Manner(at_once=True),
    "AL302": Manner(at_once=True),
    "AL303": Manner(crowd="connections"),
    "AL304": Manner(crowd="turns"),
    "AL401": Manner(crowd="calls"),
    "AL506": Manner(failing="locks"),
    "AL601": Manner(
        unplayed="two instances are compared with what the same two give one request after the other, where each has "
        "its own state, too; send two requests to two processes, and the same to one"
    ),
}


def manner_of(rule: str) -> Manner:
    """The manner for the findings of a rule."""
    return _MANNERS.get(rule, Manner())
