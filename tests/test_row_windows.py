"""Races on rows in the styles in which applications write them, each beside code that looks like it and is none."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
from datetime import datetime
from typing import Any, Generic, TypeVar
from fastapi import Depends, FastAPI, HTTPException, Request
from sqlalchemy import Column, ForeignKey, Integer, String, UniqueConstraint, exists, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

engine = create_async_engine("postgresql+asyncpg://db/club")
Sessions = async_sessionmaker(engine, expire_on_commit=False)
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Club(Base):
    __tablename__ = "clubs"
    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(unique=True)
    owner: Mapped[str]
    limit: Mapped[int]
    members: Mapped[int]
    reserved: Mapped[int]
    state: Mapped[str]

class Seat(Base):
    __tablename__ = "seats"
    id: Mapped[int] = mapped_column(primary_key=True)
    club_id: Mapped[int] = mapped_column(ForeignKey("clubs.id"))
    club: Mapped[Club] = relationship()
    name: Mapped[str]

async def session():
    async with Sessions() as opened:
        yield opened
"""

REPOSITORY = """
M = TypeVar("M")

class Repository(Generic[M]):
    model: type[M]

    def __init__(self, session: AsyncSession):
        self.session = session

    @classmethod
    def of(cls, session: AsyncSession):
        return cls(session)

    def statement(self):
        return select(self.model)

    async def one(self, statement) -> M | None:
        result = await self.session.execute(statement)
        return result.unique().scalar_one_or_none()

    async def create(self, object: M, *, flush: bool = False) -> M:
        self.session.add(object)
        if flush:
            await self.session.flush()
        return object

class Clubs(Repository[Club]):
    model = Club

    async def slug_exists(self, slug: str) -> bool:
        return await self.one(self.statement().where(Club.slug == slug)) is not None
"""

GENERIC = """
T = TypeVar("T")

class Store(Generic[T]):
    def __init__(self, session: AsyncSession, model: type[T]):
        self.session = session
        self.model = model

    async def find_one(self, **filters) -> T | None:
        query = select(self.model)
        for field, value in filters.items():
            if hasattr(self.model, field):
                query = query.where(getattr(self.model, field) == value)
        result = await self.session.execute(query)
        return result.scalars().first()

    async def save(self, entity: T) -> T:
        self.session.add(entity)
        await self.session.commit()
        await self.session.refresh(entity)
        return entity

class Clubs(Store[Club]):
    def __init__(self, session: AsyncSession):
        super().__init__(session, Club)

def clubs(db: AsyncSession = Depends(session)) -> Clubs:
    return Clubs(db)
"""

