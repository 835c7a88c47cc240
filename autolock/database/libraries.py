"""Which library maps a class, told by its bases and by what its body binds; no syntax tree is needed."""

from __future__ import annotations

import re
from collections.abc import Iterator

from autolock.database.schema import Column
from autolock.database.sqlalchemy_members import COLUMN_MAKERS
from autolock.program.facts import ClassFacts
from autolock.program.linker import Program, Ref

_BASES = {
    "DeclarativeBase": ("sqlalchemy", ("sqlalchemy",)),
    "DeclarativeBaseNoMeta": ("sqlalchemy", ("sqlalchemy",)),
    "SQLModel": ("sqlmodel", ("sqlmodel",)),
    "Model": ("tortoise", ("tortoise",)),
    "Table": ("piccolo", ("piccolo",)),
    "BaseUser": ("piccolo", ("piccolo",)),
    "Document": ("beanie", ("beanie", "bunnet")),
    "DocumentWithSoftDelete": ("beanie", ("beanie",)),
    "BeanieBaseUser": ("beanie", ("fastapi_users", "fastapi_users_db_beanie")),
    "BeanieBaseAccessToken": ("beanie", ("fastapi_users", "fastapi_users_db_beanie")),
}
_MORE = {
    ("odmantic", "Model"): "odmantic",
    ("mongoengine", "Document"): "mongoengine",
    ("mongoengine", "DynamicDocument"): "mongoengine",
    ("ormar", "Model"): "ormar",
}
_MAKERS = frozenset({"declarative_base", "generate_base", "automap_base"})
_DECORATORS = frozenset({"as_declarative", "as_declarative_base"})
_MAPPERS = frozenset({"mapped", "mapped_as_dataclass"})
_METACLASSES = frozenset({"DeclarativeMeta", "DeclarativeAttributeIntercept", "DCTransformDeclarative"})
#: Bases that say nothing of a database.
_PLAIN = frozenset(
    {"object", "Generic", "Protocol", "ABC", "BaseModel", "MappedAsDataclass", "AsyncAttrs", "TypedDict", "NamedTuple"}
    | {"Exception", "Enum", "StrEnum", "str", "int", "dict"}
)
_BODY = frozenset({"__tablename__", "__table__"})

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_USER_TABLES = {"BaseUser": "user", "BaseOAuthAccount": "oauth_account", "BaseAccessToken": "accesstoken"}


def library_of(program: Program, ref: Ref) -> str:
    """`sqlalchemy`, `sqlmodel`, `tortoise`, ...; empty for a class that is certainly no model.

    A class may still turn out to be none: a base or a mixin of models.
    """
    facts = program.klass(ref)
    if facts is None:
        return ""
    perhaps = any(name.rpartition(".")[2] in _MAPPERS for name in facts.decorators)
    for name in bases_of(program, ref):
        library = _known(name)
        if library:
            return library
        perhaps |= name.rpartition(".")[2] not in _PLAIN
    return "sqlalchemy" if perhaps and any(_speaks_of_columns(program, cls) for cls in classes(program, ref)) else ""


def is_base(program: Program, ref: Ref) -> bool:
    """Whether the class is what models of SQLAlchemy derive from, not a model itself."""
    facts = program.klass(ref)
    if facts is None:
        return False
    if facts.metaclass.rpartition(".")[2] in _METACLASSES:
        return True
    if any(name.rpartition(".")[2] in _DECORATORS for name in facts.decorators):
        return True
    scope = ref.name.rpartition(".")[0]
    for base in facts.bases:
        found = program.resolve(ref.path, base, scope)
        name = found[0].name if found is not None and found[0].kind == "external" else "" if found else base
        if name.rpartition(".")[2] in ("DeclarativeBase", "DeclarativeBaseNoMeta"):
            return True
    return False


def classes(program: Program, ref: Ref) -> Iterator[Ref]:
    """The class and its bases in the project, nearest first."""
    return (cls for cls in program.mro(ref) if cls.kind == "class")


def bases_of(program: Program, ref: Ref) -> Iterator[str]:
    """Dotted names of what a class derives from outside the project's own classes.

    A base that a variable holds is called by what made it (`sqlalchemy.orm.declarative_base`).
    """
    for cls in program.mro(ref):
        if cls.kind == "external":
            yield cls.name
            continue
        facts = program.klass(cls)
        if facts is None:
            continue
        if is_base(program, cls):
            yield "sqlalchemy.orm.DeclarativeBase"
        scope = cls.name.rpartition(".")[0]
        for base in facts.bases:
            found = program.resolve(cls.path, base, scope)
            if found is not None and found[0].kind == "variable":
                yield _maker(program, found[0]) if not found[1] else base
            elif found is not None and found[1]:
                yield base


def is_known_base(name: str) -> bool:
    """Whether it is known what a base outside the project brings along."""
    return bool(_known(name) or known_columns(name)) or name.rpartition(".")[2] in _PLAIN


def _maker(program: Program, ref: Ref) -> str:
    binding = program.modules[ref.path].bindings.get(ref.name)
    return binding.callee if binding is not None and binding.callee else ref.name


def _known(name: str) -> str:
    package, short = name.partition(".")[0], name.rpartition(".")[2]
    if short in _MAKERS or _is_advanced(package, short):
        return "sqlalchemy"
    other = _MORE.get((package, short))
    if other:
        return other
    library, packages = _BASES.get(short, ("", ()))
    return library if package in packages else ""


def _speaks_of_columns(program: Program, ref: Ref) -> bool:
    facts = program.klass(ref)
    return facts is not None and (
        not _BODY.isdisjoint(facts.bindings) or _has_columns(facts) or "__tablename__" in facts.methods
    )


def _has_columns(facts: ClassFacts) -> bool:
    return any(binding.callee.rpartition(".")[2] in COLUMN_MAKERS for binding in facts.bindings.values())


def _is_advanced(package: str, short: str) -> bool:
    """Whether a base is one of advanced_alchemy's, which name the table and bring the key."""
    return package in ("advanced_alchemy", "litestar") and short.endswith("Base")


def known_table(base: str, name: str) -> str:
    """The table that a base class outside the project names for a class called `name`; empty for most."""
    package, short = base.partition(".")[0], base.rpartition(".")[2]
    if _is_advanced(package, short):
        return snake_case(name)
    if not package.startswith("fastapi_users") or "SQLAlchemy" not in short:
        return ""
    return next((table for part, table in _USER_TABLES.items() if part in short), "")


def snake_case(name: str) -> str:
    """`UserGroup` as `user_group`."""
    return _WORD_START.sub("_", name).lower()


def known_columns(base: str) -> dict[str, Column]:
    """The columns that a base class outside the project brings along."""
    package, short = base.partition(".")[0], base.rpartition(".")[2]
    key = Column("id", "id", "uuid" if "UUID" in short else "", primary_key=True, has_default=True)
    if package.startswith("fastapi_users"):
        if "AccessToken" in short:
            return {"token": Column("token", "token", "str", primary_key=True)}
        if "OAuthAccount" in short:
            return {"id": key}
        if "BaseUser" in short:
            return {"id": key, "email": Column("email", "email", "str", unique=True)}
    if _is_advanced(package, short):
        return {"id": key}
    if package == "piccolo" and short == "BaseUser":
        return {
            "username": Column("username", "username", "str", unique=True),
            "email": Column("email", "email", "str", unique=True),
        }
    return {}
