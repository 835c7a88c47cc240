"""A forge for the tests: stateful, over real bare repositories, with the API of GitHub, GitLab and Gitea.

with Forge(tmp_path) as forge:
    repo = forge.repository("acme/shop", {"app.py": "..."})
"""

from forge.forge import Forge

__all__ = ["Forge"]
