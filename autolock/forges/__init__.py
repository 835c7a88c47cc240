"""GitHub, GitLab and Gitea (or Forgejo) behind one protocol, `Forge`."""
