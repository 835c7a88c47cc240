"""What the models of a project say of its tables, in the words of each library."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autolock.database.migrations import Migrated, migrated, migration_files
from autolock.database.models import Column, Model, Models
from autolock.program.index import index
from autolock.program.linker import Program, Ref


class Project:
    """Sources by path, and the models in them."""

    def __init__(self, migrations: Mapping[str, tuple[frozenset[str], ...]] | None = None, **files: str) -> None:
        sources = {f"{path.replace('__', '/')}.py": textwrap.dedent(text).encode() for path, text in files.items()}
        program = Program({path: index(path, data) for path, data in sources.items()}, sources.__getitem__)
        self.models = Models(program, Migrated(migrations or {}, frozenset()))

    def find(self, name: str, path: str = "app.py") -> Model | None:
        return self.models.of(Ref("class", path, name))

    def model(self, name: str, path: str = "app.py") -> Model:
        found = self.find(name, path)
        assert found is not None
        return found


def uniques(model: Model) -> list[list[str]]:
    return [sorted(names) for names in model.uniques]


# -- SQLAlchemy --------------------------------------------------------------------------------


def test_a_declarative_model_with_annotations() -> None:
    project = Project(
        app="""
        from datetime import datetime
        from enum import Enum
        from uuid import UUID
        from sqlalchemy import ForeignKey, Index, Numeric, String, UniqueConstraint, func
        from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

        class State(Enum):
            NEW = "new"

        class Base(DeclarativeBase):
            pass

        class User(Base):
            __tablename__ = "users"
            id: Mapped[UUID] = mapped_column(primary_key=True)
            email: Mapped[str] = mapped_column(String(100), unique=True)
            orders: Mapped[list["Order"]] = relationship(back_populates="user", lazy="selectin")

        class Order(Base):
            __tablename__ = "orders"
            __table_args__ = (
                UniqueConstraint("shop", "number"),
                Index("ix_slug", "slug", unique=True),
                Index("ix_open", "user_id", unique=True, postgresql_where="state = 'new'"),
                Index("ix_lower", func.lower("slug"), unique=True),
                {"schema": "shop"},
            )
            __mapper_args__ = {"version_id_col": "version"}
            id: Mapped[int] = mapped_column("order_id", primary_key=True)
            user_id: Mapped[UUID] = mapped_column(ForeignKey("shop.users.id"))
            total: Mapped[float] = mapped_column(Numeric(10, 2), default=0)
            note: Mapped[str | None]
            state: Mapped[State] = mapped_column(server_default="new")
            at: Mapped[datetime]
            shop: Mapped[str]
            number: Mapped[int]
            slug: Mapped[str]
            version: Mapped[int]
            user: Mapped[User] = relationship(lazy="joined")
        """
    )
    assert project.find("Base") is None
    assert project.find("State") is None
    user, order = project.model("User"), project.model("Order")
    assert (user.table, user.library, uniques(user)) == ("users", "sqlalchemy", [["id"], ["email"]])
    orders = user.relationships["orders"]
    assert (orders.target, orders.lazy, orders.uselist) == (order.ref, "selectin", True)
    assert order.relationships["user"].uselist is False
    assert uniques(order) == [["id"], ["number", "shop"], ["slug"]]
    assert sorted(map(sorted, order.partial_uniques)) == [["slug"], ["user_id"]]
    assert order.version_column == "version"
    assert order.columns["id"] == Column("id", "order_id", "int", primary_key=True)
    assert order.columns["user_id"] == Column("user_id", "user_id", "uuid", foreign_key="users.id")
    assert order.columns["total"] == Column("total", "total", "decimal", has_default=True)
    assert order.columns["note"] == Column("note", "note", "str", nullable=True)
    assert order.columns["state"] == Column("state", "state", "enum", has_default=True)
    assert order.columns["at"].kind == "datetime"


def test_a_model_of_the_old_style_with_mixins() -> None:
    project = Project(
        db="""
        import sqlalchemy as sa
        from sqlalchemy.ext.declarative import declarative_base, declared_attr

        class Defaults:
            id = sa.Column(sa.Integer, primary_key=True)

            @declared_attr
            def __tablename__(cls):
                return cls.__name__.lower()

        Base = declarative_base(cls=Defaults)

        class Owned:
            @declared_attr
            def owner_id(cls):
                return sa.Column(sa.ForeignKey("user.id"), nullable=False)
        """,
        app="""
        from db import Base, Owned
        from sqlalchemy import Column, String, JSON

        class Document(Owned, Base):
            name = Column("title", String, unique=True)
            extra = Column(JSON, default=dict)

        class Abstract(Base):
            __abstract__ = True

        class Note(Document):
            text = Column(String)
        """,
    )
    document = project.model("Document")
    assert (document.table, uniques(document)) == ("document", [["id"], ["name"]])
    assert document.columns["name"] == Column("name", "title", "str", unique=True, nullable=True)
    assert document.columns["owner_id"].foreign_key == "user.id"
    assert document.columns["extra"].kind == "json"
    assert project.find("Abstract") is None
    assert project.find("Owned", "db.py") is None
    assert set(project.model("Note").columns) == {"id", "name", "extra", "owner_id", "text"}


@pytest.mark.parametrize(
    "base",
    [
        "from sqlalchemy.orm import registry\nmapper = registry()\nBase = mapper.generate_base()",
        "from sqlalchemy.orm import as_declarative\n@as_declarative()\nclass Base: ...",
        "from sqlalchemy.orm import DeclarativeMeta\nclass Base(metaclass=DeclarativeMeta): ...",
        "from sqlalchemy.orm import DeclarativeBase as D, MappedAsDataclass\nclass Base(MappedAsDataclass, D): ...",
        "from flask_sqlalchemy import SQLAlchemy\ndb = SQLAlchemy()\nBase = db.Model",
        "from somewhere_else import Base",
    ],
)
def test_bases_of_every_kind(base: str) -> None:
    project = Project(
        app=f"""
{base}
from sqlalchemy import Column, Integer