RACES = {
    "a limit whose parent is given as the relationship": (
        "AL203",
        """
        async def count(db: AsyncSession, club: Club) -> int:
            result = await db.execute(select(func.count(Seat.id)).where(Seat.club_id == club.id))
            number = result.scalar()
            if number:
                return number
            return 0

        @app.post("/seats/{club_id}")
        async def take(club_id: int, name: str, db: AsyncSession = Depends(session)):
            club = await db.get(Club, club_id)
            taken = await count(db, club)
            if taken >= club.limit:
                raise HTTPException(409)
            db.add(Seat(club=club, name=name))
            await db.commit()
        """,
    ),
    "a check in a repository, and a row made of a dictionary": (
        "AL203",
        REPOSITORY
        + textwrap.dedent("""
        @app.post("/clubs")
        async def found(data: dict, slug: str, db: AsyncSession = Depends(session)):
            clubs = Clubs.of(db)
            if await clubs.slug_exists(slug):
                raise HTTPException(409)
            values = dict(data)
            values["state"] = "open"
            club = await clubs.create(Club(**values, owner=slug.upper()))
            await db.commit()
            return club.id
        """),
    ),
    "a repository that is given its class and any filters": (
        "AL203",
        GENERIC
        + textwrap.dedent("""
        @app.post("/clubs")
        async def found(slug: str, store: Clubs = Depends(clubs)):
            club = await store.find_one(slug=slug)
            if club:
                return club
            return await store.save(Club(slug=slug, owner="me", limit=3))
        """),
    ),
    "an UPDATE that asks about another column than the one that was checked": (
        "AL202",
        """
        @app.post("/pay/{slug}")
        async def pay(slug: str, cost: int, db: AsyncSession = Depends(session)):
            club = await db.scalar(select(Club).where(Club.slug == slug))
            if club.limit - club.reserved < cost:
                raise HTTPException(402)
            await db.execute(
                update(Club).where(Club.slug == slug).where(Club.limit >= cost).values(reserved=Club.reserved + cost)
            )
            await db.commit()
        """,
    ),
    "the same with columns that SQLModel names by col()": (
        "AL202",
        """
        from sqlmodel import col

        @app.post("/pay/{slug}")
        async def pay(slug: str, cost: int, db: AsyncSession = Depends(session)):
            club = await db.scalar(select(Club).where(col(Club.slug) == slug))
            if club.limit - club.reserved < cost:
                raise HTTPException(402)
            await db.execute(
                update(Club).where(col(Club.slug) == slug).where(col(Club.limit) >= cost).values(
                    reserved=col(Club.reserved) + cost
                )
            )
            await db.commit()
        """,
    ),
    "a row found through a helper with filters by name": (
        "AL202",
        """
        class Store:
            def _query(self, db, cls, **kw):
                kw = {k: v for k, v in kw.items() if v is not None}
                return db.query(cls).filter_by(**kw)

            def club(self, db, slug):
                return self._query(db, Club, slug=slug).one_or_none()

        store = Store()

        @app.post("/join/{slug}")
        def join(slug: str, db: AsyncSession = Depends(session)):
            club = store.club(db, slug)
            if not club:
                raise HTTPException(404)
            club.members = club.members + 1
            db.commit()
        """,
    ),
    "an object that a model validates": (
        "AL203",
        """
        from sqlmodel import Field, SQLModel

        class Guest(SQLModel, table=True):
            id: int | None = Field(default=None, primary_key=True)
            email: str = Field(unique=True)

        class GuestCreate(SQLModel):
            email: str

        def create_guest(*, db: AsyncSession, guest: GuestCreate) -> Guest:
            made = Guest.model_validate(guest, update={"token": 1})
            db.add(made)
            db.commit()
            return made

        @app.post("/guests")
        def register(guest: GuestCreate, db: AsyncSession = Depends(session)):
            if db.exec(select(Guest).where(Guest.email == guest.email)).first():
                raise HTTPException(400)
            return create_guest(db=db, guest=guest)
        """,
    ),
    "text that holds an object, merged by functions": (
        "AL202",
        """
        import json

        class Plugin(Base):
            __tablename__ = "plugins"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(unique=True)
            config_json: Mapped[str] = mapped_column(String)

        async def saved(db: AsyncSession, name: str) -> dict:
            row = await db.scalar(select(Plugin).where(Plugin.name == name))
            return json.loads(row.config_json) if row else {}

        async def store(db: AsyncSession, name: str, config: dict) -> None:
            row = await db.scalar(select(Plugin).where(Plugin.name == name))
            row.config_json = json.dumps(config)
            await db.commit()

        @app.post("/plugins/{name}")
        async def save(name: str, config: dict, db: AsyncSession = Depends(session)):
            merged = {**(await saved(db, name)), **config}
            await store(db, name, merged)
        """,
    ),
    "a row that is given a name that was free": (
        "AL203",
        """
        @app.patch("/clubs/{id}")
        async def rename(id: int, slug: str, db: AsyncSession = Depends(session)):
            other = await db.scalar(select(Club).where(Club.slug == slug))
            if other and other.id != id:
                raise HTTPException(409)
            club = await db.get(Club, id)
            club.slug = slug
            await db.commit()
        """,
    ),
    "a row whose columns are set in a loop after a name was free": (
        "AL203",
        """
        @app.patch("/clubs/{id}")
        async def rename(id: int, data: dict, db: AsyncSession = Depends(session)):
            if await db.scalar(select(Club).where(Club.slug == data["slug"])):
                raise HTTPException(409)
            club = await db.get(Club, id)
            for name, value in data.items():
                setattr(club, name, value)
            await db.commit()
        """,
    ),
    "a row that a dependency has loaded": (
        "AL202",
        """
        async def current(slug: str, db: AsyncSession = Depends(session)) -> Club:
            club = await db.scalar(select(Club).where(Club.slug == slug))
            if club is None:
                raise HTTPException(404)
            return club

        @app.post("/join/{slug}")
        async def join(club: Club = Depends(current), db: AsyncSession = Depends(session)):
            if club.members >= club.limit:
                raise HTTPException(409)
            club.members += 1
            await db.commit()
        """,
    ),
}

