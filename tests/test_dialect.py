"""Which database a project is taken to talk to."""

from __future__ import annotations

from pathlib import Path

import pytest

from autolock.database.dialect import Dialect, dialect_of
from autolock.program.index import index
from autolock.program.parts import traits_of


def dialect(root: Path, files: dict[str, str]) -> Dialect:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    sources = {path: text.encode() for path, text in files.items() if path.endswith(".py")}
    return dialect_of({path: traits_of(index(path, data)).modules for path, data in sources.items()}, root)


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"app/db.py": 'engine = create_async_engine("postgresql+asyncpg://u@h/d")\n'}, "postgresql"),
        ({"app/settings.py": 'url = PostgresDsn.build(scheme="postgresql+psycopg")\n'}, "postgresql"),
        ({"app/models.py": "from sqlalchemy.dialects.postgresql import JSONB\n"}, "postgresql"),
        ({".env.example": "# mysql://no\nDATABASE_URL=sqlite+aiosqlite:///./x.db\n"}, "sqlite"),
        ({"docker-compose.yml": "services:\n  db:\n    image: mariadb:10.11\n"}, "mysql"),
        ({"deploy/compose.yaml": "services:\n  db:\n    image: docker.io/library/postgres:16\n"}, "postgresql"),
        ({"app/store.py": "import aiomysql\n"}, "mysql"),
        ({"pyproject.toml": '[project]\ndependencies = ["fastapi", "asyncpg>=0.29"]\n'}, "postgresql"),
        ({"requirements/base.txt": "x\n", "requirements.txt": "psycopg[binary]==3.1\n"}, "postgresql"),
        # Drivers may be there for the tests, a URL is not.
        ({"db.py": 'URL = "postgresql://h/d"\n', "requirements.txt": "asyncpg\naiosqlite\n"}, "postgresql"),
        ({"db.py": 'URL = "postgresql://h/d"\nif url.startswith("sqlite"): ...\n'}, "postgresql"),
        # SQLite is what applications fall back to.
        ({"db.py": 'URL = getenv("URL", "sqlite:///x.db")\n', "requirements.txt": "asyncpg\n"}, ""),
        ({"db.py": 'URL = getenv("URL", "sqlite:///x.db")\nif URL.startswith("postgres"): ...\n'}, ""),
        ({"db.py": 'A = "sqlite:///x.db"\nB = "mysql://h/d"\n'}, ""),
        ({"requirements.txt": "asyncpg\naiomysql\n"}, ""),
        ({"app/main.py": "import fastapi\n"}, ""),
        ({"requirements.txt": "asyncpg-stubs\nnot-psycopg\n"}, ""),
        ({"tests/compose.yml": "    image: postgres\n"}, ""),
    ],
)
def test_what_a_project_names(tmp_path: Path, files: dict[str, str], name: str) -> None:
    assert dialect(tmp_path, files).name == name


def test_the_evidence_is_a_line(tmp_path: Path) -> None:
    found = dialect(tmp_path, {"app/db.py": 'import x\n\nURL = "mysql+pymysql://h/d"\n'})
    assert found == Dialect("mysql", 'app/db.py:3 URL = "mysql+pymysql://h/d"')


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xff\xfe\0 sqlite\xff")
    assert dialect(tmp_path, {"app/db.py": "x = 1\n"}) == Dialect()
    assert dialect_of({}, tmp_path / "missing") == Dialect()
