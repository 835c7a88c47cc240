"""What is decided by looking at other rows: only where somebody's write turns the decision."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import ForeignKey, create_engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

Sessions = sessionmaker(create_engine("postgresql+psycopg://db/club"))
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Folder(Base):
    __tablename__ = "folders"
    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("folders.id"))
    name: Mapped[str]

class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    role: Mapped[str]
    name: Mapped[str]

class Member(Base):
    __tablename__ = "members"
    folder_id: Mapped[int] = mapped_column(ForeignKey("folders.id"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    role: Mapped[str]

def session():
    with Sessions() as db:
        yield db

"""

DELETE = """
@app.delete("/folders/{id}")
def remove(id: int, db: Session = Depends(session)):
    folder = db.get(Folder, id)
    inside = db.scalar(select(func.count()).where(Folder.parent_id == id))
    if inside > 0:
        raise HTTPException(409)
    db.delete(folder)
    db.commit()

@app.put("/folders/{id}/name")
def rename(id: int, name: str, db: Session = Depends(session)):
    db.get(Folder, id).name = name
    db.commit()
"""

CREATE = """
@app.post("/folders")
def create(parent: int, name: str, db: Session = Depends(session)):
    db.add(Folder(parent_id=parent, name=name))
    db.commit()
"""

MOVE = """
@app.put("/folders/{id}/parent")
def move(id: int, parent: int, db: Session = Depends(session)):
    db.get(Folder, id).parent_id = parent
    db.commit()
"""

SEED = """
def seed(db: Session):
    db.add(Folder(name="first"))
    db.commit()
"""

ROLES = """
@app.put("/users/{{id}}/role")
def change(id: int, db: Session = Depends(session)):
    user = db.get(User, id)
    {check}
    user.role = "{role}"
    db.commit()
"""

LEAVE = """
@app.delete("/users/{id}")
def leave(id: int, db: Session = Depends(session)):
    db.delete(db.get(User, id))
    db.commit()
"""

LAST = 'if db.scalar(select(func.count()).where(User.role == "admin")) <= 1:\n        raise HTTPException(409)'
SOME = 'if not db.scalar(select(func.count()).where(User.role == "admin")):\n        raise HTTPException(409)'
FULL = 'if db.scalar(select(func.count()).where(User.role == "admin")) >= 5:\n        raise HTTPException(409)'


def rules(folder: Path, *parts: str) -> list[str]:
    (folder / "main.py").write_text(HEAD + "".join(textwrap.dedent(p) for p in parts), encoding="utf-8")
    found = autolock.check([folder], cache=False).findings
    return [f.rule for f in found if f.certainty.value == "race" and f.rule.startswith("AL2")]


@pytest.mark.parametrize(("others", "expected"), [([], []), ([SEED], []), ([CREATE], ["AL208"]), ([MOVE], ["AL208"])])
def test_what_is_empty_is_removed_safely_where_nobody_fills_it(
    others: list[str], expected: list[str], tmp_path: Path
) -> None:
    assert rules(tmp_path, DELETE, *others) == expected


@pytest.mark.parametrize(
    ("check", "role", "others", "expected"),
    [
        (LAST, "member", [], ["AL208"]),
        (LAST, "admin", [], []),
        (LAST, "admin", [LEAVE], ["AL208"]),
        (SOME, "member", [], ["AL208"]),
        (FULL, "admin", [], ["AL208"]),
        (FULL, "member", [], []),
        (FULL, "member", [LEAVE], []),
    ],
)
def test_a_write_that_goes_with_the_check_does_not_turn_it(
    check: str, role: str, others: list[str], expected: list[str], tmp_path: Path
) -> None:
    assert rules(tmp_path, ROLES.format(check=check, role=role), *others) == expected


PAGES = """
def page(db: Session, name: str, counted: bool = False):
    query = db.query(User).filter(User.name == name)
    if counted:
        count = query.count()
    if counted:
        return query.all(), count
    return query.all()

@app.delete("/users")
def purge(name: str, counted: bool, db: Session = Depends(session)):
    users = page(db, name, counted)
    if {test}:
        raise HTTPException(404)
    for user in users:
        db.delete(user)
    db.commit()
"""


def test_what_is_counted_beside_the_rows_of_a_page_decides_nothing(tmp_path: Path) -> None:
    assert "AL208" not in rules(tmp_path, PAGES.format(test="not users"))


MEMBERS = """
def current_user() -> int: ...

class Rules:
    def __init__(self, db: Session):
        self.db = db

    def has_role(self, user_id: int, folder_id: int, roles: list):
        member = self.db.query(Member).filter(
            Member.user_id == user_id, Member.folder_id == folder_id, Member.role.in_(roles)
        ).one_or_none()
        return any([member, user_id == 1])

@app.post("/folders/{{id}}/members/{{user_id}}")
def enter(id: int, user_id: int, me: int = Depends(current_user), db: Session = Depends(session)):
    if {test}:
        raise HTTPException(403)
    db.add(Member(folder_id=id, user_id=user_id, role="reader"))
    db.commit()
"""


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ('not Rules(db).has_role(me, id, ["owner"])', []),
        ('Rules(db).has_role(user_id, id, ["reader"])', ["AL203"]),
    ],
)
def test_whether_somebody_else_may_is_no_look_for_the_new_row(test: str, expected: list[str], tmp_path: Path) -> None:
    assert rules(tmp_path, MEMBERS.format(test=test)) == expected


