"""The git data API: refs, commits, trees, blobs, and comparing two commits."""

import base64
from collections.abc import Mapping
from typing import Any

from tests.fake_github.git_store import FOLDER, Commit, Entry
from tests.fake_github.hub import BOT, Hub, Refused, Token, route

Names = Mapping[str, str]


def _ref(ref: str, sha: str) -> dict[str, Any]:
    return {"ref": f"refs/{ref}", "object": {"type": "commit", "sha": sha}}


def _commit(commit: Commit) -> dict[str, Any]:
    made_by_api = commit.author == BOT
    person = {"name": commit.author, "email": f"{commit.author}@users.invalid", "date": "2026-11-02T10:00:00Z"}
    return {
        "sha": commit.sha,
        "tree": {"sha": commit.tree},
        "parents": [{"sha": parent} for parent in commit.parents],
        "message": commit.message,
        "author": person,
        "committer": person | ({"name": "GitHub", "email": "noreply@github.com"} if made_by_api else {}),
        "verification": {"verified": made_by_api, "reason": "valid" if made_by_api else "unsigned"},
    }


@route("GET", "~/git/ref/{ref}")
def get_ref(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    if names["ref"] not in hub.git.refs:
        raise Refused(404, "Not Found")
    return 200, _ref(names["ref"], hub.git.refs[names["ref"]])


@route("GET", "~/git/matching-refs/{ref}")
def matching_refs(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    return 200, [_ref(ref, sha) for ref, sha in hub.git.refs.items() if ref.startswith(names["ref"])]


@route("POST", "~/git/refs")
def create_ref(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    hub.need(who, "contents")
    ref = body["ref"].removeprefix("refs/")
    if ref in hub.git.refs:
        raise Refused(422, "Reference already exists")
    if any(ref.startswith(f"{other}/") or other.startswith(f"{ref}/") for other in hub.git.refs):
        raise Refused(422, "Reference cannot be created: it is a folder of another")
    if body["sha"] not in hub.git.commits:
        raise Refused(422, "Object does not exist")
    _keep_rules(hub, ref)
    hub.git.refs[ref] = body["sha"]
    return 201, _ref(ref, body["sha"])


@route("PATCH", "~/git/refs/{ref}")
def update_ref(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    hub.need(who, "contents")
    ref = names["ref"]
    if ref not in hub.git.refs:
        raise Refused(422, "Reference does not exist")
    if ref in hub.protected:
        raise Refused(422, "Cannot update this protected ref.")
    _keep_rules(hub, ref)
    if not body.get("force") and hub.git.refs[ref] not in hub.git.ancestors(body["sha"]):
        raise Refused(422, "Update is not a fast forward")
    hub.git.refs[ref] = body["sha"]
    for pull in hub.pulls.values():
        if pull.state == "open" and f"heads/{pull.head}" == ref:
            pull.head_sha = body["sha"]
    return 200, _ref(ref, body["sha"])


def _keep_rules(hub: Hub, ref: str) -> None:
    if hub.restricted and ref.startswith(hub.restricted):
        raise Refused(422, "Repository rule violations found. Cannot create ref due to creations being restricted.")


@route("GET", "~/rules/branches/{branch}")
def branch_rules(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    hit = hub.restricted and f"heads/{names['branch']}".startswith(hub.restricted)
    source = {"ruleset_source_type": "Repository", "ruleset_source": hub.full_name, "ruleset_id": 1}
    return 200, [{"type": "creation", **source}, {"type": "update", **source}] if hit else []


@route("DELETE", "~/git/refs/{ref}")
def delete_ref(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    hub.need(who, "contents")
    if hub.git.refs.pop(names["ref"], None) is None:
        raise Refused(422, "Reference does not exist")
    return 204, None


@route("GET", "~/git/commits/{commit_sha}")
def get_commit(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    if names["commit_sha"] not in hub.git.commits:
        raise Refused(404, "Not Found")
    return 200, _commit(hub.git.commits[names["commit_sha"]])


@route("POST", "~/git/commits")
def create_commit(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    hub.need(who, "contents")
    if body["tree"] not in hub.git.trees or not set(body.get("parents", [])) <= set(hub.git.commits):
        raise Refused(422, "Tree SHA does not exist")
    sha = hub.git.commit(body["tree"], body.get("parents", []), body["message"], who.login)
    return 201, _commit(hub.git.commits[sha])


@route("GET", "~/git/trees/{tree_sha}")
def get_tree(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    sha = names["tree_sha"]
    sha = hub.git.commits[sha].tree if sha in hub.git.commits else sha
    if sha not in hub.git.trees:
        raise Refused(404, "Not Found")
    return 200, {"sha": sha, "tree": list(_entries(hub, sha, "", "recursive" in query)), "truncated": hub.truncated}


def _entries(hub: Hub, sha: str, prefix: str, recursive: bool) -> list[dict[str, Any]]:
    rows = []
    for name, entry in hub.git.trees[sha].items():
        size = {} if entry.kind != "blob" else {"size": len(hub.git.blobs[entry.sha])}
        rows.append({"path": f"{prefix}{name}", "mode": entry.mode, "type": entry.kind, "sha": entry.sha, **size})
        if recursive and entry.mode == FOLDER:
            rows += _entries(hub, entry.sha, f"{prefix}{name}/", recursive)
    return rows


@route("POST", "~/git/trees")
def create_tree(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    hub.need(who, "contents")
    base = body.get("base_tree")
    if base is not None and base not in hub.git.trees:
        raise Refused(422, "base_tree is not a valid tree")
    flat = hub.git.flat(base) if base else {}
    for row in body["tree"]:
        if "sha" in row and "content" in row:
            raise Refused(422, "Provide either tree.sha or tree.content, not both")
        if "sha" in row and row["sha"] is None:
            if row["path"] not in flat:
                raise Refused(422, "GitRPC::BadObjectState")
            del flat[row["path"]]
            continue
        sha = row["sha"] if "sha" in row else hub.git.blob(row["content"].encode())
        if sha not in hub.git.blobs:
            raise Refused(422, f"tree.sha {sha} is not a valid blob")
        flat[row["path"]] = Entry(row["mode"], sha)
    if not flat:
        raise Refused(422, "Invalid tree info")
    sha = hub.git.tree(flat)
    return 201, {"sha": sha, "tree": list(_entries(hub, sha, "", False)), "truncated": False}


@route("POST", "~/git/blobs")
def create_blob(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    hub.need(who, "contents")
    coded = body.get("encoding", "utf-8") == "base64"
    return 201, {"sha": hub.git.blob(base64.b64decode(body["content"]) if coded else body["content"].encode())}


@route("GET", "~/git/blobs/{file_sha}")
def get_blob(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    content = hub.git.blobs.get(names["file_sha"])
    if content is None:
        raise Refused(404, "Not Found")
    coded = base64.encodebytes(content).decode()  # in lines, as GitHub sends it
    return 200, {"sha": names["file_sha"], "content": coded, "encoding": "base64", "size": len(content)}


@route("GET", "~/compare/{basehead}")
def compare(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    base, head = (hub.git.refs.get(f"heads/{name}", name) for name in names["basehead"].split("..."))
    if base not in hub.git.commits or head not in hub.git.commits:
        raise Refused(404, "Not Found")
    before, after = hub.git.ancestors(base), hub.git.ancestors(head)
    merge_base = next((sha for sha in after if sha in before), None)
    if merge_base is None:
        raise Refused(404, "No common ancestor between the commits")
    ahead = [sha for sha in reversed(after) if sha not in before]
    behind = [sha for sha in before if sha not in after]
    status = {(0, 0): "identical", (1, 0): "ahead", (0, 1): "behind", (1, 1): "diverged"}
    return 200, {
        "status": status[min(1, len(ahead)), min(1, len(behind))],
        "ahead_by": len(ahead),
        "behind_by": len(behind),
        "total_commits": len(ahead),
        "base_commit": _listed(hub.git.commits[base]),
        "merge_base_commit": _listed(hub.git.commits[merge_base]),
        "commits": [_listed(hub.git.commits[sha]) for sha in ahead],
    }


def _committer(commit: Commit, author: dict[str, str]) -> dict[str, str]:
    if commit.committer:
        return {"login": commit.committer, "type": "User"}
    return {"login": "web-flow", "type": "User"} if commit.author == BOT else author


def _listed(commit: Commit) -> dict[str, Any]:
    """A commit as the repository's lists show it: git's facts inside, GitHub's accounts beside."""
    account = {"login": commit.author, "type": "Bot" if commit.author.endswith("[bot]") else "User"}
    facts = _commit(commit)
    inner = {key: facts[key] for key in ("tree", "message", "author", "committer", "verification")}
    return {
        "sha": commit.sha,
        "commit": inner,
        "parents": facts["parents"],
        "author": account,
        "committer": _committer(commit, account),
    }
