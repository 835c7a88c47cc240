"""What a run has settled before it writes a row, each beside the neighbour that has not."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Sessions = async_sessionmaker(create_async_engine("postgresql+asyncpg://db/press"), expire_on_commit=False)
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Article(Base):
    __tablename__ = "articles"
    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(unique=True)
    hidden: Mapped[bool]
    pinned: Mapped[bool]
    state: Mapped[str]
    address: Mapped[str]
    logs: Mapped[str]
    revision: Mapped[int]
    reads: Mapped[int]
    words: Mapped[dict] = mapped_column(JSON)

class Page(Base):
    __tablename__ = "pages"
    id: Mapped[int] = mapped_column(primary_key=True)
    article_id: Mapped[int] = mapped_column(ForeignKey("articles.id"))

async def session():
    async with Sessions() as opened:
        yield opened
""".replace("import select, update", "import JSON, ForeignKey, select, update")


def rules(folder: Path, text: str) -> list[str]:
    (folder / "main.py").write_text(HEAD + textwrap.dedent(text), encoding="utf-8")
    found = autolock.check([folder], cache=False).findings
    return [f.rule for f in found if f.certainty.value == "race" and f.rule.startswith("AL2")]


RENEWED = """
async def save(db, slug):
    known = await db.scalar(select(Article).where(Article.slug == slug))
    if known is None:
        db.add(Article(slug=slug, state="new"))
        await db.commit()

@app.post("/articles/{{slug}}")
async def renew(slug: str, db: AsyncSession = Depends(session)):
    article = await db.scalar(select(Article).where(Article.slug == slug, Article.hidden == False))
    {test}
    await save(db, slug)
"""


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("if article is None: raise HTTPException(404)", []),
        ("if not article: return", []),
        ("if article is None and slug.isdigit(): raise HTTPException(404)", ["AL203"]),
        ("if slug.isdigit():\n        if article is None: raise HTTPException(404)", ["AL203"]),
        ("pass", ["AL203"]),
        ("if article is None: raise HTTPException(404)\n    await db.delete(article)", ["AL203"]),
    ],
)
def test_a_row_that_was_there_is_not_made_by_who_asks_for_less(test: str, expected: list[str], tmp_path: Path) -> None:
    assert rules(tmp_path, RENEWED.format(test=test)) == expected


REVISED = """
async def edit(db, id, text, expected):
    article = await db.scalar(select(Article).where(Article.id == id){locked})
    {test}
    article.words = text
    article.revision += 1
    await db.commit()

@app.post("/articles/{{id}}")
async def revise(id: int, db: AsyncSession = Depends(session)):
    async with Sessions() as reading:
        seen = await reading.scalar(select(Article).where(Article.id == id))
    await edit(db, id, {{**seen.words, "more": 1}}, seen.revision)
"""

COMPARED = "if expected is not None and article.revision != expected: raise HTTPException(409)"


@pytest.mark.parametrize(
    ("locked", "test", "racy"),
    [
        (".with_for_update()", COMPARED, False),
        ("", COMPARED, True),
        (".with_for_update()", "pass", True),
        (".with_for_update()", "if article.revision != expected: print('overwritten')", True),
    ],
)
def test_a_revision_that_is_compared_under_the_lock(locked: str, test: str, racy: bool, tmp_path: Path) -> None:
    assert bool(rules(tmp_path, REVISED.format(locked=locked, test=test))) is racy


SWITCHED = """
@app.post("/articles/{{id}}/pin")
async def pin(id: int, db: AsyncSession = Depends(session)):
    article = await db.scalar(select(Article).where(Article.id == id))
    {test}
        raise HTTPException(409)
    await db.execute(update(Article).where(Article.id == id).values(pinned={value}))
    await db.commit()

@app.post("/articles/{{id}}/other")
async def other(id: int, db: AsyncSession = Depends(session)):
    await db.execute(update(Article).where(Article.id == id).values(pinned={other}))
    await db.commit()
"""


@pytest.mark.parametrize(
    ("test", "value", "expected"),
    [
        ("if article.pinned:", "True", []),
        ("if article.pinned is True:", "True", []),
        ("if not article.pinned:", "False", []),
        ("if article.pinned is False:", "True", ["AL202"]),
    ],
)
def test_a_switch_that_is_left_where_it_is(test: str, value: str, expected: list[str], tmp_path: Path) -> None:
    other = "False" if value == "True" else "True"
    assert rules(tmp_path, SWITCHED.format(test=test, value=value, other=other)) == expected


