"""Gitea's and Forgejo's face of the forge: much like GitHub's, and different where it is easily overlooked."""

from forge.gitea.face import Gitea

__all__ = ["Gitea"]
