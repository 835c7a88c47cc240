"""The files of a project that say how it is run."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

from autolock.deployment.commands import count_of, names_server, started_by
from autolock.deployment.evidence import Deployed
from autolock.deployment.manifests import copies_in
from autolock.folders import files_below

_DOCKER = re.compile(r"(?i)^(.*\.)?(dockerfile|containerfile)(\..*)?$")
_COMMANDS = re.compile(r"(?i)^(procfile.*|.*\.(sh|service|conf|ini|toml)|justfile)$")
_SETTINGS = re.compile(r"(?i)^(\.env(\.prod(uction)?)?|.*\.env)$")
_GUNICORN = re.compile(r"(?i)^(gunicorn.*\.py|.*gunicorn.*conf.*\.py)$")
_HYPERCORN = re.compile(r"(?i)^hypercorn.*\.toml$")
_YAML = re.compile(r"(?i)\.ya?ml$")
_NO_FOLDERS = {
    *("node_modules", "site-packages", "venv", "env", "tests", "test", "docs", "doc", "examples", "example"),
    *("__pycache__", "frontend", "dist", "build", "fixtures"),
}
#: Folders for files about the whole of what they lie in.
_ASIDE = re.compile(
    r"(?i)^(deploy(ment)?s?|docker|containers?|k8s|kubernetes|kube|manifests|helm|charts?|ops|infra(structure)?|scripts?|"
    r"bin|conf|config|systemd|templates|overlays|base|prod(uction)?|staging|environments)$"
)
_DEEPEST = 3
_LARGEST = 200_000
_CONCURRENCY = re.compile(r"WEB_CONCURRENCY[\"']?\s*[:=]\s*[\"']?([^\s\"']+)")
#: An image that starts as many processes as there are processors where nobody says otherwise.
_IMAGE = re.compile(r"(?i)^FROM\s+\S*tiangolo/uvicorn-gunicorn")
_OTHERWISE = re.compile(r"(?im)^(CMD|ENTRYPOINT)\b|\b(WEB_CONCURRENCY|MAX_WORKERS)\b")


def deployments_below(root: Path) -> Iterator[Deployed]:
    """Every line that starts more than one process."""
    for path in files_below(root, _DEEPEST, _is_searched):
        if not _is_about_running(path.rpartition("/")[2]):
            continue
        try:
            with open(root / path, "rb") as opened:
                text = opened.read(_LARGEST).decode("utf-8", "replace")
        except OSError:
            continue
        for found in _said(path, text):
            if found.processes != 1:
                yield found


def _is_searched(folder: str) -> bool:
    return folder.lower() not in _NO_FOLDERS and not folder.startswith(".")


def _is_about_running(name: str) -> bool:
    forms = (_DOCKER, _COMMANDS, _SETTINGS, _GUNICORN, _YAML)
    return any(form.search(name) for form in forms) and "example" not in name.lower() and "test" not in name.lower()


def _said(path: str, text: str) -> Iterator[Deployed]:
    folder, name = about(path), path.rpartition("/")[2]
    if _GUNICORN.match(name):
        yield from _gunicorn(path, text, folder)
        return
    if _YAML.search(name):
        for copies in copies_in(name, text):
            built = os.path.normpath(f"{path.rpartition('/')[0]}/{copies.build}").strip("/") if copies.build else folder
            yield Deployed(path, copies.line, copies.text, copies.number, copies.target, "" if built == "." else built)
    elif _HYPERCORN.match(name):
        yield from _numbers(path, text, folder, re.compile(r"^workers\s*=\s*(\S+)"))
    for number, line in _lines(text) if names_server(text) else ():
        started = started_by(line)
        if started is not None and started.processes is not None:
            yield Deployed(path, number, _short(line), started.processes, started.target, folder)
    if "WEB_CONCURRENCY" in text:
        yield from _numbers(path, text, folder, _CONCURRENCY)
    if _DOCKER.match(name) and not _OTHERWISE.search(text):
        for number, line in _lines(text):
            if _IMAGE.match(line):
                yield Deployed(path, number, _short(line), 0, "", folder)


def about(path: str) -> str:
    """The folder that a file is about: the one it lies in, or the one beside whose code `deploy/` and the like lie."""
    folders = path.split("/")[:-1]
    aside = next((place for place, name in enumerate(folders) if _ASIDE.match(name)), len(folders))
    return "/".join(folders[:aside])


def _numbers(path: str, text: str, folder: str, form: re.Pattern[str]) -> Iterator[Deployed]:
    for number, line in _lines(text):
        found = form.search(line)
        count = count_of(found.group(1)) if found else None
        if count is not None:
            yield Deployed(path, number, _short(line), count, "", folder)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines without comments, those that go on in the next one as one, with the number of the first."""
    start, gathered = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#"):
            continue
        start = start or number
        gathered += line.removesuffix("\\")
        if not line.endswith("\\"):
            yield start, gathered
            start, gathered = 0, ""


def _short(line: str) -> str:
    text = " ".join(line.split())
    return text if len(text) <= 100 else f"{text[:97]}..."


def _gunicorn(path: str, text: str, folder: str) -> Iterator[Deployed]:
    """gunicorn's settings are a Python file; `workers = int(os.getenv("WORKERS", 4))` is 4."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "workers" for t in node.targets):
            written = ast.unparse(node.value)
            numbers = [n.value for n in ast.walk(node.value) if isinstance(n, ast.Constant)]
            count = 0 if "cpu_count" in written else count_of(str(numbers[-1])) if len(numbers) in (1, 2) else None
            if count is not None:
                yield Deployed(path, node.lineno, f"workers = {written}", count, "", folder)
