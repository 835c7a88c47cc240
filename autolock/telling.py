"""Telling a Window to a person: where it is, and the two requests' steps in the order that breaks it."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from autolock.database.session_windows import SessionWindow
from autolock.database.splits import SplitWindow
from autolock.database.windows import RowWindow
from autolock.deployment.windows import ProcessWindow
from autolock.findings import Action, Certainty, Finding, Fix, Place, Safety, Step, Window
from autolock.llm.windows import ModelWindow
from autolock.telling_rows import row_steps, split_steps
from autolock.telling_sessions import session_steps

if TYPE_CHECKING:
    from autolock.engine import Analysis
    from autolock.program.linker import Program, Ref
    from autolock.program.trace import Event
    from autolock.program.windows import RaceWindow
    from autolock.rules.base import Match, Rule

_UNPLANNED = Fix(Safety.NONE, "", "")


def finding_of(analysis: Analysis, window: RaceWindow, rule: Rule, match: Match, earlier: Sequence[Finding]) -> Finding:
    """The finding that a rule's match on a window makes; `earlier` keeps fingerprints apart."""
    program = analysis.program
    place = place_of(program, window)
    certainty = Certainty.RACE if window.race else Certainty.LATENT
    print_ = _fingerprint(program, window, rule, place)
    while any(f.fingerprint == print_ for f in earlier):
        print_ = hashlib.blake2b(print_.encode(), digest_size=10).hexdigest()
    told = Window(_location(window), window.context, tuple(steps_of(program, window)), _guards(window))
    return Finding(
        rule.id,
        rule.name,
        rule.category,
        certainty,
        match.severity,
        place,
        match.message + _beyond(window),
        _location(window),
        told,
        window.routes,
        _UNPLANNED,
        print_,
    )


def _location(window: RaceWindow) -> str:
    return (
        window.shown
        if isinstance(window, RowWindow | SessionWindow | SplitWindow | ModelWindow)
        else str(window.location.base)
    )


def _beyond(window: RaceWindow) -> str:
    """Why a lock that is there does not help."""
    if not isinstance(window, RowWindow) or window.deployed is None:
        return ""
    return f" The lock round it holds within one process, and {window.deployed.where} starts {window.deployed.many}."


def place_of(program: Program, window: RaceWindow) -> Place:
    """The lines from the read to the write, in the function that sees both."""
    function, first, last = window.seat
    assert last is not None
    first = first or last
    if first.lineno > last.lineno:
        first, last = last, first
    lines = _lines(program, function.path)
    end = last.end_lineno if not _is_block(last) else last.lineno
    end_line = end or last.lineno
    if end_line == last.end_lineno:
        end_column = _characters(lines, end_line, last.end_col_offset or 0)
    else:
        end_column = len(lines[end_line - 1].rstrip()) + 1 if end_line <= len(lines) else 1
    return Place(
        function.path,
        first.lineno,
        _characters(lines, first.lineno, first.col_offset),
        end_line,
        end_column,
        function.name,
    )


def _is_block(node: ast.expr | ast.stmt) -> bool:
    return hasattr(node, "body") or isinstance(node, ast.Match)


def _characters(lines: list[str], line: int, offset: int) -> int:
    """A column counted in characters from 1, of an offset in UTF-8 bytes."""
    if line > len(lines):
        return 1
    return len(lines[line - 1].encode()[:offset].decode(errors="replace")) + 1


def _lines(program: Program, path: str) -> list[str]:
    unit = program.unit(path)
    return unit.lines if unit is not None else []


# -- steps --------------------------------------------------------------------------


def steps_of(program: Program, window: RaceWindow) -> list[Step]:
    """An interleaving of two requests that the window allows; what is there today for a latent one."""
    if isinstance(window, RowWindow):
        return row_steps(window, partial(step, program))
    if isinstance(window, SessionWindow):
        return session_steps(window, partial(step, program))
    if isinstance(window, SplitWindow):
        return split_steps(window, partial(step, program))
    if isinstance(window, ModelWindow):
        return _model(program, window)
    if isinstance(window, ProcessWindow):
        return _across(program, window)
    if window.kind in ("conversation-shared", "stream-shared"):
        return _mixed(program, window)
    if window.kind == "read-write":
        return _read_write(program, window)
    if window.kind == "late-read":
        return _late_read(program, window)
    if window.kind == "pair":
        return _pair(program, window)
    if window.kind == "iteration":
        return _iteration(program, window)
    return _lock(program, window)


