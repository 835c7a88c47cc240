"""What a project wants of endpoints that call a model, and where it lists what it needs installed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

#: Where a project lists its requirements, the file that decides first.
_MANIFESTS = (
    *("pyproject.toml", "Pipfile", "setup.cfg", "requirements.in", "requirements/base.in", "requirements.txt"),
    *("requirements/base.txt", "requirements/prod.txt", "requirements/production.txt", "requirements/requirements.txt"),
)


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """The numbers of a fix: how many calls of a process may be in flight, and how often one address may ask."""

    concurrency: int = 8
    rate_limit: str = "60/minute"


DEFAULTS = ModelSettings()


@dataclass(frozen=True, slots=True)
class ModelProject:
    """The settings, and the folder that fixes may write to, None where there is none."""

    settings: ModelSettings = DEFAULTS
    root: Path | None = None

    def manifest(self, path: str) -> tuple[str, str] | None:
        """The file, relative to the root, in which FastAPI is required for the code in `path`, and its text."""
        if self.root is None:
            return None
        for folder in Path(path).parents:
            for name in _MANIFESTS:
                file = folder / name
                try:
                    text = (self.root / file).read_bytes().decode("utf-8")
                except (OSError, UnicodeDecodeError):
                    continue
                if "fastapi" in text.lower():
                    return file.as_posix(), text
        return None


NO_PROJECT = ModelProject()