PASSED = """
async def change(db, id, **values):
    article = await db.get(Article, id)
    for name, value in values.items():
        setattr(article, name, value)
    await db.commit()

@app.post("/articles/{{id}}/logs")
async def logs(id: int, text: str, db: AsyncSession = Depends(session)):
    article = await db.get(Article, id)
    if {test}:
        await change(db, id, state='printing')

@app.put("/articles/{{id}}/logs")
async def put(id: int, text: str, db: AsyncSession = Depends(session)):
    (await db.get(Article, id)).state = "ready"
    await db.commit()
"""


@pytest.mark.parametrize(("test", "racy"), [("article.state != 'printing'", False), ("article.state == 'ready'", True)])
def test_what_differs_is_passed_to_a_helper(test: str, racy: bool, tmp_path: Path) -> None:
    assert bool(rules(tmp_path, PASSED.format(test=test))) is racy


CHOSEN = """
@app.post("/articles/{{id}}/address")
async def move(id: int, address: str, db: AsyncSession = Depends(session)):
    article = await db.get(Article, id)
    new = {new}
    if new is not None:
        article.words = IPv4Address(new)
    await db.commit()
"""


@pytest.mark.parametrize(
    ("new", "racy"),
    [
        ("address if str(article.words) != address else None", False),
        ("article.words + address if article.words != address else None", True),
    ],
)
def test_a_value_that_is_chosen_because_it_differs(new: str, racy: bool, tmp_path: Path) -> None:
    assert bool(rules(tmp_path, CHOSEN.format(new=new))) is racy


def test_a_helper_that_sets_something_else_as_well(tmp_path: Path) -> None:
    text = PASSED.format(test="article.state != 'printing'").replace(
        "        setattr(article, name, value)", "        article.state = 'stopped'"
    )
    assert rules(tmp_path, text) == ["AL202"]


LET_GO = """
@app.post("/articles/{{id}}/read")
async def read(id: int, db: AsyncSession = Depends(session)):
    article = await db.get(Article, id)
    article.reads += 1
    {then}
    await db.commit()
"""


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        ("db.expunge_all()", []),
        ("db.expunge(article)", []),
        ("await db.flush()\n    db.expunge_all()", ["AL202"]),
        ("await db.scalar(select(Page).where(Page.id == 1))\n    db.expunge_all()", ["AL202"]),
        ("db.expunge(await db.get(Page, 1))", ["AL202"]),
    ],
)
def test_a_row_that_its_session_lets_go_of_is_not_written(then: str, expected: list[str], tmp_path: Path) -> None:
    assert rules(tmp_path, LET_GO.format(then=then)) == expected


TAKEN_BACK = """
@app.post("/articles/{{id}}/words")
async def words(id: int, db: AsyncSession = Depends(session)):
    article = await db.get(Article, id)
    before = article.words
    article.words = new_words()
    try:
        await db.flush()
    except Exception:
        article.words = {value}
    await db.commit()
"""


@pytest.mark.parametrize(("value", "expected"), [("before", []), ("{**before, 'failed': 1}", ["AL202"])])
def test_what_could_not_be_saved_is_taken_back(value: str, expected: list[str], tmp_path: Path) -> None:
    assert rules(tmp_path, TAKEN_BACK.format(value=value)) == expected


STARTED = """
@app.post("/articles/{{id}}/print")
async def printed(id: int, db: AsyncSession = Depends(session)):
    article = await db.get(Article, id)
    {test}
    article.state = "printing"
    await db.commit()
    for page in await pages_of(id):
        article.words = {{**article.words, page: 1}}
        await db.commit()
{other}
"""

OTHER = """
@app.put("/articles/{id}/words")
async def put(id: int, words: dict, db: AsyncSession = Depends(session)):
    (await db.get(Article, id)).words = words
    await db.commit()
"""


@pytest.mark.parametrize(
    ("test", "other", "racy"),
    [
        ("if article.state != 'ready': return", "", False),
        ("if article.state != 'ready': return", OTHER, True),
        ("pass", "", True),
    ],
)
def test_a_row_that_is_underway_is_nobody_elses(test: str, other: str, racy: bool, tmp_path: Path) -> None:
    folder = tmp_path
    (folder / "main.py").write_text(HEAD + STARTED.format(test=test, other=other), encoding="utf-8")
    found = autolock.check([folder], cache=False).findings
    assert any("Article.words" in f.message for f in found if f.rule == "AL202") is racy