class Thing(Base):
    __tablename__ = "things"
    id = Column(Integer, primary_key=True)
"""
    )
    assert project.find("Base") is None
    assert project.model("Thing").table == "things"


def test_aliases_of_annotated_columns_and_names_of_constants_are_followed() -> None:
    project = Project(
        common="""
        from typing import Annotated
        from sqlalchemy.orm import DeclarativeBase, mapped_column

        IntPK = Annotated[int, mapped_column(primary_key=True)]
        TABLE = "parts"

        class Base(DeclarativeBase): ...
        """,
        app="""
        from common import TABLE, Base, IntPK
        from sqlalchemy.orm import Mapped

        class Part(Base):
            __tablename__ = TABLE
            id: Mapped[IntPK]
        """,
    )
    part = project.model("Part")
    assert (part.table, part.columns["id"]) == ("parts", Column("id", "id", "int", primary_key=True))


def test_a_base_that_names_tables_in_snake_case() -> None:
    project = Project(
        app="""
        import re
        from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column

        class Base(DeclarativeBase):
            id: Mapped[int] = mapped_column(primary_key=True)

            @declared_attr.directive
            def __tablename__(cls) -> str:
                return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

        class UserGroup(Base):
            name: Mapped[str] = mapped_column(unique=True)
        """
    )
    assert (project.model("UserGroup").table, uniques(project.model("UserGroup"))) == ("user_group", [["id"], ["name"]])
    assert project.find("Base") is None


def test_bases_that_libraries_bring() -> None:
    project = Project(
        app="""
        from advanced_alchemy.base import UUIDAuditBase
        from fastapi_users.db import SQLAlchemyBaseUserTableUUID
        from sqlalchemy.orm import DeclarativeBase, Mapped

        class Base(DeclarativeBase): ...
        class User(SQLAlchemyBaseUserTableUUID, Base):
            nick: Mapped[str]
        class BlogPost(UUIDAuditBase):
            title: Mapped[str]
        """
    )
    user, post = project.model("User"), project.model("BlogPost")
    assert (user.table, uniques(user), user.columns["id"].kind) == ("user", [["id"], ["email"]], "uuid")
    assert (post.table, uniques(post)) == ("blog_post", [["id"]])


def test_core_tables() -> None:
    project = Project(
        app="""
        import sqlalchemy as sa

        metadata = sa.MetaData()
        users = sa.Table(
            "users",
            metadata,
            sa.Column("id", sa.BigInteger, primary_key=True),
            sa.Column("email", sa.String, nullable=False),
            sa.UniqueConstraint("email", name="uq"),
        )
        seats = sa.Table("seats", metadata, sa.Column("who", sa.ForeignKey(users.c.id), unique=True, nullable=False))
        other = Table("x")
        """
    )
    users = project.models.table(Ref("variable", "app.py", "users"))
    seats = project.models.by_table("seats")
    assert users is not None
    assert (users.table, uniques(users)) == ("users", [["id"], ["email"]])
    assert seats is not None
    assert seats.columns["who"] == Column("who", "who", "", unique=True, foreign_key="users.id")
    assert project.models.table(Ref("variable", "app.py", "other")) is None
    assert project.models.table(Ref("variable", "app.py", "metadata")) is None


def test_a_unique_index_beside_the_class() -> None:
    project = Project(
        app="""
        from sqlalchemy import Column, Index, Integer
        from sqlalchemy.orm import declarative_base

        Base = declarative_base()

        class Seat(Base):
            __tablename__ = "seats"
            id = Column(Integer, primary_key=True)
            event = Column(Integer)
            row = Column(Integer)

        Index("one_seat", Seat.event, Seat.row, unique=True)
        """
    )
    assert uniques(project.model("Seat")) == [["id"], ["event", "row"]]


def test_a_name_only_relationship_finds_the_one_model_called_so() -> None:
    project = Project(
        base="from sqlalchemy.orm import declarative_base\nBase = declarative_base()\n",
        user="from base import Base\nfrom sqlalchemy import Column\nclass User(Base):\n    __tablename__ = 'u'\n",
        app="""
        from base import Base
        from sqlalchemy.orm import relationship

        class Item(Base):
            __tablename__ = "items"
            owner = relationship("User")
        """,
    )
    assert project.model("Item").relationships["owner"].target == Ref("class", "user.py", "User")


def test_by_table_prefers_the_class_that_others_inherit() -> None:
    project = Project(
        app="""
        from sqlalchemy import Column, Integer
        from sqlalchemy.orm import declarative_base

        Base = declarative_base()

        class Animal(Base):
            __tablename__ = "Animals"
            id = Column(Integer, primary_key=True)

        class AAA(Animal):
            extra = Column(Integer)
        """
    )
    assert project.model("AAA").table == "Animals"
    assert project.models.by_table("animals") == project.model("Animal")
    assert project.models.by_table("plants") is None


# -- SQLModel ----------------------------------------------------------------------------------


def test_sqlmodel() -> None:
    project = Project(
        app="""
        from typing import ClassVar, Optional
        from sqlalchemy import Column as C, JSON, UniqueConstraint, Column
        from sqlmodel import Field, Relationship, SQLModel

        class HeroBase(SQLModel):
            name: str = Field(unique=True)
            age: Optional[int] = None
            kind: ClassVar[str] = "x"

        class HeroCreate(HeroBase):
            password: str

        class Team(SQLModel, table=True):
            __tablename__ = "teams"
            id: int | None = Field(default=None, primary_key=True)
            heroes: list["Hero"] = Relationship(back_populates="team")

        class Hero(HeroBase, table=True):
            __table_args__ = (UniqueConstraint("team_id", "alias"),)
            id: Optional[int] = Field(default=None, primary_key=True)
            team_id: int = Field(foreign_key="teams.id")
            alias: str = Field(sa_column=Column("nick", JSON, unique=True, nullable=False))
            team: Team = Relationship(sa_relationship_kwargs={"lazy": "selectin"})
        """
    )
    hero = project.model("Hero")
    assert (hero.table, hero.library) == ("hero", "sqlmodel")
    assert uniques(hero) == [["id"], ["name"], ["alias"], ["alias", "team_id"]]
    assert hero.columns["age"] == Column("age", "age", "int", nullable=True, has_default=True)
    assert hero.columns["team_id"].foreign_key == "teams.id"
    assert hero.columns["alias"] == Column("alias", "nick", "json", unique=True)
    assert "kind" not in hero.columns
    assert hero.relationships["team"].lazy == "selectin"
    assert project.model("Team").relationships["heroes"].target == hero.ref
    assert project.find("HeroBase") is None
    assert project.find("HeroCreate") is None


# -- others ------------------------------------------------------------------------------------


def test_tortoise() -> None:
    project = Project(
        app="""
        from tortoise import fields, models

        class Event(models.Model):
            name = fields.CharField(max_length=10)
            slug = fields.CharField(max_length=10, unique=True, null=True, source_field="slug_text")
            tournament = fields.ForeignKeyField("models.Tournament", related_name="events")
            members = fields.ManyToManyField("models.Tournament")

            class Meta:
                table = "event"
                unique_together = (("name", "tournament"),)

        class Tournament(models.Model):
            id = fields.UUIDField(pk=True)
        """
    )
    event = project.model("Event")
    assert (event.table, event.library) == ("event", "tortoise")
    assert uniques(event) == [["id"], ["slug"], ["name", "tournament_id"]]
    assert event.columns["slug"] == Column("slug", "slug_text", "str", unique=True, nullable=True)
    assert event.relationships["tournament"].target == Ref("class", "app.py", "Tournament")
    assert event.relationships["members"].uselist is True
    assert project.model("Tournament").columns["id"].primary_key


def test_piccolo() -> None:
    project = Project(
        app="""
        from piccolo.columns import ForeignKey, Integer, Varchar
        from piccolo.table import Table

        class Band(Table): ...

        class ConcertTicket(Table):
            code = Varchar(unique=True)
            left = Integer(default=0)
            band = ForeignKey(references=Band)
        """
    )
    ticket = project.model("ConcertTicket")
    assert (ticket.table, uniques(ticket)) == ("concert_ticket", [["id"], ["code"]])
    assert ticket.columns["left"] == Column("left", "left", "int", has_default=True)
    assert ticket.relationships["band"].target == Ref("class", "app.py", "Band")


def test_beanie() -> None:
    project = Project(
        app="""
        from typing import Annotated
        from beanie import Document, Indexed, Link
        from pymongo import ASCENDING, IndexModel

        class Shop(Document): ...

        class Product(Document):
            name: Indexed(str, unique=True)
            sku: Annotated[str, Indexed(unique=True)]
            price: float = 0
            shop: Link[Shop]

            class Settings:
                name = "products"
                indexes = [
                    "price",
                    IndexModel([("price", ASCENDING), ("name", ASCENDING)], unique=True),
                    IndexModel("sku", unique=True, sparse=True),
                ]
        """
    )
    product = project.model("Product")
    assert (product.table, product.library) == ("products", "beanie")
    assert uniques(product) == [["id"], ["name"], ["sku"], ["name", "price"]]
    assert product.partial_uniques == (frozenset({"sku"}),)
    assert product.relationships["shop"].target == Ref("class", "app.py", "Shop")


def test_classes_that_are_no_models() -> None:
    project = Project(
        app="""
        from pydantic import BaseModel, Field
        from sqlalchemy import Column, Integer

        class Plain: ...
        class Schema(BaseModel):
            id: int = Field(...)
        class Mixin:
            id = Column(Integer, primary_key=True)
        class Error(Exception): ...
        """
    )
    assert project.models.all() == ()


# -- migrations --------------------------------------------------------------------------------


def write_migration(root: Path, name: str, upgrade: str, downgrade: str = "pass") -> None:
    folder = root / "alembic" / "versions"
    folder.mkdir(parents=True, exist_ok=True)
    body = textwrap.indent(textwrap.dedent(upgrade).strip(), "    ")
    (folder / f"{name}.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n\ndown_revision = None\n\n\n"
        f"def upgrade():\n{body}\n\n\ndef downgrade():\n    {downgrade}\n"
    )


def test_migrations_tell_of_constraints(tmp_path: Path) -> None:
    write_migration(
        tmp_path,
        "one",
        """
        op.create_table(
            "users",
            sa.Column("email", sa.String(), unique=True),
            sa.UniqueConstraint("org", "name", name=op.f("uq_users_org")),
        )
        op.create_unique_constraint("uq_seat", "seats", ["event", "row"])
        op.create_index(op.f("ix_slug"), "posts", ["slug"], unique=True)
        op.create_index("ix_plain", "posts", ["title"], unique=False)
        op.create_index("ix_some", "posts", ["state"], unique=True, postgresql_where=sa.text("x"))
        with op.batch_alter_table("tags", schema=None) as batch_op:
            batch_op.create_unique_constraint("uq_tag", ["name"])
        op.add_column("codes", sa.Column("code", sa.String(), unique=True))
        """,
        downgrade='op.drop_constraint("uq_seat", "seats")',
    )
    assert migrated(migration_files(tmp_path)).uniques == {
        "users": (frozenset({"email"}), frozenset({"org", "name"})),
        "seats": (frozenset({"event", "row"}),),
        "posts": (frozenset({"slug"}),),
        "tags": (frozenset({"name"}),),
        "codes": (frozenset({"code"}),),
    }


@pytest.mark.parametrize(
    ("drop", "left"),
    [
        ('op.drop_constraint("uq", "seats", type_="unique")', False),
        ('op.drop_constraint("uq", "seats")\nop.create_unique_constraint("uq", "seats", ["row"])', True),
        ('op.drop_constraint("uq", "other")', True),
        ('op.drop_constraint("fk", "seats", type_="foreignkey")', True),
        ('op.drop_constraint(name, "seats")', False),
        ("op.drop_constraint(name, table)", False),
        ('op.drop_index("uq")', False),
        ('op.drop_table("seats")', False),
        ('op.execute("ALTER TABLE seats DROP CONSTRAINT seats_row_key")', False),
        ('with op.batch_alter_table("seats") as b:\n    b.drop_constraint("uq")', False),
    ],
)
def test_what_is_dropped_no_longer_counts(tmp_path: Path, drop: str, left: bool) -> None:
    name = "seats_row_key" if "execute" in drop else "uq"
    write_migration(tmp_path, "one", f'op.create_unique_constraint("{name}", "seats", ["row"])  # unique')
    write_migration(tmp_path, "two", f"{drop}  # unique")
    assert bool(migrated(migration_files(tmp_path)).uniques.get("seats")) is left


def test_a_constraint_without_a_name_is_dropped_by_the_database_s_own(tmp_path: Path) -> None:
    write_migration(tmp_path, "one", 'op.create_table("users", sa.Column("email", unique=True))')
    write_migration(tmp_path, "two", 'op.drop_constraint("users_email_key", "users", type_="unique")')
    assert not migrated(migration_files(tmp_path)).uniques.get("users")


def test_migrations_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    write_migration(tmp_path, "one", 'op.create_unique_constraint("uq", "seats", ["row"])')
    (tmp_path / "alembic/versions/bad.py").write_text("down_revision = 1\nop.unique((")
    (tmp_path / "alembic/versions/binary.py").write_bytes(b"\0down_revision op. unique")
    assert migrated(migration_files(tmp_path)).uniques == {"seats": (frozenset({"row"}),)}
    assert migrated(migration_files(tmp_path / "missing")).uniques == {}


def test_migrations_add_what_models_lack() -> None:
    made = {
        "seats": (frozenset({"event_no", "row"}), frozenset({"gone"}), frozenset({"row"})),
        "users": (frozenset({"email"}),),
    }
    project = Project(
        made,
        app="""
        from sqlalchemy import Column, Integer, UniqueConstraint
        from sqlalchemy.orm import declarative_base

        Base = declarative_base()

        class Seat(Base):
            __tablename__ = "seats"
            id = Column(Integer, primary_key=True)
            event = Column("event_no", Integer)
            row = Column(Integer)
            side = Column(Integer)
            __table_args__ = (UniqueConstraint("row", "side"),)
        """,
    )
    # Only `row` was unique once, and `row` and `side` together have taken its place.
    assert uniques(project.model("Seat")) == [["id"], ["row", "side"], ["event", "row"]]


# -- anything ----------------------------------------------------------------------------------

_PIECES = [
    *("Base", "Base, x=1", "SQLModel, table=True", "models.Model", "Table", "Document", "User", "Base[int]", "f()"),
]
_LINES = [
    *("__tablename__ = f'{x}'", "__tablename__ = User.__tablename__", "__table_args__ = x + (UniqueConstraint(*y),)"),
    *("__table_args__ = Base.__table_args__", "__mapper_args__ = {**x, 'version_id_col': 1}", "a = Column()"),
    *("a = Column(*args, **kwargs)", "b: Mapped['Optional[List[']", "b: Mapped[User | None] = relationship(f())"),
    *("c: 'list[User]' = Field(sa_column=x)", "d = ForeignKey(f().x)", "d = Column(ForeignKey(User.d))"),
    *("e = fields.ForeignKeyField()", "meta = {'indexes': [1, {'unique': True}]}", "f: Indexed() = 1"),
    *("Index(unique=True)", "g = relationship(lambda: User.x)", "h = mapped_column(type_=Enum(*x))", "pass"),
    *("def __tablename__(cls): pass", "__table__ = Table()", "i: Annotated[int, Indexed(unique=True)]", "id = None"),
]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["User", "Item", "Base", "Other"]),
            st.sampled_from(_PIECES),
            st.lists(st.sampled_from(_LINES), min_size=1, max_size=6),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_any_class_body_is_survived(written: list[tuple[str, str, list[str]]]) -> None:
    header = (
        "from sqlalchemy import *\nfrom sqlalchemy import Table, Column\nfrom sqlmodel import SQLModel, Field\n"
        "from tortoise import models, fields\nfrom beanie import Document, Indexed\nfrom piccolo.table import Table\n"
        "Base = declarative_base(cls=User)\nUserId = Annotated[UserId, x]\nt = Table(t, *t)\n"
    )
    bodies = [f"class {name}({bases}):\n" + "".join(f"    {line}\n" for line in body) for name, bases, body in written]
    for model in Project(app=header + "".join(bodies)).models.all():
        assert model.table
