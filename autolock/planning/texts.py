"""SQL texts that a module names, and that functions run by that name."""

from __future__ import annotations

import ast

from autolock.database.objects import Spot
from autolock.database.trace import DatabaseTrace, RowRead
from autolock.edits import Edit
from autolock.planning.blocks import Refusal, Sources
from autolock.planning.homes import frozen
from autolock.planning.statements import nth_of, text_of
from autolock.program.index import dotted
from autolock.program.linker import Program

_ELSEWHERE = "the SQL text is made elsewhere: add FOR UPDATE to it by hand, in one transaction"


class ReadersToo(Refusal):
    """The constant, a plain string, is also run by those who only read."""


def named_text(program: Program, sources: Sources, trace: DatabaseTrace, look: RowRead) -> Spot:
    """The literal that a look runs under the name of a module's constant; raises Refusal.

    The constant may serve nobody who does not write: readers would wait for the lock, too.
    """
    call, function = look.node, look.function
    name = dotted(call.args[0]) if isinstance(call, ast.Call) and call.args else ""
    found = program.resolve(function.path, name, function.name) if name else None
    if found is None or found[0].kind != "variable" or found[1]:
        raise Refusal(_ELSEWHERE)
    ref, _ = found
    body = sources.blocks(ref.path).unit.tree.body
    named = [s for s in body if isinstance(s, ast.Assign) and any(dotted(t) == ref.name for t in s.targets)]
    if len(named) != 1:
        raise Refusal(_ELSEWHERE)
    writers = {id(c.entry) for c in trace.candidates if c.read.node is call}
    others = [
        r for e, r in trace.reads if r.query.text == look.query.text and id(e) not in writers and not _has_its_own(r)
    ]
    if others:
        reason = f"`{name}` is run by readers, too: give the writer a text of its own with FOR UPDATE"
        raise ReadersToo(reason) if isinstance(named[0].value, ast.Constant) else Refusal(reason)
    return Spot(ref, named[0], text_of(named[0], joined=look.query.joined))


def text_of_its_own(sources: Sources, look: RowRead, statement: ast.stmt, refusal: ReadersToo) -> Edit:
    """The edit by which a look runs the text of a constant with FOR UPDATE after it; raises the refusal.

    The SQL ends where the constant does, and the look is one SELECT of one table.
    """
    call, query, written = look.node, look.query, look.query.text.rstrip()
    plain = not (query.joined or query.grouped or query.locks) and written.count("--") == 0
    if not isinstance(call, ast.Call) or not plain or written[:6].upper() != "SELECT" or written.endswith(";"):
        raise refusal
    name = ast.unparse(call.args[0])
    arguments = frozen(
        at=sources.blocks(look.function.path).spot(statement).path,
        expression=name,
        nth=nth_of(statement, call.args[0]),
        replacement=f'f"{{{name}}} FOR UPDATE"',
    )
    return Edit(look.function.path, "replace-expression", arguments)


def _has_its_own(look: RowRead) -> bool:
    """Whether the text of a look is written where it is run, and only happens to be the same."""
    given = look.node.args[:1] if isinstance(look.node, ast.Call) else []
    return any(isinstance(n, ast.Constant) and isinstance(n.value, str) for a in given for n in ast.walk(a))