def _read_write(program: Program, window: RaceWindow) -> list[Step]:
    read, write = window.read, window.write
    assert read is not None
    assert write is not None
    look = Action.CHECK if window.dependence == "control" else Action.READ
    seen, written = _values(program, window)
    rival = next((w for e, w in window.rivals if w.node is write.node), None) or (
        window.rivals[0][1] if window.rivals else write
    )
    same = rival.node is write.node
    steps = [step(program, "A", look, read, value=seen)]
    if not window.race:
        return [*steps, step(program, "A", Action.WRITE, write, value=written)]
    steps.append(_gap(program, "A", window))
    if same:
        note = (
            "overwrites A's write"
            if window.dependence == "data" or write.kind == "assign"
            else "on a check that is no longer true"
        )
        steps += [
            step(program, "B", look, read, value=seen),
            _gap(program, "B", window),
            step(program, "A", Action.WRITE, write, value=written),
            step(program, "B", Action.WRITE, write, value=written, note=note, lost=True),
        ]
    else:
        note = "overwrites B's write" if window.dependence == "data" else "on a check that is no longer true"
        steps += [
            step(program, "B", Action.WRITE, rival),
            step(program, "A", Action.WRITE, write, note=note, lost=True),
        ]
    return steps


def _model(program: Program, window: ModelWindow) -> list[Step]:
    call = window.calls[0]
    return [
        step(program, "A", Action.SUSPEND, call, note="waits for the model"),
        step(program, "B", Action.SUSPEND, call, note="so does B, and everybody else: nothing counts them", lost=True),
    ]


def _across(program: Program, window: ProcessWindow) -> list[Step]:
    """Two requests that two processes answer."""
    read, write = window.read, window.write
    assert read is not None
    assert write is not None
    look = Action.CHECK if window.decides else Action.READ
    seen, written = _values(program, window)
    return [
        step(program, "A", look, read, value=seen, note="in one process"),
        step(program, "A", Action.WRITE, write, value=written),
        step(program, "B", look, read, value=seen, note=f"in another{'' if window.is_file else ', which has its own'}"),
        step(program, "B", Action.WRITE, write, value=written, lost=True),
    ]


def _mixed(program: Program, window: RaceWindow) -> list[Step]:
    """Two requests put what is theirs into one place."""
    assert window.write is not None
    first = window.rivals[0][1]
    note = "A's answer is made from it" if window.kind == "conversation-shared" else "between A's parts"
    return [
        step(program, "A", Action.WRITE, first),
        _gap(program, "A", window),
        step(program, "B", Action.WRITE, first, note=note, lost=True),
        step(program, "A", Action.WRITE, window.write),
    ]


def _late_read(program: Program, window: RaceWindow) -> list[Step]:
    assert window.read is not None
    assert window.write is not None
    return [
        step(program, "A", Action.WRITE, window.write, note="A's own"),
        _gap(program, "A", window),
        step(program, "B", Action.WRITE, window.write, note="overwrites A's"),
        step(program, "A", Action.READ, window.read, note="gets B's", lost=True),
    ]


def _pair(program: Program, window: RaceWindow) -> list[Step]:
    assert window.write is not None
    first = window.rivals[0][1]
    if window.relation == "refilled" and window.read is not None:
        return [
            step(program, "A", Action.WRITE, first),
            _gap(program, "A", window),
            step(program, "B", Action.READ, window.read, note="finds nothing, or half of it", lost=True),
            step(program, "A", Action.WRITE, window.write),
        ]
    return [
        step(program, "A", Action.WRITE, first),
        _gap(program, "A", window),
        step(program, "B", Action.WRITE, first, note="starts from half a change", lost=True),
        step(program, "A", Action.WRITE, window.write),
    ]


def _iteration(program: Program, window: RaceWindow) -> list[Step]:
    assert window.first is not None
    rival = window.rivals[0][1]
    loop = Step("A", Action.ITERATE, place_of(program, window), _code(program, window.function.path, window.first))
    return [
        loop,
        _gap(program, "A", window),
        step(program, "B", Action.WRITE, rival),
        Step("A", Action.ITERATE, loop.place, loop.code, note="the container has changed under the loop", lost=True),
    ]


def _lock(program: Program, window: RaceWindow) -> list[Step]:
    assert window.first is not None
    again = window.rival_use if window.relation == "re-entered" else None
    if again is not None and again.outer is not None:
        return [
            step(program, "A", Action.ACQUIRE, again.outer),
            step(program, "A", Action.ACQUIRE, again, note="waits for itself", lost=True),
        ]
    place = place_of(program, window)
    code = _code(program, window.function.path, window.first)
    steps = [Step("A", Action.ACQUIRE, place, code)]
    if window.between is not None:
        steps.append(_gap(program, "A", window))
    steps.append(Step("B", Action.ACQUIRE, place, code, note="waits for ever", lost=True))
    return steps


def step(
    program: Program, request: str, action: Action, event: Event, value: str = "", note: str = "", lost: bool = False
) -> Step:
    """One step, at the statement that does it."""
    statement = event.stack[-1].statement
    assert statement is not None
    return Step(
        request,
        action,
        _event_place(program, event.function, statement, event.node),
        _code(program, event.function.path, statement),
        value,
        note,
        lost,
    )


