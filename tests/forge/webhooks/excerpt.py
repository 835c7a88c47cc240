"""Makes the payloads of this folder from GitHub's examples. Run by hand:

npm pack @octokit/webhooks-examples && tar xzf octokit-webhooks-examples-*.tgz
python tests/forge/webhooks/excerpt.py package
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

CHOSEN = {
    "ping": 0,
    "push": 4,
    "pull_request.opened": 13,
    "pull_request.closed": 3,
    "pull_request.reopened": 18,
    "pull_request.synchronize": 22,
    "issue_comment.created": 3,
    "installation.created": 1,
    "installation.deleted": 0,
    "installation.suspend": 5,
    "installation_repositories.added": 0,
    "installation_repositories.removed": 2,
}
"""The event and action, and which of GitHub's examples of the event it is."""


def main(package: Path) -> None:
    """Write a file for each of the chosen."""
    events = json.loads((package / "api.github.com/index.json").read_text())
    examples = {event["name"]: event["examples"] for event in events}
    for name, index in CHOSEN.items():
        event, _, action = name.partition(".")
        payload = examples[event][index]
        assert payload.get("action", "") == action
        Path(__file__).with_name(f"{name}.json").write_text(json.dumps(payload, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
