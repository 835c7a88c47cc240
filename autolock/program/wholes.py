"""Objects that are shown or copied as a whole: what is added to them is shown and copied as well."""

from __future__ import annotations

from collections.abc import Iterator

from autolock.program.linker import Ref
from autolock.program.values import Group, Heap, Value

#: Calls that go through all attributes of an object.
TAKING_ALL = frozenset(
    {
        *("vars", "builtins.vars", "copy.copy", "copy.deepcopy", "pickle.dump", "pickle.dumps", "joblib.dump"),
        *("cloudpickle.dump", "cloudpickle.dumps", "dill.dump", "dill.dumps", "fastapi.encoders.jsonable_encoder"),
    }
)
_DEEP = 4


def classes_in(value: Value, depth: int = _DEEP) -> Iterator[Ref]:
    """The classes of the objects that a value is or holds."""
    obj = value.obj
    if depth == 0:
        return
    if isinstance(obj, Heap) and obj.type.kind == "instance" and obj.type.ref is not None:
        yield obj.type.ref
    held = obj.items if isinstance(obj, Group) else list(obj.fields.values()) if isinstance(obj, Heap) else ()
    for item in held:
        yield from classes_in(item, depth - 1)
