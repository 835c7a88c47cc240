"""The Git Data API: refs, blobs, trees and commits, made one by one. Also the commits of a ref."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Any

from forge.git import GitError, Person
from forge.github.apps import objects
from forge.github.errors import invalid, not_found, refuse, require
from forge.http import Answer, Call, Router

ROUTES = Router("ref", "tree_sha")
_REPO = "/repos/{owner}/{repo}"
_GIT = f"{_REPO}/git"
_MODES = {"100644", "100755", "040000", "160000", "120000"}


@ROUTES.add(f"GET {_GIT}/ref/{{ref}}", "contents:read")
def get_ref(call: Call) -> Answer:
    name = f"refs/{call.params['ref']}"
    sha = call.repo.git.refs().get(name)
    if sha is None:
        raise not_found()
    return Answer(200, objects(call).ref(call.repo, name, sha))


@ROUTES.add(f"GET {_GIT}/matching-refs/{{ref}}", "contents:read")
def matching_refs(call: Call) -> Answer:
    """The refs whose name begins so, wherever the beginning ends."""
    start = f"refs/{call.params['ref']}"
    return Answer(200, [objects(call).ref(call.repo, *found) for found in call.repo.git.refs(start).items()])


@ROUTES.add(f"POST {_GIT}/refs", "contents:write")
def create_ref(call: Call) -> Answer:
    data, repo = call.data, call.repo
    name = data.get("ref") or ""
    if name.count("/") < 2 or not name.startswith("refs/"):
        raise refuse(422, "Reference name must start with 'refs/' and contain at least 2 '/' characters.")
    if not repo.git.is_valid_ref(name):
        raise refuse(422, f"{name} is not a valid ref name.")
    if repo.git.resolve(data.get("sha") or "") is None:
        raise refuse(422, "Object does not exist")
    known = repo.git.refs()
    if name in known:
        raise refuse(422, "Reference already exists")
    try:
        repo.git.set_ref(name, data["sha"])
    except GitError:
        raise refuse(422, "Reference name conflicts with an existing reference") from None
    repo.follow()
    return Answer(201, objects(call).ref(repo, name, data["sha"]))


@ROUTES.add(f"PATCH {_GIT}/refs/{{ref}}", "contents:write")
def update_ref(call: Call) -> Answer:
    data, repo, name = call.data, call.repo, f"refs/{call.params['ref']}"
    sha = data.get("sha") or ""
    before = repo.git.refs().get(name)
    if before is None:
        raise refuse(422, "Reference does not exist")
    if repo.git.resolve(sha) is None:
        raise refuse(422, "Object does not exist")
    if not data.get("force") and not repo.git.is_ancestor(before, sha):
        raise refuse(422, "Update is not a fast forward")
    repo.git.set_ref(name, sha)
    repo.follow()
    return Answer(200, objects(call).ref(repo, name, sha))


@ROUTES.add(f"DELETE {_GIT}/refs/{{ref}}", "contents:write")
def delete_ref(call: Call) -> Answer:
    name = f"refs/{call.params['ref']}"
    if name not in call.repo.git.refs():
        raise refuse(422, "Reference does not exist")
    call.repo.git.delete_ref(name)
    call.repo.follow()
    return Answer(204)


@ROUTES.add(f"POST {_GIT}/blobs", "contents:write")
def create_blob(call: Call) -> Answer:
    data = call.data
    sha = call.repo.git.write_blob(_content(data))
    return Answer(201, {"sha": sha, "url": f"{call.root}{call.path}/{sha}"})


@ROUTES.add(f"GET {_GIT}/blobs/{{file_sha}}", "contents:read")
def get_blob(call: Call) -> Answer:
    sha = call.params["file_sha"]
    if call.repo.git.resolve(sha, "blob") is None:
        raise not_found()
    content = call.repo.git.read_blob(sha)
    shown = {
        "sha": sha,
        "node_id": "",
        "size": len(content),
        "url": f"{call.root}{call.path}",
        "encoding": "base64",
        "content": base64.encodebytes(content).decode(),
    }
    return Answer(200, shown)


@ROUTES.add(f"POST {_GIT}/trees", "contents:write")
def create_tree(call: Call) -> Answer:
    data, git = call.data, call.repo.git
    base = data.get("base_tree")
    if base and git.resolve(base, "tree") is None:
        raise not_found()
    if not isinstance(data.get("tree"), list):
        raise refuse(422, "Invalid tree info")
    try:
        sha = git.write_tree(base, [_entry(call, entry) for entry in data["tree"]])
    except GitError:
        raise refuse(422, "GitRPC::BadObjectState") from None
    return Answer(201, _tree(call, sha, f"{call.root}{call.path}", recursive=False))


@ROUTES.add(f"GET {_GIT}/trees/{{tree_sha}}", "contents:read")
def get_tree(call: Call) -> Answer:
    """Any value of `recursive`, even 0, makes it so."""
    sha = call.repo.git.resolve(call.params["tree_sha"], "tree")
    if sha is None:
        raise not_found()
    url = f"{call.root}{call.path.rpartition('/')[0]}"
    return Answer(200, _tree(call, sha, url, recursive="recursive" in call.query))


@ROUTES.add(f"POST {_GIT}/commits", "contents:write")
def create_commit(call: Call) -> Answer:
    """An App that names no author and no signature has its commit signed by GitHub."""
    data, repo = call.data, call.repo
    require(data, "Commit", "message", "tree")
    parents: list[str] = data.get("parents") or []
    if repo.git.resolve(data["tree"], "tree") is None:
        raise refuse(422, "Tree SHA does not exist")
    if any(repo.git.resolve(parent) != parent for parent in parents):
        raise refuse(422, "Parent SHA does not exist or is not a commit object")
    own = repo.person(call.user)
    author = _person(data["author"], own) if "author" in data else own
    signed = bool(call.bearer.installation) and not {"author", "committer", "signature"} & set(data)
    github = Person("GitHub", "noreply@example.com", own.when)
    committer = github if signed else _person(data.get("committer") or {}, author)
    sha = repo.git.write_commit(data["tree"], parents, data["message"], author, committer)
    if signed:
        repo.verified.add(sha)
    return Answer(201, objects(call).git_commit(repo, repo.git.commit(sha)))


@ROUTES.add(f"GET {_GIT}/commits/{{commit_sha}}", "contents:read")
def get_git_commit(call: Call) -> Answer:
    sha = call.repo.git.resolve(call.params["commit_sha"])
    if sha is None:
        raise not_found()
    return Answer(200, objects(call).git_commit(call.repo, call.repo.git.commit(sha)))


def _entry(call: Call, entry: dict[str, Any]) -> tuple[str, str, str | None]:
    path, mode = entry.get("path") or "", entry.get("mode") or ""
    if not path or path.startswith("/") or ".." in path.split("/"):
        raise refuse(422, "tree.path contains a malformed path component")
    if mode not in _MODES:
        raise refuse(422, "Must supply a valid tree.mode")
    if "content" in entry:
        return mode, path, call.repo.git.write_blob(entry["content"].encode())
    if "sha" not in entry:
        raise refuse(422, "Must supply either tree.sha or tree.content")
    sha = entry["sha"]
    kind = "tree" if mode == "040000" else "blob"
    if sha is not None and mode != "160000" and call.repo.git.resolve(sha, kind) is None:
        raise refuse(422, f"tree.sha {sha} is not a valid {kind}")
    return mode, path, sha


def _tree(call: Call, sha: str, url: str, *, recursive: bool) -> dict[str, Any]:
    git = url.rpartition("/")[0]
    kinds = {"blob": "blobs", "tree": "trees", "commit": "commits"}
    entries = []
    for entry in call.repo.git.entries(sha, recursive=recursive):
        shown = {"path": entry.path, "mode": entry.mode, "type": entry.kind, "sha": entry.sha}
        shown["url"] = f"{git}/{kinds[entry.kind]}/{entry.sha}"
        entries.append(shown if entry.size is None else {**shown, "size": entry.size})
    return {"sha": sha, "url": f"{url}/{sha}", "tree": entries, "truncated": False}


def _content(data: dict[str, Any]) -> bytes:
    content: str = data.get("content") or ""
    if data.get("encoding", "utf-8") != "base64":
        return content.encode()
    try:
        return base64.b64decode(content)
    except binascii.Error:
        raise invalid("Blob", "content", "invalid") from None


def _person(data: dict[str, Any], usual: Person) -> Person:
    date = data.get("date")
    when = datetime.fromisoformat(date.replace("Z", "+00:00")).timestamp() if date else usual.when
    return Person(data.get("name") or usual.name, data.get("email") or usual.email, when)