TORTOISE = """
from fastapi import FastAPI, HTTPException
from tortoise import fields
from tortoise.models import Model

app = FastAPI()

class Menu(Model):
    id = fields.IntField(primary_key=True)
    parent_id = fields.IntField()
    name = fields.CharField(max_length=20)
    hits = fields.IntField()

@app.delete("/menus/{id}")
async def remove(id: int):
    if await Menu.filter(parent_id=id).count() > 0:
        raise HTTPException(409)
    await Menu.filter(id=id).delete()

@app.post("/menus")
async def create(parent: int, name: str):
    await Menu.create(parent_id=parent, name=name)

@app.put("/menus/{id}")
async def rename(id: int, name: str):
    menu = await Menu.get(id=id)
    menu.name = name
    await menu.save()

@app.put("/menus/{id}/hits")
async def hits(id: int, hits: int):
    await Menu.filter(id=id).update(hits=hits)
"""


def test_the_advice_is_about_what_was_looked_at(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(TORTOISE, encoding="utf-8")
    found = {f.place.function: f for f in autolock.check([tmp_path], cache=False).findings}
    removal, saving = found["remove"], found["rename"]
    assert (removal.rule, saving.rule) == ("AL208", "AL202")
    assert "`POST /menus` can add one in between" in removal.message
    assert removal.fix is not None
    assert saving.fix is not None
    assert "the row that the others belong to" in removal.fix.reason
    assert "F(" not in removal.fix.reason
    assert "save(update_fields=[...])" in saving.fix.reason


WORKERS = """
import uuid
from collections import deque

items = deque()

class Job(Base):
    __tablename__ = "jobs"
    id: Mapped[int] = mapped_column(primary_key=True)
    token: Mapped[str | None]
    state: Mapped[str]
    tries: Mapped[int]

def fetch():
    with Sessions() as db:
        job = db.scalar(select(Job).where(Job.state == "new").limit(1).with_for_update(skip_locked=True))
        job.token = {token}
        db.commit()
        items.append(job)

def work():
    item = items.popleft()
    with Sessions() as db:
        job = db.scalar(select(Job).where(Job.id == item.id, {asked}))
        job.tries = job.tries + 1
        job.state = "new"
        db.commit()

@app.post("/jobs")
def more(tasks: BackgroundTasks):
    tasks.add_task(fetch)
    tasks.add_task(work)
"""


@pytest.mark.parametrize(
    ("token", "asked", "expected"),
    [
        ("uuid.uuid4()", "Job.token == item.token", []),
        ("uuid.uuid4()", 'Job.state == "new"', ["AL202"]),
        ('"taken"', "Job.token == item.token", ["AL202"]),
    ],
)
def test_a_worker_that_asks_for_its_own_token_is_alone(
    token: str, asked: str, expected: list[str], tmp_path: Path
) -> None:
    code = WORKERS.format(token=token, asked=asked).replace(
        "import uuid", "import uuid\nfrom fastapi import BackgroundTasks"
    )
    assert rules(tmp_path, code) == expected


APART = """
@worker.task
def process(item):
    with Sessions() as db:
        job = db.scalar(select(Job).where(Job.id == item.id, {asked}))
        job.state = "done"
        db.commit()

@worker.task
def again(id):
    with Sessions() as db:
        job = db.get(Job, id)
        job.tries = job.tries + 1
        db.commit()
"""


@pytest.mark.parametrize(("asked", "expected"), [("Job.token == item.token", []), ("Job.tries < 5", ["AL202"])])
def test_what_stands_beside_a_worker_works_under_its_token(asked: str, expected: list[str], tmp_path: Path) -> None:
    first = WORKERS.partition("def work")[0].format(token="uuid.uuid4()")
    last = """
@app.post("/jobs")
def more(tasks: BackgroundTasks):
    tasks.add_task(fetch)
"""
    code = first.replace("import uuid", "import uuid\nfrom fastapi import BackgroundTasks") + APART.format(asked=asked)
    assert rules(tmp_path, code, last) == expected


ONLY = """
@app.post("/users/{id}/owner")
def own(id: int, db: Session = Depends(session)):
    user = db.get(User, id)
    if db.scalar(select(ASKED).where(OTHERS User.role == "owner")) is not None:
        raise HTTPException(409)
    user.role = "ROLE"
    db.commit()
"""


@pytest.mark.parametrize(
    ("asked", "others", "role", "expected"),
    [
        ("User.id", "User.id != id,", "owner", ["AL208"]),
        ("User", "User.id != user.id, User.name == user.name,", "owner", ["AL208"]),
        ("User", "User.id != user.id,", "member", []),
        ("User", "User.id == id,", "owner", []),
    ],
)
def test_only_one_row_may_be_what_no_other_one_was_seen_to_be(
    asked: str, others: str, role: str, expected: list[str], tmp_path: Path
) -> None:
    text = ONLY.replace("ASKED", asked).replace("OTHERS", others).replace("ROLE", role)
    assert rules(tmp_path, text) == expected


def test_an_index_of_some_rows_refuses_the_second(tmp_path: Path) -> None:
    index = 'Index("one_owner", "role", unique=True, postgresql_where=text("role = \'owner\'"))'
    text = HEAD.replace('__tablename__ = "users"', f'__tablename__ = "users"\n    __table_args__ = ({index},)')
    text = text.replace("import ForeignKey,", "import ForeignKey, Index, text,")
    text += ONLY.replace("ASKED", "User.id").replace("OTHERS", "User.id != id,").replace("ROLE", "owner")
    (tmp_path / "main.py").write_text(text, encoding="utf-8")
    assert autolock.check([tmp_path], cache=False).findings == ()
