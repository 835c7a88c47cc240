"""A requirement is added to the project's own list, in the form that the list has."""

from __future__ import annotations

import pytest

from codemods.requirements import RequirementError, insertion

CASES = {
    "sorted": ("requirements.txt", "fastapi\nhttpx\nuvicorn\n", "fastapi\nhttpx\nslowapi\nuvicorn\n"),
    "unsorted": ("requirements.txt", "uvicorn==1\nfastapi==2\n", "uvicorn==1\nfastapi==2\nslowapi>=0.1.9\n"),
    "without an end of line": ("requirements.txt", "fastapi==1", "fastapi==1\nslowapi>=0.1.9"),
    "with CRLF": ("requirements.txt", "fastapi==1\r\n", "fastapi==1\r\nslowapi>=0.1.9\r\n"),
    "a comment at its end": ("base.txt", "uvicorn\nfastapi\n# tools\n", "uvicorn\nfastapi\nslowapi\n# tools\n"),
    "an array in one line": (
        "pyproject.toml",
        "[project]\ndependencies = ['fastapi', 'httpx']\n",
        "[project]\ndependencies = ['fastapi', 'httpx', 'slowapi>=0.1.9']\n",
    ),
    "an array in lines": (
        "pyproject.toml",
        '[project]\ndependencies = [\n  "fastapi[all]", # web\n]\n',
        '[project]\ndependencies = [\n  "fastapi[all]", # web\n  "slowapi>=0.1.9",\n]\n',
    ),
    "no last comma": (
        "pyproject.toml",
        '[project]\ndependencies = [\n  "fastapi"\n]\n',
        '[project]\ndependencies = [\n  "fastapi",\n  "slowapi>=0.1.9"\n]\n',
    ),
    "Poetry": (
        "pyproject.toml",
        '[tool.poetry.dependencies]\nfastapi = "^1"\n\n[tool.black]\n',
        '[tool.poetry.dependencies]\nfastapi = "^1"\nslowapi = ">=0.1.9"\n\n[tool.black]\n',
    ),
    "Pipfile": ("Pipfile", '[packages]\nfastapi = "*"\n', '[packages]\nfastapi = "*"\nslowapi = ">=0.1.9"\n'),
    "setup.cfg": (
        "setup.cfg",
        "[options]\ninstall_requires =\n    fastapi\n    httpx\n\n[x]\n",
        "[options]\ninstall_requires =\n    fastapi\n    httpx\n    slowapi>=0.1.9\n\n[x]\n",
    ),
}


@pytest.mark.parametrize(("name", "before", "after"), CASES.values(), ids=CASES)
def test_one_entry_is_added_and_can_be_taken_back(name: str, before: str, after: str) -> None:
    made = insertion(name, before, "slowapi", "0.1.9")
    assert made is not None
    assert made.applied(before) == after
    assert made.undone(after) == before


@pytest.mark.parametrize("text", ["fastapi\nslowapi==0.1.8\n", "SlowAPI\n"])
def test_what_is_required_is_not_added_again(text: str) -> None:
    assert insertion("requirements.txt", text, "slowapi", "0.1.9") is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("requirements.txt", "fastapi==1 \\\n    --hash=sha256:00\n"),
        ("pyproject.toml", '[project]\ndynamic = ["dependencies"]\n'),
        ("setup.cfg", "[options]\ninstall_requires = fastapi\n"),
    ],
)
def test_a_list_that_is_not_understood_is_left_alone(name: str, text: str) -> None:
    with pytest.raises(RequirementError):
        insertion(name, text, "slowapi", "0.1.9")
