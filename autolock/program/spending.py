"""What may be used once: codes, offers, states of a login, which a request finds, uses and takes away."""

from __future__ import annotations

import re

from autolock.program.decisions import effective
from autolock.program.trace import Candidate

#: Words in names of what ends something: done twice, it is as ended as before.
_ENDING = re.compile(
    r"(^|_)(a?close|cancel|clean|cleanup|clear|delete|destroy|disconnect|drop|end|evict|exit|expire|invalidate|kick|kill"
    r"|leave|logout|purge|release|remove|reset|shutdown|sign_?out|stop|terminate|unregister|unsubscribe)(d|ed|s)?(_|$)"
)


def is_spent(candidate: Candidate) -> bool:
    """Whether a request refuses where an element is missing, waits for something, and takes the element away after it.

    `if code not in codes: raise`, `await pay(...)`, `codes.pop(code, None)`: two requests use it. That the removal does
    not mind that it is gone makes it no better. Who ends something, as `close` and `DELETE` say, may end it twice.
    """
    read, write, control = candidate.read, candidate.write, candidate.control
    if control is None or control.exit != "raise" or candidate.between is None or not candidate.entry.many:
        return False
    is_there = effective(control.shape, control.negated) in ("present", "truth")
    if not is_there or not read.key or read.key != write.key:
        return False
    names = [frame.function.name.rpartition(".")[2] for frame in write.stack if frame.function is not None]
    waits = candidate.between.text.partition("(")[0].rpartition(".")[2]
    told = [f.function.name.rpartition(".")[2] for f in candidate.between.stack if f.function is not None]
    routes = candidate.entry.routes
    only_deletes = bool(routes) and all(route.startswith("DELETE ") for route in routes)
    return not only_deletes and not any(_ENDING.search(name.lower()) for name in (*names, *told, waits))