STEPS = """
@app.post("/articles/{{id}}/pages")
async def pages(id: int, db: AsyncSession = Depends(session)):
    article = await db.get(Article, id)
    article.state = "filling"
    await db.commit()
    db.add(Page(article_id=article.id))
    {end}
    await db.commit()
"""


@pytest.mark.parametrize(("end", "racy"), [("article.state = 'filled'", False), ("article.hidden = True", True)])
def test_a_mark_of_how_far_a_run_has_come_is_no_half(end: str, racy: bool, tmp_path: Path) -> None:
    assert ("AL201" in rules(tmp_path, STEPS.format(end=end))) is racy


LIMITED = """
@app.post("/articles/{{id}}/read")
async def read(id: int, more: int, db: AsyncSession = Depends(session)):
    article = await db.get(Article, id)
    if article.reads + more > article.revision:
        raise HTTPException(409)
    done = await db.execute(
        update(Article).where(Article.id == id{asked}).values(reads=Article.reads + more)
    )
    await db.commit()
    if done.rowcount == 0:
        raise HTTPException(409)
"""


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (", Article.reads + more <= Article.revision", []),
        (", Article.revision >= Article.reads + more", []),
        (", Article.revision >= more", ["AL202"]),
    ],
)
def test_a_statement_that_compares_two_columns_asks_about_both(tmp_path: Path, asked: str, expected: list[str]) -> None:
    assert rules(tmp_path, LIMITED.format(asked=asked)) == expected


NAMED_ONCE = """
@app.post("/articles/{{id}}/address")
async def name(id: int, db: AsyncSession = Depends(session)):
    article = await db.get(Article, id)
    if article.address is not None:
        return
    now = await db.scalar(select({asked}).where(Article.id == id){locked})
    if {test}:
        return
    article.address = f"{{article.id}}-{{article.reads}}"
    article.state = "named"
    await db.commit()
"""

CLEARED = """
@app.delete("/articles/{id}/address")
async def take_back(id: int, db: AsyncSession = Depends(session)):
    article = await db.get(Article, id)
    article.address = None
    await db.commit()
"""


@pytest.mark.parametrize(
    ("asked", "locked", "test", "racy"),
    [
        ("Article.address", ".with_for_update()", "now is not None", False),
        ("Article.address", "", "now is not None", True),
        ("Article.state", ".with_for_update()", "now is not None", True),
        ("Article", ".with_for_update()", "now.address is not None", True),  # the session shows what it had before
    ],
)
def test_a_column_that_is_asked_for_again_under_the_lock(
    asked: str, locked: str, test: str, racy: bool, tmp_path: Path
) -> None:
    text = NAMED_ONCE.format(asked=asked, locked=locked, test=test)
    assert bool(rules(tmp_path, text + CLEARED)) is racy


NAMED = """
@app.put("/articles/{{slug}}")
async def article_of(slug: str, db: AsyncSession = Depends(session)):
    try:
        known = await db.scalar(select(Article).where(Article.slug == slug))
        if known is not None:
            {found}
        article = Article(slug=slug)
        db.add(article)
        await db.commit()
        return article
    except {caught}:
        {then}
"""

RETURNED = "return known"
REFUSED = "raise HTTPException(409, 'taken')"


@pytest.mark.parametrize(
    ("found", "caught", "then", "expected"),
    [
        (RETURNED, "Exception", "raise HTTPException(500, 'failed')", ["AL203"]),
        (RETURNED, "Exception", "await db.rollback()\n        raise ValueError(slug)", ["AL203"]),
        (RETURNED, "Exception", "return await db.scalar(select(Article).where(Article.slug == slug))", []),
        (RETURNED, "Exception as e", "if 'slug' in str(e): return None\n        raise HTTPException(500)", []),
        (RETURNED, "IntegrityError", "raise HTTPException(409, 'taken')", []),
        (REFUSED, "Exception", "raise HTTPException(500, 'failed')", []),
    ],
)
def test_who_only_fails_has_no_answer_where_the_row_that_is_there_was_wanted(
    found: str, caught: str, then: str, expected: list[str], tmp_path: Path
) -> None:
    body = "\nfrom sqlalchemy.exc import IntegrityError\n" + NAMED.format(found=found, caught=caught, then=then)
    assert rules(tmp_path, body) == expected