def _gap(program: Program, request: str, window: RaceWindow) -> Step:
    between = window.between
    if between is not None and between.stack and between.context == "loop":
        # The await as the reader of this function sees it, not the one at the bottom of the calls.
        for frame in reversed(between.stack):
            if frame.function == window.function and frame.statement is not None:
                place = _event_place(program, window.function, frame.statement, frame.statement)
                return Step(request, Action.SUSPEND, place, _code(program, window.function.path, frame.statement))
        return step(program, request, Action.SUSPEND, between)
    node = window.switch
    event = window.read or window.write
    assert window.first is not None or event is not None
    ref, statement = (
        (event.function, event.stack[-1].statement) if event is not None else (window.function, window.first)
    )
    assert statement is not None
    place = _event_place(program, ref, statement, node if node is not None and hasattr(node, "lineno") else statement)
    return Step(request, Action.SWITCH, place, "", note="thread switch")


def _event_place(program: Program, ref: Ref, statement: ast.stmt, node: ast.AST) -> Place:
    lines = _lines(program, ref.path)
    line = getattr(node, "lineno", statement.lineno)
    column = getattr(node, "col_offset", statement.col_offset)
    end_line = getattr(node, "end_lineno", None) or line
    end_column = getattr(node, "end_col_offset", None) or column
    if isinstance(node, ast.stmt) and _is_block(node):
        end_line, end_column = line, len(lines[line - 1].encode()) if line <= len(lines) else column
    return Place(
        ref.path, line, _characters(lines, line, column), end_line, _characters(lines, end_line, end_column), ref.name
    )


def _code(program: Program, path: str, statement: ast.stmt) -> str:
    """A statement in one line: the header of a compound one, the whole of a simple one."""
    lines = _lines(program, path)
    last = statement.lineno if _is_block(statement) else statement.end_lineno or statement.lineno
    if _is_block(statement):
        body = getattr(statement, "body", None) or getattr(statement, "cases", [])
        first_inner = body[0].pattern.lineno if isinstance(statement, ast.Match) else body[0].lineno
        last = max(statement.lineno, first_inner - 1) if first_inner > statement.lineno else statement.lineno
        last = _header_end(lines, statement.lineno, last)
    text = " ".join(line.strip() for line in lines[statement.lineno - 1 : last])
    return re.sub(r"([(\[{]) | (?=[)\]}])", lambda m: m.group(1) or "", text)


def _header_end(lines: list[str], first: int, limit: int) -> int:
    """The line on which the header of a compound statement ends with its colon."""
    for number in range(first, limit + 1):
        if lines[number - 1].split("#")[0].rstrip().endswith(":"):
            return number
    return first


def _values(program: Program, window: RaceWindow) -> tuple[str, str]:
    """What is read and written at first, where the code says so: a number that starts as a literal."""
    start = _initial(program, window)
    if start is None or window.write is None:
        return "", ""
    delta = _delta(window.write.node)
    return str(start), str(start + delta) if delta is not None else ""


def _initial(program: Program, window: RaceWindow) -> int | None:
    root, fields = window.location.root, window.location.fields
    unit = program.unit(root.path) if root.kind == "variable" else None
    if unit is None:
        return None
    node = unit.assignment(unit.tree.body, root.name)
    value: ast.expr | None = node.value if node is not None else None
    if fields and len(fields) == 1 and isinstance(value, ast.Dict):
        for key, item in zip(value.keys, value.values, strict=True):
            if isinstance(key, ast.Constant) and f"[{key.value!r}]" == fields[0]:
                return _integer(item)
        return None
    return _integer(value) if not fields else None


def _integer(node: ast.expr | None) -> int | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, int) and not isinstance(node.value, bool):
        return node.value
    return None


def _delta(node: ast.AST) -> int | None:
    """What a write adds, when it adds a constant."""
    if isinstance(node, ast.AugAssign):
        operator, amount = node.op, _integer(node.value)
    elif isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp):
        operator, amount = node.value.op, _integer(node.value.right)
    else:
        return None
    if amount is None:
        return None
    return amount if isinstance(operator, ast.Add) else -amount if isinstance(operator, ast.Sub) else None


def _guards(window: RaceWindow) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(g.location) for g in window.guards if g.location is not None))


def _fingerprint(program: Program, window: RaceWindow, rule: Rule, place: Place) -> str:
    """Stable while lines move: what is raced for, in which function, by which statement."""
    statement = window.last
    code = ast.unparse(statement).split("\n")[0] if statement is not None else ""
    text = "\0".join((rule.id, place.path, place.function, str(window.location.base), code))
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=10).hexdigest()
