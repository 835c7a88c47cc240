"""What takes long: a lock that is held meanwhile makes every other request wait, which a reviewer must agree to."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence

from autolock.planning.blocks import is_endless, own_nodes
from autolock.program.index import dotted
from autolock.program.linker import Ref

#: Seconds of a sleep from which on it is worth a word.
_LONG = 0.5
_DEEPEST = 4
#: Statements from which on a call is worth a word where the event loop waits for it.
_MUCH = 40

_SLEEPS = frozenset({"asyncio.sleep", "anyio.sleep", "trio.sleep", "time.sleep"})
#: Calls of libraries that run another program, or wait for one.
_PROGRAMS = frozenset(
    {
        "subprocess.run",
        "subprocess.call",
        "subprocess.check_call",
        "subprocess.check_output",
        "subprocess.getoutput",
        "os.system",
        "asyncio.create_subprocess_exec",
        "asyncio.create_subprocess_shell",
        "anyio.run_process",
    }
)
#: Calls that wait for work that is under way already, when they are given tasks by name.
_TASKS = frozenset({"asyncio.gather", "asyncio.wait", "asyncio.wait_for", "asyncio.shield", "asyncio.as_completed"})
#: Names of what generates, loads a model, moves a file, hashes or waits for a client, whatever library it is of.
_NAMES = {
    "generates": (
        "generate",
        "agenerate",
        "generate_content",
        "generate_content_async",
        "completion",
        "acompletion",
        "ainvoke",
        "invoke",
        "astream",
        "transcribe",
        "synthesize",
        "inference",
    ),
    "loads a model": ("from_pretrained", "load_model", "snapshot_download", "hf_hub_download"),
    "moves a file": ("download", "download_file", "urlretrieve", "upload_file", "download_fileobj", "upload_fileobj"),
    "runs another program": ("communicate",),
    "hashes a password": ("hashpw", "checkpw", "pbkdf2_hmac", "scrypt"),
    "waits for the client": ("send_text", "send_json", "send_bytes"),
    "waits for the user": ("askopenfilename", "askopenfilenames", "asksaveasfilename", "askdirectory"),
}
_WHAT = {name: what for what, names in _NAMES.items() for name in names}
#: Ends of dotted calls of clients of language models.
_MODELS = ("completions.create", "responses.create", "messages.create", "images.generate", "images.edit")

Called = Callable[[Ref, ast.Call], "Ref | None"]
Body = Callable[[Ref], Sequence[ast.stmt]]


class Slowness:
    """Judges statements of one program.

    `called` tells which function of the project a call means, `guessed` which one it probably does, `body` what
    a function does.
    """

    def __init__(self, called: Called, guessed: Called, body: Body) -> None:
        self.called = called
        self.guessed = guessed
        self.body = body

    def leads_to(self, function: Ref, call: ast.Call) -> Ref | None:
        """The function of the project that a call means, or probably does."""
        return self.called(function, call) or self.guessed(function, call)

    def of(self, function: Ref, statements: Sequence[ast.stmt]) -> str:
        """What in some statements of a function takes long, as a clause (`sleeps for `5` seconds`), or nothing."""
        return self._look(function, statements, 0, {function})

    def heaviest(self, function: Ref, statements: Sequence[ast.stmt]) -> str:
        """The first call that leads to much code of the project, as written; empty where there is none."""
        for node in own_nodes(statements):
            if isinstance(node, ast.Call) and self._weight(function, node, 0, set()) > _MUCH:
                return ast.unparse(node.func)
        return ""

    def _weight(self, function: Ref, call: ast.Call, depth: int, seen: set[Ref]) -> int:
        """How many statements a call leads to, as far as can be seen."""
        inner = self.leads_to(function, call)
        if inner is None or depth == _DEEPEST or inner in seen:
            return 0
        seen.add(inner)
        nodes = list(own_nodes(self.body(inner)))
        calls = [n for n in nodes if isinstance(n, ast.Call)]
        own = sum(isinstance(n, ast.stmt) for n in nodes)
        return own + sum(self._weight(inner, n, depth + 1, seen) for n in calls)

    def _look(self, function: Ref, statements: Sequence[ast.stmt], depth: int, seen: set[Ref]) -> str:
        for node in own_nodes(statements):
            if isinstance(node, ast.Await) and isinstance(node.value, ast.Name | ast.Attribute):
                return f"waits for `{ast.unparse(node.value)}`"
            if isinstance(node, ast.AsyncFor) and not self._ends_by_itself(function, node.iter):
                return f"waits for all of `{ast.unparse(node.iter)}`"
            if isinstance(node, ast.Call):
                found = self._called(function, node, depth, seen) or self._handed(function, node, depth, seen)
                if found:
                    return found
        return ""

    def _ends_by_itself(self, function: Ref, source: ast.expr) -> bool:
        """Whether a loop is over a generator of the project that does not go on for ever."""
        generator = self.called(function, source) if isinstance(source, ast.Call) else None
        return generator is not None and not any(map(is_endless, own_nodes(self.body(generator))))

    def _handed(self, function: Ref, call: ast.Call, depth: int, seen: set[Ref]) -> str:
        """What a function does that is handed on to be called: `to_thread(load)`, `partial(load, name)`."""
        given = [a for a in (*call.args, *(k.value for k in call.keywords)) if isinstance(a, ast.Name | ast.Attribute)]
        for argument in given:
            reference = ast.Call(argument, [], [])
            if self.called(function, reference) is not None:
                found = self._called(function, reference, depth, seen)
                if found:
                    return found
        return ""

    def _called(self, function: Ref, call: ast.Call, depth: int, seen: set[Ref]) -> str:
        inner = self.leads_to(function, call)
        if inner is None:
            return _outside(call)
        if depth == _DEEPEST or inner in seen:
            return ""
        seen.add(inner)
        return self._look(inner, self.body(inner), depth + 1, seen)


def _outside(call: ast.Call) -> str:
    """What a call takes long for that leads out of the project."""
    name = dotted(call.func)
    last = getattr(call.func, "attr", name)
    text = name or last
    if name in _SLEEPS:
        return f"sleeps for `{ast.unparse(call.args[0])}` seconds" if _is_long(call.args) else ""
    if name in _PROGRAMS:
        return f"runs another program (`{name}`)"
    if name in _TASKS and any(isinstance(a, ast.Starred | ast.Name | ast.Attribute) for a in call.args):
        return f"waits for other work (`{name}`)"
    if name.endswith(_MODELS):
        return f"generates (`{name}`)"
    what = _WHAT.get(last, "")
    return f"{what} (`{text}`)" if what else ""


def _is_long(arguments: Iterable[ast.expr]) -> bool:
    """Whether a sleep is known to be long."""
    seconds = next(iter(arguments), None)
    return (
        isinstance(seconds, ast.Constant) and isinstance(seconds.value, int | float) and float(seconds.value) >= _LONG
    )
