"""Which formatter a project uses, and how black has to be set to do the same."""

from __future__ import annotations

import importlib
import re
import sys
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import black

_HOOK = re.compile(r"^\s*(?:-\s*)?id:\s*['\"]?(black|black-jupyter|ruff-format)['\"]?\s*(?:#.*)?$", re.MULTILINE)
_RUFF_FILES = (".ruff.toml", "ruff.toml")


@dataclass(frozen=True, slots=True)
class Style:
    """How a project has its code formatted."""

    line_length: int = 88
    string_normalization: bool = True
    magic_trailing_comma: bool = True
    target_versions: tuple[str, ...] = ()
    preview: bool = False

    def mode(self, *, is_pyi: bool) -> black.Mode:
        """The same for black; a target version that this black does not know is left out."""
        import black
        from black.mode import TargetVersion

        known = {version.name.lower(): version for version in TargetVersion}
        return black.Mode(
            target_versions={known[name] for name in self.target_versions if name in known},
            line_length=self.line_length,
            string_normalization=self.string_normalization,
            magic_trailing_comma=self.magic_trailing_comma,
            preview=self.preview,
            is_pyi=is_pyi,
        )


def style_for(path: Path) -> Style | None:
    """The style of the project that a file is in; None where it uses no formatter, or not on that file.

    The nearest folder above the file that says something counts; none above the repository's root
    is looked at. A configuration that cannot be read says nothing.
    """
    for folder in path.absolute().parents:
        found = _style_in(folder, path.absolute())
        if found is not None:
            return found.style
        if (folder / ".git").exists():
            return None
    return None


@dataclass(frozen=True, slots=True)
class _Found:
    style: Style | None


def _style_in(folder: Path, path: Path) -> _Found | None:
    """What a folder says about formatting: black's configuration, a hook for black, ruff's, a hook for ruff."""
    tools = _table(_toml(folder / "pyproject.toml"), "tool")
    hooks = set(_HOOK.findall(_read(folder / ".pre-commit-config.yaml")))
    if "black" in tools:
        return _Found(_black_style(_table(tools, "black"), path.relative_to(folder).as_posix()))
    if hooks & {"black", "black-jupyter"}:
        return _Found(Style())
    ruff = _ruff_settings(folder, tools)
    if ruff is not None:
        return _Found(_ruff_style(ruff, path.relative_to(folder).as_posix()))
    return _Found(Style()) if hooks else None


def _black_style(settings: Mapping[str, Any], name: str) -> Style | None:
    excludes = [settings.get(key) for key in ("exclude", "extend-exclude", "force-exclude")]
    if any(isinstance(pattern, str) and _matches(pattern, f"/{name}") for pattern in excludes):
        return None
    return Style(
        line_length=_whole(settings.get("line-length"), 88),
        string_normalization=settings.get("skip-string-normalization") is not True,
        magic_trailing_comma=settings.get("skip-magic-trailing-comma") is not True,
        target_versions=tuple(_strings(settings.get("target-version"))),
        preview=settings.get("preview") is True,
    )


def _matches(pattern: str, name: str) -> bool:
    """Whether black's pattern, empty for none, excludes a file."""
    try:
        return bool(pattern) and re.search(pattern, name, re.VERBOSE if "\n" in pattern else 0) is not None
    except re.error:
        return False


def _ruff_settings(folder: Path, tools: Mapping[str, Any]) -> dict[str, Any] | None:
    """ruff's settings of a folder, those that it extends included; None where it has none."""
    for name in _RUFF_FILES:
        if (folder / name).is_file():
            return _extended(_toml(folder / name), folder)
    return _extended(_table(tools, "ruff"), folder) if "ruff" in tools else None


def _extended(settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Settings over those of the file that they extend, one step far."""
    base = settings.get("extend")
    if not isinstance(base, str):
        return dict(settings)
    file = folder / Path(base).expanduser()
    below = _toml(file)
    if file.name == "pyproject.toml":
        below = _table(_table(below, "tool"), "ruff")
    return {**below, **settings, "format": {**_table(below, "format"), **_table(settings, "format")}}


def _ruff_style(settings: Mapping[str, Any], name: str) -> Style | None:
    formatting = _table(settings, "format")
    excludes = [*_strings(settings.get("exclude")), *_strings(settings.get("extend-exclude"))]
    excludes += _strings(formatting.get("exclude"))
    if formatting.get("indent-style") == "tab" or any(_covers(pattern, name) for pattern in excludes):
        return None
    if _whole(settings.get("indent-width"), 4) != 4:
        return None
    return Style(
        line_length=_whole(settings.get("line-length"), 88),
        string_normalization=formatting.get("quote-style", "double") == "double",
        magic_trailing_comma=formatting.get("skip-magic-trailing-comma") is not True,
        target_versions=tuple(_strings(settings.get("target-version"))),
        preview=formatting.get("preview", settings.get("preview")) is True,
    )


def _covers(pattern: str, name: str) -> bool:
    """Whether ruff's pattern excludes a file: by its path or by the name of one of its folders."""
    parts = name.split("/")
    inner = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
    return any(fnmatch(text, pattern.rstrip("/")) for text in (*parts, *inner))


def _toml(file: Path) -> dict[str, Any]:
    parser = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        return dict(parser.loads(_read(file)))
    except ValueError:
        return {}


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _table(settings: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = settings.get(key)
    return {str(name): value for name, value in found.items()} if isinstance(found, dict) else {}


def _whole(value: object, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _strings(value: object) -> Iterator[str]:
    items = value if isinstance(value, list) else [value]
    return (item for item in items if isinstance(item, str))
