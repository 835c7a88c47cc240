"""Where an application is made, where module-level things go, and the limiter that its routes share."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, NamedTuple

from autolock.edits import Edit
from autolock.planning.blocks import Refusal, Sources
from autolock.planning.homes import HomeFinder, frozen, head_of
from autolock.program.index import dotted
from autolock.program.linker import Ref

if TYPE_CHECKING:
    from autolock.program.linker import Program

_NAMES = ("limiter", "rate_limiter")


class Application(NamedTuple):
    """The statement that makes an application: its file, its name, and the function that it is in, if any."""

    path: str
    name: str
    statement: ast.stmt
    function: str


class Applications:
    """Finds applications and gives them slowapi's limiter."""

    def __init__(self, program: Program, sources: Sources, homes: HomeFinder) -> None:
        self.program = program
        self.sources = sources
        self.homes = homes

    def limiter(self, handler: Ref) -> tuple[str, list[Edit]]:
        """The name of the limiter in a handler's file, with the edits that make, import and register it."""
        found = self.existing()
        edits: list[Edit] = []
        if found is not None:
            path, own = found
            name, imported = self.homes.reach(handler, path, own)
            edits += imported
        else:
            path = handler.path
            name = own = next((n for n in _NAMES if not self.is_said(path, n)), "")
            if not name:
                raise Refusal(f"{path} uses the names {' and '.join(f'`{n}`' for n in _NAMES)} already")
            place = head_of(self.sources, path)
            made = frozen(at=place, code=f"{name} = Limiter(key_func=get_remote_address)")
            edits.append(Edit(path, "insert-after", made))
            edits += [
                self.imported(path, "slowapi", "Limiter", place),
                self.imported(path, "slowapi.util", "get_remote_address", place),
            ]
        return name, [*edits, *self.registered(path, own)]

    def registered(self, path: str, name: str) -> list[Edit]:
        """`app.state.limiter`, and an answer for those who are refused, where the application has them not yet."""
        kept, answered = self.is_kept(), self.is_answered()
        if kept and answered:
            return []
        app = self.application()
        place = self.sources.blocks(app.path).spot(app.statement).path
        edits: list[Edit] = []
        if not kept:
            said, imported = self.homes.reach(Ref("function", app.path, app.function), path, name)
            edits += [_before(edit, place) for edit in imported]
            edits.append(Edit(app.path, "insert-after", frozen(at=place, code=f"{app.name}.state.limiter = {said}")))
        if not answered:
            code = f"{app.name}.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)"
            edits.append(Edit(app.path, "insert-after", frozen(at=place, code=code)))
            before = "" if app.function else place
            edits += [
                self.imported(app.path, "slowapi", "_rate_limit_exceeded_handler", before),
                self.imported(app.path, "slowapi.errors", "RateLimitExceeded", before),
            ]
        return edits

    def application(self) -> Application:
        """The one application of the program; raises Refusal where there are several, or none is seen."""
        found = list(self.applications())
        if len(found) != 1:
            raise Refusal("several applications are made here" if found else "the application was not found")
        return found[0]

    def applications(self) -> list[Application]:
        """Every `name = FastAPI(...)`."""
        found: list[Application] = []
        for path, facts in self.program.modules.items():
            if not any(i.module.partition(".")[0] == "fastapi" for i in facts.imports.values()):
                continue
            unit = self.program.unit(path)
            if unit is None:
                continue
            scopes: list[tuple[str, ast.AST]] = [("", unit.tree), *unit.functions.items()]
            for function, scope in scopes:
                found += [Application(path, name, s, function) for s, name in _made(scope)]
        return found

    def existing(self) -> tuple[str, str] | None:
        """The file and name of a module's limiter that the program has already."""
        for path, facts in self.program.modules.items():
            for name, binding in facts.bindings.items():
                resolved = self.program.resolve(path, binding.callee) if binding.callee else None
                if resolved is not None and resolved[0].kind == "external":
                    full = ".".join((resolved[0].name, *resolved[1]))
                    if full in ("slowapi.Limiter", "slowapi.extension.Limiter"):
                        return path, name
        return None

    def is_kept(self) -> bool:
        """Whether something sets `app.state.limiter`."""
        return any(
            m.endswith("state.limiter")
            for facts in self.program.modules.values()
            for scope in (facts.module_mutates, *(f.mutates for f in facts.functions.values()))
            for m in scope
        )

    def is_answered(self) -> bool:
        """Whether the application answers RateLimitExceeded."""
        for path, facts in self.program.modules.items():
            if not any(i.name == "RateLimitExceeded" or i.module == "slowapi.errors" for i in facts.imports.values()):
                continue
            unit = self.program.unit(path)
            if any(_answers(node) for node in (ast.walk(unit.tree) if unit is not None else ())):
                return True
        return False

    def is_said(self, path: str, name: str) -> bool:
        """Whether a file uses a name for anything."""
        return self.homes.is_taken(path, name)

    def imported(self, path: str, module: str, name: str, before: str) -> Edit:
        """The import of something of slowapi; raises Refusal where the file has the name for something else."""
        found = self.program.resolve(path, name)
        full = ".".join((found[0].name, *found[1])) if found is not None else ""
        if found is not None and not full.startswith("slowapi"):
            raise Refusal(f"{path} has another `{name}`")
        return Edit(path, "import-name", frozen(module=module, name=name, before=before))


def _answers(node: ast.AST) -> bool:
    """Whether a call registers a handler for RateLimitExceeded."""
    if not isinstance(node, ast.Call):
        return False
    given = (*node.args, *(k.value for k in node.keywords))
    last = dotted(node.func).rpartition(".")[2]
    return last in ("add_exception_handler", "exception_handler", "FastAPI") and any(
        "RateLimitExceeded" in ast.unparse(a) for a in given
    )


def _before(edit: Edit, place: str) -> Edit:
    """An import that must stand above a place."""
    return Edit(edit.path, edit.codemod, frozen(**{**edit.arguments, "before": place.partition(".")[0]}))


def _made(scope: ast.AST) -> list[tuple[ast.stmt, str]]:
    """The statements of a function or module, not of functions in it, that make an application, with its name."""
    found: list[tuple[ast.stmt, str]] = []
    stack: list[ast.AST] = list(getattr(scope, "body", []))
    while stack:
        node = stack.pop(0)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        value = getattr(node, "value", None) if isinstance(node, ast.Assign | ast.AnnAssign) else None
        if isinstance(value, ast.Call) and dotted(value.func).rpartition(".")[2] == "FastAPI":
            target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
            name = dotted(target) if isinstance(target, ast.expr) else ""
            if name and isinstance(node, ast.stmt):
                found.append((node, name))
        stack += [c for c in ast.iter_child_nodes(node) if isinstance(c, ast.stmt)]
    return found