CLEAN = {
    "an UPDATE that asks about what is computed from the column that was checked": """
        @app.post("/pay/{slug}")
        async def pay(slug: str, cost: int, db: AsyncSession = Depends(session)):
            club = await db.scalar(select(Club).where(Club.slug == slug))
            if club.limit - club.reserved < cost:
                raise HTTPException(402)
            await db.execute(
                update(Club)
                .where(Club.slug == slug, Club.limit - Club.reserved >= cost)
                .values(reserved=Club.reserved + cost)
            )
            await db.commit()
        """,
    "a value that stays where a service has no new one": """
        @app.post("/clubs/{id}/sync")
        async def sync(id: int, found: dict, db: AsyncSession = Depends(session)):
            club = await db.get(Club, id)
            club.members = found.get("members", club.members)
            await db.commit()
        """,
    "a random token beside a look by token": """
        import secrets

        @app.post("/clubs/{slug}")
        async def copy(slug: str, db: AsyncSession = Depends(session)):
            club = await db.scalar(select(Club).where(Club.slug == slug))
            if club is None:
                token = secrets.token_hex(8)
                db.add(Club(slug=token, owner="me"))
            await db.commit()
        """,
    "rows that an administrator seeds": """
        @app.post("/admin/seed")
        async def seed_clubs(db: AsyncSession = Depends(session)):
            if await db.scalar(select(Club).where(Club.owner == "me")) is None:
                db.add(Club(slug="first", owner="me"))
            await db.commit()
        """,
    "a row whose columns are set in a loop": """
        @app.patch("/clubs/{id}")
        async def change(id: int, data: dict, db: AsyncSession = Depends(session)):
            club = await db.get(Club, id)
            if club is None:
                raise HTTPException(404)
            for name, value in data.items():
                setattr(club, name, value)
            await db.commit()
        """,
    "a name that was free, with an answer where it is not any more": """
        @app.patch("/clubs/{id}")
        async def rename(id: int, slug: str, db: AsyncSession = Depends(session)):
            if await db.scalar(select(Club).where(Club.slug == slug)):
                raise HTTPException(409)
            club = await db.get(Club, id)
            club.slug = slug
            try:
                await db.commit()
            except IntegrityError:
                raise HTTPException(409)
        """,
    "a password that is hashed anew at login": """
        class Person(Base):
            __tablename__ = "people"
            id: Mapped[int] = mapped_column(primary_key=True)
            hashed_password: Mapped[str]

        @app.post("/login/{id}")
        async def login(id: int, password: str, db: AsyncSession = Depends(session)):
            person = await db.get(Person, id)
            verified, renewed = verify(password, person.hashed_password)
            if not verified:
                raise HTTPException(401)
            if renewed:
                person.hashed_password = renewed
                await db.commit()
        """,
    "rows that are seeded when the application starts": """
        @app.on_event("startup")
        async def prepare():
            async with Sessions() as db:
                if await db.scalar(select(Club).where(Club.owner == "me")) is None:
                    db.add(Club(slug="first", owner="me", limit=3))
                await db.commit()

        async def seed_clubs(db: AsyncSession):
            if await db.scalar(select(Club).where(Club.owner == "me")) is None:
                db.add(Club(slug="first", owner="me", limit=3))
            await db.commit()
        """,
    "an UPDATE that follows one that asks again": """
        @app.post("/close/{slug}")
        async def close(slug: str, db: AsyncSession = Depends(session)):
            club = await db.scalar(select(Club).where(Club.slug == slug))
            if club.state == "closed":
                return False
            done = await db.execute(
                update(Club).where(Club.slug == slug, Club.state == "open").values(state="closed")
            )
            if done.rowcount == 1:
                await db.execute(update(Club).where(Club.slug == f"{slug}-old").values(state="archived"))
                await db.commit()

        @app.post("/open/{slug}")
        async def reopen(slug: str, db: AsyncSession = Depends(session)):
            await db.execute(update(Club).where(Club.slug == slug).values(state="open"))
            await db.commit()
        """,
    "an advisory lock that only one of two databases has": """
        @app.post("/clubs")
        async def found(slug: str, db: AsyncSession = Depends(session)):
            await db.scalar(select(func.count(Seat.id)))
            if engine.dialect.name == "postgresql":
                await db.execute(select(func.pg_advisory_xact_lock(7)))
            if await db.scalar(select(Club).where(Club.owner == slug)) is not None:
                raise HTTPException(409)
            db.add(Club(slug=slug, owner=slug, limit=3))
            await db.commit()
        """,
    "a row that is given another name": """
        @app.put("/clubs/{slug}")
        async def rename(slug: str, name: str, seat: str, db: AsyncSession = Depends(session)):
            club = await db.scalar(select(Club).where(Club.slug == slug))
            if club is None:
                raise HTTPException(404)
            club.slug = name
            db.add(Seat(club_id=club.id, name=seat))
            await db.commit()
        """,
    "a change that nobody commits": """
        @app.get("/clubs/{slug}")
        async def show(slug: str, db: AsyncSession = Depends(session)):
            club = await db.scalar(select(Club).where(Club.slug == slug))
            club.members = club.members + 1
            return club
        """,
    "an UPDATE that asks about the column that was checked": """
        @app.post("/pay/{slug}")
        async def pay(slug: str, cost: int, db: AsyncSession = Depends(session)):
            club = await db.scalar(select(Club).where(Club.slug == slug))
            if club.reserved < cost:
                raise HTTPException(402)
            await db.execute(
                update(Club).where(Club.slug == slug).where(Club.reserved >= cost).values(reserved=Club.reserved - cost)
            )
            await db.commit()
        """,
    "a constraint whose violation the application answers everywhere": """
        @app.exception_handler(IntegrityError)
        async def conflict(request, error):
            return JSONResponse({"detail": "taken"}, status_code=409)

        @app.post("/clubs")
        async def found(slug: str, db: AsyncSession = Depends(session)):
            if await db.scalar(select(Club).where(Club.slug == slug)):
                raise HTTPException(409)
            db.add(Club(slug=slug, owner="me", limit=3))
            await db.commit()
        """,
    "a parent that must be there": """
        @app.post("/seats/{club_id}")
        async def take(club_id: int, name: str, db: AsyncSession = Depends(session)):
            club = await db.get(Club, club_id)
            if club is None:
                raise HTTPException(404)
            db.add(Seat(club_id=club.id, name=name))
            await db.commit()
        """,
    "a value that stays when no new one is sent": """
        @app.patch("/clubs/{slug}")
        async def change(slug: str, owner: str | None = None, db: AsyncSession = Depends(session)):
            club = await db.scalar(select(Club).where(Club.slug == slug))
            if club is None:
                raise HTTPException(404)
            club.owner = owner if owner is not None else club.owner
            await db.commit()
        """,
}


