"""GitHub's face of the forge: its REST API, held against GitHub's own description."""

from forge.github.face import GitHub

__all__ = ["GitHub"]
