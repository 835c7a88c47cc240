"""Where two ends of a window stand in the code of the function that sees both: branches, and turns of loops."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence

from autolock.program.linker import Program, Ref
from autolock.program.trace import Candidate, Frame, Write

#: What a test of local names is made of.
_PLAIN = (ast.Name, ast.Constant, ast.Compare, ast.BoolOp, ast.UnaryOp, ast.cmpop, ast.boolop, ast.unaryop, ast.Load)


class Branches:
    """Knows the branches around the statements of one program's functions."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._around: dict[Ref, dict[int, tuple[tuple[ast.If, bool], ...]]] = {}

    def exclude(self, candidate: Candidate) -> bool:
        """Whether the read is made only where a test of local names is true, and the write only where it is false."""
        depth = shared_frames(candidate.read.stack, candidate.write.stack)
        if not depth:
            return False
        first, last = candidate.read.stack[depth - 1], candidate.write.stack[depth - 1]
        if first.function is None or first.statement is None or last.statement is None:
            return False
        around = self._branches(first.function)
        before = {ast.unparse(test.test): (test, side) for test, side in around.get(id(first.statement), ())}
        for test, side in around.get(id(last.statement), ()):
            other = before.get(ast.unparse(test.test))
            if other is not None and other[0] is not test and other[1] != side:
                return self._stays(first.function, test.test)
        return False

    def are_apart(self, one: Sequence[Frame], other: Sequence[Frame]) -> bool:
        """Whether two places stand on the two sides of one test, so that a run comes to either of them."""
        depth = shared_frames(one, other)
        function = one[depth - 1].function if depth else None
        if function is None:
            return False
        around = self._branches(function)
        sides = {id(test): side for test, side in around.get(id(one[depth - 1].statement), ())}
        return any(sides.get(id(test), side) != side for test, side in around.get(id(other[depth - 1].statement), ()))

    def is_conditional(self, write: Write) -> bool:
        """Whether a write is made only where some test of its own function comes out so."""
        return bool(self._branches(write.function).get(id(write.stack[-1].statement)))

    def replaces(self, write: Write) -> bool:
        """Whether an element that is there gets another value: `d[k] = max(d[k], n)`, `if k in d: d[k] = n`."""
        statement = write.stack[-1].statement
        targets = [t for t in getattr(statement, "targets", ()) if isinstance(t, ast.Subscript)]
        if not isinstance(statement, ast.Assign) or len(targets) != len(statement.targets):
            return False
        looked = {ast.unparse(n) for n in ast.walk(statement.value) if isinstance(n, ast.Subscript)}
        around = self._branches(write.function).get(id(statement), ())
        tests = {ast.unparse(part) for test, side in around if side for part in _parts(test.test)}
        return all(
            ast.unparse(t) in looked or f"{ast.unparse(t.slice)} in {ast.unparse(t.value)}" in tests for t in targets
        )

    def queues_again(self, candidate: Candidate) -> bool:
        """Whether a loop adds to the end of what it came from: nothing is overwritten by that."""
        write, frame = candidate.write, candidate.read.stack[-1]
        call = write.node
        if write.kind != "insert" or not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            return False
        if call.func.attr not in ("append", "appendleft") or frame.function is None:
            return False
        body = self.program.syntax_of(frame.function)
        loops = [n for n in ast.walk(body) if isinstance(n, ast.For | ast.AsyncFor)] if body is not None else []
        taken = names_in(getattr(frame.statement, "targets", ()))
        return any(
            (loop is frame.statement or taken & names_in([loop.iter])) and any(n is call for n in ast.walk(loop))
            for loop in loops
        )

    def _branches(self, function: Ref) -> dict[int, tuple[tuple[ast.If, bool], ...]]:
        """For each statement of a function the `if`s that it is in, and on which side."""
        if function not in self._around:
            node = self.program.syntax_of(function)
            self._around[function] = dict(_walk(node.body, ())) if node is not None else {}
        return self._around[function]

    def _stays(self, function: Ref, test: ast.expr) -> bool:
        """Whether a test comes out the same each time: it asks parameters that nobody binds again."""
        node = self.program.syntax_of(function)
        if node is None or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return False
        names = {n.id for n in ast.walk(test) if isinstance(n, ast.Name)}
        arguments = node.args
        own = {a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
        bound = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store | ast.Del)}
        plain = all(isinstance(n, _PLAIN) for n in ast.walk(test))
        return plain and bool(names) and names <= own and not names & bound


def _parts(test: ast.expr) -> list[ast.expr]:
    """What is true where a test is: `a and b` says both."""
    return test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) else [test]


def names_in(nodes: Iterable[ast.AST]) -> set[str]:
    """The names that some expressions mention."""
    return {n.id for node in nodes for n in ast.walk(node) if isinstance(n, ast.Name)}


def _walk(
    block: Sequence[ast.stmt], around: tuple[tuple[ast.If, bool], ...]
) -> Iterator[tuple[int, tuple[tuple[ast.If, bool], ...]]]:
    for statement in block:
        yield id(statement), around
        for name in ("body", "orelse", "finalbody"):
            inner = getattr(statement, name, None)
            if not isinstance(inner, list) or isinstance(
                statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
            ):
                continue
            side = ((statement, name == "body"),) if isinstance(statement, ast.If) else ()
            yield from _walk(inner, (*around, *side))
        for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
            yield from _walk(part.body, around)


def meet_again(one: Sequence[Frame], other: Sequence[Frame]) -> bool:
    """Whether two stacks lead, below the calls that they have in common, through two calls of one function."""
    depth = shared_frames(one, other)
    return bool({f.function for f in one[depth:]} & {f.function for f in other[depth:]})


def shared_frames(one: Sequence[Frame], other: Sequence[Frame]) -> int:
    """How many calls two stacks have in common, from the outside."""
    depth = 0
    for a, b in zip(one, other, strict=False):
        if a.serial != b.serial:
            break
        depth += 1
    return depth
