"""Files that are read, changed and written back."""

from __future__ import annotations

import ast

from autolock.program.core import Core
from autolock.program.expressions import Expressions
from autolock.program.values import External, FileHandle, Heap, Location, Root, Type, Value

_OPENERS = ("builtins.open", "io.open", "aiofiles.open", "anyio.open_file", "codecs.open")
_LOADERS = frozenset({"load", "safe_load", "reader", "DictReader", "full_load", "load_all"})
_DUMPERS = frozenset({"dump", "safe_dump"})
_MOVERS = frozenset({"os.replace", "os.rename", "shutil.move", "shutil.copy", "shutil.copyfile", "shutil.copy2"})
_TABLES = ("csv.writer", "csv.DictWriter")
_LINES = ("write", "writelines")
_ROWS = ("writerow", "writerows")
_SIBLINGS = frozenset({"with_suffix", "with_name", "with_stem", "joinpath", "with_segments"})
_PATHS = ("pathlib.Path", "anyio.Path", "pathlib.PosixPath", "aiopath.AsyncPath")


class Files(Expressions, Core):
    """The part of the interpreter that knows `open`, `Path.read_text`, `json.load` and their like."""

    def file_call(self, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.Call) -> Value | None:
        """A call of something outside the project that has to do with files; None when it has not."""
        short = name.rpartition(".")[2]
        if name in _PATHS:
            term = f"Path({','.join(a.term for a in args)})" if all(a.term for a in args) else ""
            return Value(Heap(Type("external", name="path")), frozenset(), term, any(a.request for a in args), "new")
        if name in _TABLES and args and isinstance(args[0].obj, FileHandle):
            return Value(args[0].obj)
        if name in _OPENERS and args:
            return self.opened(args[0], _mode(args[1:], kwargs))
        if short in _LOADERS:
            handle = next((a.obj for a in args if isinstance(a.obj, FileHandle)), None)
            if handle is not None:
                return self.file_read(handle, node)
        if short in _DUMPERS:
            handle = next((a.obj for a in (*args, *kwargs.values()) if isinstance(a.obj, FileHandle)), None)
            if args:
                self.dumped = args[0].reads
            if handle is not None and args:
                return self.file_write(handle, args[0], node)
        if name in _MOVERS and len(args) >= 2:
            location = self.file_location(args[1])
            if location is not None:
                return self.file_write(FileHandle(location, "w"), Value(None, self.dumped | args[0].reads), node)
        if name in ("os.path.exists", "os.path.isfile") and args and args[0].term:
            location = self.file_location(args[0])
            if location is not None:
                return Value(None, self.read(location, "", "contains", node))
        return None

    def opened(self, path: Value, mode: str) -> Value:
        location = self.file_location(path)
        return Value(FileHandle(location, mode)) if location is not None else Value(External("autolock.file"))

    def file_method(
        self, receiver: Value, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.Call
    ) -> Value | None:
        """A method of an open file or of a path; None when the receiver is neither."""
        obj = receiver.obj
        if isinstance(obj, FileHandle):
            if name in ("read", "readlines", "readline"):
                return self.file_read(obj, node)
            if name in _ROWS and args and not args[0].reads:
                return Value(None)  # a header: what the file is to hold comes with the other rows
            if name in (*_ROWS, *_LINES) and args:
                return self.file_write(obj, args[0], node)
            return Value(None)
        if isinstance(obj, Heap) and obj.type.name == "path":
            return self.path_method(receiver, name, args, kwargs, node)
        return None

    def path_method(
        self, receiver: Value, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.Call
    ) -> Value | None:
        location = self.file_location(receiver)
        if name in _SIBLINGS:
            return Value(Heap(Type("external", name="path")), frozenset(), "", receiver.request, "new")
        if name in ("write_text", "write_bytes") and args:
            self.dumped = args[0].reads
        if location is None and name not in ("replace", "rename"):
            return None
        if location is None:
            location = Location(Root("file", "", ""))
        if name in ("read_text", "read_bytes"):
            return self.file_read(FileHandle(location, "r"), node)
        if name in ("write_text", "write_bytes") and args:
            return self.file_write(FileHandle(location, "w"), args[0], node)
        if name in ("replace", "rename") and args:
            target = self.file_location(args[0])
            if target is not None:
                return self.file_write(FileHandle(target, "w"), Value(None, self.dumped), node)
        if name == "open":
            return Value(FileHandle(location, _mode(args, kwargs)))
        if name in ("exists", "is_file"):
            return Value(None, self.read(location, "", "contains", node))
        if name in ("resolve", "absolute", "expanduser"):
            return receiver
        return None

    def file_read(self, handle: FileHandle, node: ast.AST) -> Value:
        reads = self.read(handle.location, "", "load", node)
        self.switch(node)
        return Value(None, reads, "", False, "call")

    def looked_into(self, location: Location) -> bool:
        """Whether what is in a file has decided that this code runs."""
        return any(r.location == location and r.how == "load" for c in self.state.control for r in c.reads)

    def file_write(self, handle: FileHandle, value: Value, node: ast.AST) -> Value:
        self.dumped = value.reads
        if "a" not in handle.mode:
            self.write(handle.location, "", "assign", value, node)
        elif any(read.location == handle.location for read in value.reads) or self.looked_into(handle.location):
            self.write(handle.location, "", "insert", value, node)
        return Value(None)


def _mode(args: list[Value], kwargs: dict[str, Value]) -> str:
    value = kwargs.get("mode") or (args[0] if args else None)
    return value.term.strip("'\"") if value is not None and value.made == "const" else "r"
