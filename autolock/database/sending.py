"""Calls that a function makes for what they do to the world: a message, a charge, a task."""

from __future__ import annotations

import ast
import re

from autolock.program.index import dotted

_SENDING = re.compile(
    r"(?i)(^|_)(send|deliver|notify|e?mail|enqueue|queue|publish|broadcast|emit|dispatch|charge|refund|pay|transfer|credit|debit"
    r"|start|launch|run|submit|schedule|trigger|create_task|add_task|delay|apply_async|kiq)(_|$)"
)
#: What nobody wants to be done twice, also where the caller keeps what it answers: a receipt, the id of a message.
_ONCE = re.compile(r"(?i)(^|_)(send|deliver|notify|e?mail|publish|charge|refund|capture|pay|payout|transfer)(_|$)")


def sends(function: ast.AST) -> bool:
    """Whether a function calls something whose name says what it does, and makes no use of what that returns."""
    return any(isinstance(n, ast.Expr) and _SENDING.search(_name_of_call(n.value)) for n in ast.walk(function))


def sent_between(function: ast.AST, first: ast.AST, last: ast.AST) -> str:
    """Such a call that stands between two places of a function, as it is written; empty where there is none."""
    since, until = getattr(first, "lineno", 0), getattr(last, "lineno", 0)
    for node in ast.walk(function):
        if isinstance(node, ast.Expr) and since < node.lineno < until and _SENDING.search(_name_of_call(node.value)):
            call = node.value.value if isinstance(node.value, ast.Await) else node.value
            return ast.unparse(call.func) if isinstance(call, ast.Call) else ""
    return ""


def done_between(function: ast.AST, first: ast.AST, last: ast.AST) -> bool:
    """Whether what is to be done once is called between two places of a function: `answer = await bank.refund(...)`."""
    since, until = getattr(first, "lineno", 0), getattr(last, "lineno", 0)
    calls = (n.value for n in ast.walk(function) if isinstance(n, ast.Expr | ast.Assign | ast.AnnAssign) and n.value)
    return any(since < call.lineno < until and _ONCE.search(_name_of_call(call)) for call in calls)


def sends_each(loop: ast.For | ast.AsyncFor) -> bool:
    """Whether a loop calls such a thing about what it goes over."""
    turns = {n.id for n in ast.walk(loop.target) if isinstance(n, ast.Name)}
    calls = (n for s in loop.body for n in ast.walk(s) if isinstance(n, ast.Call))
    return any(
        _SENDING.search(_name_of_call(call))
        and any(isinstance(n, ast.Name) and n.id in turns for a in _given_to(call) for n in ast.walk(a))
        for call in calls
    )


def _given_to(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(k.value for k in call.keywords)]


def _name_of_call(value: ast.expr) -> str:
    """The last name of what is called; empty where nothing is."""
    call = value.value if isinstance(value, ast.Await) else value
    return dotted(call.func).rpartition(".")[2] if isinstance(call, ast.Call) else ""
