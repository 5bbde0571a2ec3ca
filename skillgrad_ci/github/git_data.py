"""Commits without a clone: GitHub's git data API.

So the bot needs no git program and no credential in the checkout, works from a detached head and any
depth, and GitHub signs what it commits.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from skillgrad_ci.errors import EnvironmentFailure, UserError
from skillgrad_ci.github.client import Api, Refusal, find

FILE, EXECUTABLE, LINK = "100644", "100755", "120000"


@dataclass(frozen=True)
class Blob:
    """A file in a tree: its mode, git's name of its content, its bytes."""

    mode: str
    sha: str
    size: int = 0


@dataclass(frozen=True)
class Commit:
    sha: str
    tree: str


def blob_name(content: bytes) -> str:
    """git's own name of a content: equal names are equal files, without fetching one."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def branch_head(api: Api, branch: str) -> str | None:
    """The commit that a branch points to; None where there is no such branch."""
    ref = find(api, f"/git/ref/heads/{branch}")
    return str(ref["object"]["sha"]) if ref else None


def branches_below(api: Api, prefix: str) -> list[str]:
    """The branches whose name starts with `prefix`."""
    rows = api.get(f"/git/matching-refs/heads/{prefix}")
    return [str(row["ref"]).removeprefix("refs/heads/") for row in rows]


def delete_branch(api: Api, branch: str) -> None:
    api.write("DELETE", f"/git/refs/heads/{branch}")


def commit_at(api: Api, sha: str) -> Commit:
    """A commit and its tree. In a dry run without a token the tree cannot be known: the commit stands for it."""
    if api.blind:
        return Commit(sha, sha)
    return Commit(sha, str(api.get(f"/git/commits/{sha}")["tree"]["sha"]))


def folder_at(api: Api, commit: Commit, path: str) -> dict[str, Blob]:
    """The files below `path` in a commit, by their paths from there; empty where there is no such folder.

    Raises UserError where the way leads into a submodule, whose files another repository holds.
    """
    sha = commit.tree
    for name in PurePosixPath(path).parts:
        rows = _tree(api, sha)
        entry = next((row for row in rows if row["path"] == name), None)
        if entry is not None and entry["type"] == "commit":
            raise UserError(f"{path}: {name} is a submodule; run the bot in the repository that holds the files")
        if entry is None or entry["type"] != "tree":
            return {}
        sha = entry["sha"]
    rows = _tree(api, sha, recursive="1")
    return {row["path"]: Blob(row["mode"], row["sha"], row.get("size", 0)) for row in rows if row["type"] == "blob"}


def _tree(api: Api, sha: str, **query: str) -> list[Mapping[str, Any]]:
    answer = api.get(f"/git/trees/{sha}", **query)
    if answer.get("truncated"):
        raise EnvironmentFailure(
            f"GitHub: the tree {sha} is too large to be listed; move the skill to a smaller folder"
        )
    rows: list[Mapping[str, Any]] = answer["tree"]
    return rows


def blob_content(api: Api, blob: Blob) -> bytes:
    return base64.b64decode(api.get(f"/git/blobs/{blob.sha}")["content"])


def file_at(api: Api, commit: Commit, path: str) -> bytes | None:
    """One file of a commit; None where it is not there."""
    parent, name = str(PurePosixPath(path).parent), PurePosixPath(path).name
    blob = folder_at(api, commit, "" if parent == "." else parent).get(name)
    return blob_content(api, blob) if blob else None


def commit_files(
    api: Api, parent: Commit | None, files: Mapping[str, bytes | None], message: str, executable: frozenset[str]
) -> Commit:
    """Commit changes on top of `parent` (None: a branch without history). None as content removes a file."""
    rows: list[dict[str, Any]] = []
    for path, content in sorted(files.items()):
        mode = EXECUTABLE if path in executable else FILE
        sha = None if content is None else _blob(api, content)
        rows.append({"path": path, "mode": mode, "type": "blob", "sha": sha})
    tree = {"tree": rows} if parent is None else {"base_tree": parent.tree, "tree": rows}
    made = str(api.write("POST", "/git/trees", tree)["sha"])
    parents = [] if parent is None else [parent.sha]
    commit = api.write("POST", "/git/commits", {"message": message, "tree": made, "parents": parents})
    return Commit(str(commit["sha"]), made)


def _blob(api: Api, content: bytes) -> str:
    try:
        body = {"content": content.decode("utf-8"), "encoding": "utf-8"}
    except UnicodeDecodeError:
        body = {"content": base64.b64encode(content).decode(), "encoding": "base64"}
    return str(api.write("POST", "/git/blobs", body)["sha"])


def create_branch(api: Api, branch: str, sha: str) -> bool:
    """Point a new branch to a commit. False where somebody was faster."""
    try:
        body = {"ref": f"refs/heads/{branch}", "sha": sha}
        api.write("POST", "/git/refs", body, done=lambda: _points_to(api, branch, sha))
    except Refusal as refusal:
        if refusal.status == 422 and "already exists" in refusal.reason:
            return branch_head(api, branch) == sha
        raise
    return True


def _points_to(api: Api, branch: str, sha: str) -> Mapping[str, str] | None:
    return {"sha": sha} if branch_head(api, branch) == sha else None


def move_branch(api: Api, branch: str, sha: str, *, force: bool) -> bool:
    """Point an existing branch elsewhere. False where that is not a fast forward and `force` is off."""
    try:
        api.write("PATCH", f"/git/refs/heads/{branch}", {"sha": sha, "force": force})
    except Refusal as refusal:
        if refusal.status == 422 and "fast forward" in refusal.reason:
            return False
        raise
    return True


def commits_between(api: Api, base: str, head: str) -> list[Mapping[str, Any]] | None:
    """The commits that `base` lacks, oldest first, as GitHub's comparison lists them (at most 250). Both are SHAs.

    None where the two have no common ancestor, or one is gone.
    """
    answer = find(api, f"/compare/{base}...{head}")
    return None if answer is None else list(answer["commits"])
