"""Objects that are shown or copied as a whole: what is added to them is shown and copied as well."""

from __future__ import annotations

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


def classes_in(value: Value) -> set[Ref]:
    """The classes of the objects that a value is or holds."""
    found: set[Ref] = set()
    seen: set[int] = set()
    level = [value]
    for _ in range(_DEEP):
        objects = [v.obj for v in level if id(v.obj) not in seen]
        seen.update(map(id, objects))
        found |= {o.type.ref for o in objects if isinstance(o, Heap) and o.type.kind == "instance" and o.type.ref}
        level = [held for obj in objects for held in _held(obj)]
    return found


def _held(obj: object) -> list[Value]:
    if isinstance(obj, Group):
        return obj.items
    return list(obj.fields.values()) if isinstance(obj, Heap) else []