def _found(tmp_path: Path, app: str) -> list[str]:
    (tmp_path / "app.py").write_text(HEAD + textwrap.dedent(app), encoding="utf-8")
    report = autolock.check([tmp_path], cache=False)
    return [f.rule for f in report.findings if f.certainty.value == "race" and f.rule.startswith("AL2")]


@pytest.mark.parametrize("name", RACES)
def test_a_race_is_found(tmp_path: Path, name: str) -> None:
    rule, app = RACES[name]
    assert rule in _found(tmp_path, app)


@pytest.mark.parametrize("name", CLEAN)
def test_code_that_only_looks_like_a_race_is_none(tmp_path: Path, name: str) -> None:
    assert _found(tmp_path, CLEAN[name]) == []


MESSAGES = {
    "a constraint on more than was asked": (
        "the unique constraint on `club_id` and `name` makes one of them fail",
        """
        class Badge(Base):
            __tablename__ = "badges"
            __table_args__ = (UniqueConstraint("name", "club_id"),)
            id: Mapped[int] = mapped_column(primary_key=True)
            club_id: Mapped[int] = mapped_column(ForeignKey("clubs.id"))
            name: Mapped[str]

        @app.post("/badges/{club_id}")
        async def give(club_id: int, name: str, db: AsyncSession = Depends(session)):
            if await db.scalar(select(Badge).where(Badge.name == name)) is None:
                db.add(Badge(club_id=club_id, name=name))
                await db.commit()
        """,
    ),
    "a key of which the parent is given": (
        "the unique constraint on `club_id` and `name` makes one of them fail",
        """
        class Badge(Base):
            __tablename__ = "badges"
            club_id: Mapped[int] = mapped_column(ForeignKey("clubs.id"), primary_key=True)
            name: Mapped[str] = mapped_column(primary_key=True)
            club: Mapped[Club] = relationship()

        @app.post("/badges/{slug}")
        def give(slug: str, name: str, db: Session = Depends(session)):
            club = db.query(Club).filter(Club.slug == slug).one()
            badge = db.query(Badge).filter_by(club=club, name=name).one_or_none()
            if not badge:
                db.add(Badge(club=club, name=name))
                db.commit()
        """,
    ),
    "conditions of which nothing is known": (
        "unless a unique constraint refuses the second",
        """
        @app.post("/clubs")
        async def found(request: Request, slug: str, db: AsyncSession = Depends(session)):
            if await db.scalar(select(Club).where(*conditions_of(request))) is None:
                db.add(Club(slug=slug, owner="me", limit=3))
                await db.commit()
        """,
    ),
    "a name in either case": (
        "the unique constraint on `slug` makes one of them fail",
        """
        @app.post("/clubs")
        async def found(slug: str, db: AsyncSession = Depends(session)):
            filters = [func.lower(Club.slug) == func.lower(slug)]
            if await db.scalar(select(Club).where(*filters)) is None:
                db.add(Club(slug=slug, owner="me", limit=3))
                await db.commit()
        """,
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_tells_what_the_database_does(tmp_path: Path, name: str) -> None:
    told, app = MESSAGES[name]
    (tmp_path / "app.py").write_text(HEAD + textwrap.dedent(app), encoding="utf-8")
    (finding,) = [f for f in autolock.check([tmp_path], cache=False).findings if f.rule == "AL203"]
    assert told in finding.message
