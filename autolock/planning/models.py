"""Plans for calls of models: slots for those that are in flight, and a limiter on the route."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from autolock.edits import ADD_REQUIREMENT, Edit
from autolock.findings import Safety
from autolock.llm.limiters import registers
from autolock.planning.applications import Applications
from autolock.planning.blocks import Refusal, Region, Sources, own_nodes, waits_for_client
from autolock.planning.homes import HomeFinder, frozen, head_of
from autolock.planning.rowplan import RowPlan
from autolock.program.linker import Ref
from autolock.program.mentions import Mentions
from codemods.requirements import RequirementError, insertion

if TYPE_CHECKING:
    from autolock.engine import Analysis
    from autolock.llm.trace import ModelCall
    from autolock.llm.windows import ModelWindow
    from autolock.program.trace import Frame

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_RESPONSES = ("StreamingResponse", "EventSourceResponse", "ContentStream")
#: The first version of slowapi that works with every FastAPI since.
_LEAST = "0.1.9"
_SLOTS = "model_slots"
_AT_ONCE = ("gather", "as_completed")
_AFTERWARDS = "the model's stream is read after the function is over, when a slot would be free again"


class ModelPlans:
    """Plans a fix for one endpoint at a time."""

    def __init__(self, analysis: Analysis, sources: Sources) -> None:
        self.program = analysis.program
        self.project = analysis.machine.models.project
        self.sources = sources
        self.homes = HomeFinder(analysis.program, sources)
        self.mentions = Mentions(analysis.program)
        self.applications = Applications(analysis.program, sources, self.homes)

    def plan(self, window: ModelWindow) -> RowPlan:
        """The plan of a window; raises Refusal where neither slots nor a limiter can be put there."""
        settings = self.project.settings
        edits: list[Edit] = []
        done: list[str] = []
        notes: list[str] = []
        try:
            edits += self.slots(window)
            done.append(f"let {settings.concurrency} calls of the model run at a time")
        except Refusal as refusal:
            notes.append(f"No semaphore: {refusal.reason}.")
        try:
            made, note = self.limiter(window)
            edits += made
            done.append(f"limit how often an address may ask to {settings.rate_limit}")
            notes += [note] if note else []
        except Refusal as refusal:
            notes.append(f"No limiter: {refusal.reason}.")
        if not done:
            raise Refusal(" ".join(notes))
        title = " and ".join(done)
        reason = (
            "Requests wait for a free slot, and clients that are too fast get a 429; each process counts for itself."
            if len(done) == 2
            else "Requests wait for a free slot; each process has slots of its own."
            if not any("address" in d for d in done)
            else "Clients that are too fast get a 429; each process counts for itself."
        )
        return RowPlan(edits, title[0].upper() + title[1:], " ".join((reason, *notes)), Safety.UNSAFE)

    # -- slots -----------------------------------------------------------------------------------

    def slots(self, window: ModelWindow) -> list[Edit]:
        """A semaphore round every call of a model that the endpoint makes; raises Refusal."""
        places = [self.region(call) for call in window.calls]
        distinct = {(function.path, region.at): (function, region) for function, region in places}
        for call, (function, _) in zip(window.calls, places, strict=True):
            self.refuse_nested(call, [p for p in distinct.values() if p[0] != function])
        edits: list[Edit] = []
        for key, (function, region) in distinct.items():
            if any(self.is_within(region, function, other) for k, other in distinct.items() if k != key):
                continue
            name, made = self.semaphore(function.path)
            edits += made
            wrap = frozen(at=region.at, count=region.count, lock=name, is_async=True)
            edits.append(Edit(function.path, "wrap-in-lock", wrap))
        return list(dict.fromkeys(edits))

    def is_within(self, region: Region, function: Ref, other: tuple[Ref, Region]) -> bool:
        """Whether a region lies in another one."""
        if other[0] != function:
            return False
        blocks = self.sources.blocks(function.path)
        return blocks.inside(region.statements[0], other[1], self.sources.node_of(function))

    def refuse_nested(self, call: ModelCall, others: list[tuple[Ref, Region]]) -> None:
        """Raise Refusal where a call would wait for its slot while a caller has one already."""
        for function, region in others:
            statements = [f.statement for f in call.stack if f.function == function and f.statement is not None]
            blocks, node = self.sources.blocks(function.path), self.sources.node_of(function)
            if any(blocks.inside(statement, region, node) for statement in statements):
                raise Refusal(f"a call in `{call.function.name}` would wait for a slot while `{function.name}` has one")

    def region(self, call: ModelCall) -> tuple[Ref, Region]:
        """The statements of a coroutine that are over when the model has answered; raises Refusal.

        The coroutine is the one nearest to the call: all who come to it share its slots, and nothing else waits for
        one. Where that cannot be, it is one of those that wait for it.
        """
        refused: Refusal | None = None
        for depth in reversed(range(len(call.stack))):
            try:
                return self.region_in(call, depth)
            except Refusal as refusal:
                refused = refusal
        assert refused is not None
        raise refused

    def region_in(self, call: ModelCall, depth: int) -> tuple[Ref, Region]:
        """The statements of one coroutine on the way to a call; raises Refusal."""
        frame = call.stack[depth]
        function, node, statement = self.parts(frame)
        if not isinstance(node, ast.AsyncFunctionDef):
            raise Refusal(f"`{function.name}` is a plain `def`, which runs in a thread and cannot wait for one")
        if any(_makes_several(f.statement) for f in call.stack[depth:]):
            raise Refusal(f"`{function.name}` has several calls made at once, which would all run in one slot")
        self.refuse_shared(call, depth)
        blocks = self.sources.blocks(function.path)
        region = blocks.spanning([statement], node)
        yields = any(isinstance(n, ast.Yield | ast.YieldFrom) for n in own_nodes(node.body))
        if _is_handed_on(statement, call):
            raise Refusal(_AFTERWARDS)
        if (not yields and (_is_streamed(call) and not _is_read(statement))) or yields:
            region = self.until_read(region, statement, function)
        if any(isinstance(n, ast.Yield) for n in own_nodes(region.statements)) and call.entry.parent is None:
            raise Refusal(f"`{function.name}` yields in between")
        if waits_for_client(region.statements):
            raise Refusal(f"`{function.name}` waits for the client in the same statement, and would keep the slot")
        return function, region

    def refuse_shared(self, call: ModelCall, depth: int) -> None:
        """Raise Refusal where others come to the call on another way, on which they may have a slot already."""
        for frame in call.stack[depth:] if depth < len(call.stack) - 1 else ():
            assert frame.function is not None
            ways = 0 if frame is call.stack[0] else 1
            if call.entry.parent is None and len(list(self.mentions.calls(frame.function))) > ways:
                raise Refusal(f"`{frame.function.name}` is called by other code as well, which may have a slot already")

    def parts(self, frame: Frame) -> tuple[Ref, _Function, ast.stmt]:
        function, statement = frame.function, frame.statement
        assert function is not None
        assert statement is not None
        return function, self.sources.node_of(function), statement

    def until_read(self, region: Region, statement: ast.stmt, function: Ref) -> Region:
        """The region, up to the last statement beside it that works on what the model gives."""
        names = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        last = region.last
        for index in range(region.last + 1, len(region.block)):
            loaded = {
                n.id for n in ast.walk(region.block[index]) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)
            }
            if names & loaded and isinstance(region.block[index], ast.FunctionDef | ast.AsyncFunctionDef):
                raise Refusal(_AFTERWARDS)
            if names & loaded:
                last = index
        found = Region(region.path, region.block, region.prefix, region.first, last)
        if any(_responds(n) for n in own_nodes(found.statements)):
            raise Refusal(_AFTERWARDS)
        return found

    def semaphore(self, path: str) -> tuple[str, list[Edit]]:
        """The name of a module's semaphore, and what makes it where there is none."""
        tree = self.sources.blocks(path).unit.tree
        for statement in tree.body:
            if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == _SLOTS:
                if isinstance(statement.value, ast.Call) and ast.unparse(statement.value.func).endswith("Semaphore"):
                    return _SLOTS, []
                raise Refusal(f"the name `{_SLOTS}` is taken")
        after = head_of(self.sources, path)
        size = self.project.settings.concurrency
        made = frozen(after=after, target=_SLOTS, kind="asyncio", factory="Semaphore", size=size)
        return _SLOTS, [Edit(path, "define-lock", made)]

    # -- the limiter ---------------------------------------------------------------------------------

    def limiter(self, window: ModelWindow) -> tuple[list[Edit], str]:
        """slowapi's limiter on the route, with all that it needs, and what is left to do by hand; raises Refusal."""
        handler = window.handler
        assert handler is not None
        node = self.sources.node_of(handler)
        self.refuse_handler(window, handler, node)
        edits: list[Edit] = []
        name, made = self.applications.limiter(handler)
        edits += made
        at = self.sources.blocks(handler.path).spot(node).path
        registered = [n for n, d in enumerate(node.decorator_list) if registers(d)]
        rate = self.project.settings.rate_limit
        decorator = frozen(at=at, decorator=f'{name}.limit("{rate}")', above=registered[-1] + 1)
        edits.append(Edit(handler.path, "decorate", decorator))
        if not any(a.arg == "request" for a in _parameters(node)):
            annotation, imported = self.request_name(handler)
            edits += imported
            edits.append(Edit(handler.path, "add-parameter", frozen(at=at, name="request", annotation=annotation)))
        required, note = self.requirement(handler.path)
        return [*edits, *required], note

    def refuse_handler(self, window: ModelWindow, handler: Ref, node: _Function) -> None:
        """Raise Refusal for a handler that slowapi cannot decorate."""
        if any(route.startswith("WEBSOCKET") for route in window.routes):
            raise Refusal("slowapi does not limit WebSockets")
        if not any(registers(d) for d in node.decorator_list):
            raise Refusal(f"`{handler.name}` is not registered by a decorator")
        parameters = _parameters(node)
        if parameters and parameters[0].arg in ("self", "cls"):
            raise Refusal(f"`{handler.name}` is a method")
        if any(ast.unparse(d.func if isinstance(d, ast.Call) else d).endswith(".limit") for d in node.decorator_list):
            raise Refusal("the limiter's decorator stands above the route's, where it limits nothing: put it below")
        for path, call in self.mentions.calls(handler):
            raise Refusal(f"`{handler.name}` is called directly as well, at {path}:{call.lineno}")
        given = next((a for a in parameters if a.arg == "request"), None)
        if given is not None and not self.is_request(handler, given.annotation):
            raise Refusal(f"`{handler.name}` has a `request` that is something else, and slowapi needs that name")
        named = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        if given is None and "request" in named:
            raise Refusal(f"`{handler.name}` uses the name `request` for something else, and slowapi needs it")
        facts = self.program.modules[handler.path]
        future = facts.imports.get("annotations")
        if future is not None and future.module == "__future__":
            raise Refusal("annotations are kept as texts here, which FastAPI does not find behind slowapi's decorator")

    def is_request(self, handler: Ref, annotation: ast.expr | None) -> bool:
        """Whether an annotation is FastAPI's own Request."""
        name = ast.unparse(annotation) if annotation is not None else ""
        found = self.program.resolve(handler.path, name, handler.name) if name else None
        return found is not None and found[0].kind == "external" and found[0].name.endswith("Request")

    def request_name(self, handler: Ref) -> tuple[str, list[Edit]]:
        """What the file calls FastAPI's Request, and the import that it needs."""
        found = self.program.resolve(handler.path, "Request")
        if found is None:
            return "Request", [Edit(handler.path, "import-name", frozen(module="fastapi", name="Request"))]
        if found[0].kind == "external" and found[0].name.startswith(("fastapi", "starlette")):
            return "Request", []
        raise Refusal(f"{handler.path} has another `Request`")

    def requirement(self, path: str) -> tuple[list[Edit], str]:
        """The entry in the project's own list, and what to do by hand where there is none to add to."""
        found = self.project.manifest(path)
        if found is None:
            return [], "Install slowapi: no file was found that lists what the project requires."
        manifest, text = found
        try:
            if insertion(manifest, text, "slowapi", _LEAST) is None:
                return [], ""
        except RequirementError as error:
            return [], f"Add slowapi to {manifest} by hand: {error}."
        return [Edit(manifest, ADD_REQUIREMENT, frozen(package="slowapi", least=_LEAST))], ""


