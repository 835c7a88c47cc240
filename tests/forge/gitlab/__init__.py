"""GitLab's face of the forge, where a pull request is a merge request."""

from forge.gitlab.face import GitLab

__all__ = ["GitLab"]
