"""Copies of a service that compose files, Kubernetes manifests and Helm charts ask for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from autolock.deployment.commands import count_of, started_by

#: A deployment that is called so answers requests; one of the others does not, whatever else it is called.
_SERVES = re.compile(r"(?i)\b(api|app|backend|fastapi)\b")
_OTHERS = re.compile(
    r"(?i)front|nginx|redis|postgres|mysql|mongo|rabbit|kafka|worker|celery|beat|cron|scheduler|consumer|migrat|grafana|"
    r"prometheus|otel|proxy|gateway|minio|qdrant|ollama|vllm"
)
#: What says how many copies there are; a file without it need not be parsed, which takes long.
_NUMBERED = re.compile(r"\b(?:replicas|minReplicas|replicaCount|scale)[\"']?\s*:\s*[\"']?[$\d]")
_COPIED = {"Deployment", "StatefulSet", "ReplicaSet", "HorizontalPodAutoscaler"}


class Copies(NamedTuple):
    """`line` asks for `number` copies; `text` is what stands there, `target` the module that the service's command
    names, and `build` the folder that it is built from, relative to the file's; empty where nothing says so."""

    line: int
    number: int
    text: str
    target: str = ""
    build: str = ""


def copies_in(name: str, text: str) -> Iterator[Copies]:
    """What a YAML file asks for. Templates that are no YAML yet say nothing."""
    if _NUMBERED.search(text) is None:
        return
    import yaml

    try:
        documents = list(yaml.compose_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except yaml.YAMLError:
        return
    for document in documents:
        if not isinstance(document, yaml.MappingNode):
            continue
        fields = _Fields(document)
        if "compose" in name:
            for service, node in fields.at("services").items():
                yield from _service(service, node)
        elif fields.text("kind") in _COPIED:
            yield from _manifest(fields)
        elif re.fullmatch(r"values.*\.ya?ml", name):
            yield from _asked(fields, "replicaCount")


class _Fields:
    """A mapping of a document, by its keys; nothing where there is no mapping."""

    def __init__(self, node: object) -> None:
        import yaml

        self._values: dict[str, tuple[object, object]] = {}
        if isinstance(node, yaml.MappingNode):
            self._values = {str(key.value): (key, value) for key, value in node.value}

    def at(self, *path: str) -> _Fields:
        """What is below."""
        found = self
        for key in path:
            found = _Fields(found._values.get(key, (None, None))[1])
        return found

    def items(self) -> Iterator[tuple[str, _Fields]]:
        return ((key, _Fields(value)) for key, (_, value) in self._values.items())

    def has(self, key: str) -> bool:
        return key in self._values

    def line(self, key: str) -> int:
        return int(self._values[key][0].start_mark.line) + 1  # type: ignore[attr-defined]

    def text(self, key: str) -> str:
        """A value in one line, a list's elements one after the other."""
        return " ".join(_scalars(self._values.get(key, (None, None))[1]))

    def each(self, key: str) -> Iterator[_Fields]:
        """The mappings of a list."""
        return (_Fields(item) for item in getattr(self._values.get(key, (None, None))[1], "value", ()))


def _scalars(node: object) -> Iterator[str]:
    value = getattr(node, "value", None)
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            if not isinstance(item, tuple):
                yield from _scalars(item)


def _service(name: str, service: _Fields) -> Iterator[Copies]:
    """Copies of a service that is built from the project and answers requests."""
    command = f"{service.text('entrypoint')} {service.text('command')}".strip()
    started = started_by(command)
    if not service.has("build") or (command and started is None) or (started is None and _OTHERS.search(name)):
        return
    build = service.at("build").text("context") or service.text("build")
    for found in (*_asked(service.at("deploy"), "replicas"), *_asked(service, "scale")):
        yield found._replace(target=started.target if started else "", build=build)


def _manifest(fields: _Fields) -> Iterator[Copies]:
    """Copies of a deployment whose command starts a server, or that is called like one."""
    containers = [*fields.at("spec", "template", "spec").each("containers")]
    started = [started_by(f"{c.text('command')} {c.text('args')}") for c in containers]
    server = next((s for s in started if s is not None), None)
    named = fields.at("metadata").text("name") or fields.at("spec", "scaleTargetRef").text("name")
    if server is None and (_OTHERS.search(named) or not _SERVES.search(named)):
        return
    for found in (*_asked(fields.at("spec"), "replicas"), *_asked(fields.at("spec"), "minReplicas")):
        yield found._replace(target=server.target if server else "")


def _asked(fields: _Fields, key: str) -> Iterator[Copies]:
    number = count_of(fields.text(key)) if fields.has(key) else None
    if number is not None and number > 1:
        yield Copies(fields.line(key), number, f"{key}: {number}")