def _parameters(node: _Function) -> list[ast.arg]:
    arguments = node.args
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]


def _makes_several(statement: ast.stmt | None) -> bool:
    """Whether a statement has several coroutines run at once."""
    return statement is not None and any(
        isinstance(n, ast.Call) and ast.unparse(n.func).rpartition(".")[2] in _AT_ONCE for n in own_nodes([statement])
    )


def _is_streamed(call: ModelCall) -> bool:
    """Whether the call only begins what the model says, bit by bit."""
    assert isinstance(call.node, ast.Call)
    streams = any(
        k.arg == "stream" and not (isinstance(k.value, ast.Constant) and not k.value.value) for k in call.node.keywords
    )
    last = call.text.rpartition(".")[2]
    return streams or "stream" in last


def _is_read(statement: ast.stmt) -> bool:
    """Whether a stream is read to its end where it is begun."""
    return isinstance(statement, ast.AsyncFor | ast.AsyncWith | ast.For) or any(
        isinstance(n, ast.comprehension) and n.is_async for n in ast.walk(statement)
    )


def _responds(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in _RESPONSES


def _is_handed_on(statement: ast.stmt, call: ModelCall) -> bool:
    """Whether what the model says is read only after the statement, by whoever gets it."""
    if any(_responds(n) for n in ast.walk(statement)):
        return True
    return _is_streamed(call) and isinstance(statement, ast.Return)
