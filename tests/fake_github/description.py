"""GitHub's own description of its REST API, trimmed to what the fake serves.

The npm package `@octokit/openapi` carries it (13 MB of JSON). It is fetched once by npm into the
git-ignored `.cache`, cut down to the operations of `OPERATIONS` and what they refer to, and every
request of the bot and every reply of the fake is validated against it. Without npm the fake still
serves the scenarios; only the validation is left out, and `test_github_contract` says so.
"""

import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock

from tests.fake_github.contract import Description

PACKAGE = "@octokit/openapi@23.0.2"
MEMBER = "package/generated/api.github.com.json"
CACHE = Path(__file__).resolve().parents[2] / ".cache"
REPO = "/repos/{owner}/{repo}"
OPERATIONS = {
    "/user": ["get"],
    "/app": ["get"],
    "/app/installations/{installation_id}/access_tokens": ["post"],
    f"{REPO}/installation": ["get"],
    REPO: ["get"],
    f"{REPO}/collaborators/{{username}}/permission": ["get"],
    f"{REPO}/git/ref/{{ref}}": ["get"],
    f"{REPO}/git/matching-refs/{{ref}}": ["get"],
    f"{REPO}/git/refs": ["post"],
    f"{REPO}/git/refs/{{ref}}": ["patch", "delete"],
    f"{REPO}/git/commits": ["post"],
    f"{REPO}/git/commits/{{commit_sha}}": ["get"],
    f"{REPO}/git/trees": ["post"],
    f"{REPO}/git/trees/{{tree_sha}}": ["get"],
    f"{REPO}/git/blobs": ["post"],
    f"{REPO}/git/blobs/{{file_sha}}": ["get"],
    f"{REPO}/compare/{{basehead}}": ["get"],
    f"{REPO}/pulls": ["get", "post"],
    f"{REPO}/pulls/{{pull_number}}": ["get", "patch"],
    f"{REPO}/pulls/{{pull_number}}/comments": ["get"],
    f"{REPO}/pulls/{{pull_number}}/reviews": ["get", "post"],
    f"{REPO}/pulls/{{pull_number}}/files": ["get"],
    f"{REPO}/pulls/{{pull_number}}/requested_reviewers": ["post"],
    f"{REPO}/issues/{{issue_number}}": ["get"],
    f"{REPO}/issues/{{issue_number}}/comments": ["get", "post"],
    f"{REPO}/issues/comments/{{comment_id}}": ["get", "patch"],
    f"{REPO}/issues/{{issue_number}}/reactions": ["post"],
    f"{REPO}/issues/comments/{{comment_id}}/reactions": ["post"],
    f"{REPO}/issues/{{issue_number}}/labels": ["post"],
    f"{REPO}/issues/{{issue_number}}/labels/{{name}}": ["delete"],
    f"{REPO}/issues/{{issue_number}}/assignees": ["post"],
    f"{REPO}/check-runs": ["post"],
    f"{REPO}/check-runs/{{check_run_id}}": ["patch"],
    f"{REPO}/rules/branches/{{branch}}": ["get"],
    f"{REPO}/actions/runs/{{run_id}}": ["get"],
    f"{REPO}/labels/{{name}}": ["get"],
    f"{REPO}/actions/permissions": ["get"],
    f"{REPO}/actions/permissions/workflow": ["get"],
    f"{REPO}/actions/secrets": ["get"],
    f"{REPO}/actions/organization-secrets": ["get"],
    f"{REPO}/actions/workflows": ["get"],
}


@cache
def description() -> Description | None:
    """The trimmed description, fetched where it is missing; None without npm, or without a network."""
    CACHE.mkdir(exist_ok=True)
    made_by = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]  # another trimming is another file
    trimmed = CACHE / f"github-api-{made_by}.json"
    with FileLock(CACHE / "github-api.lock"):
        if not trimmed.is_file():
            if shutil.which("npm") is None:
                return None
            try:
                trimmed.write_text(json.dumps(trim(_fetch())), encoding="utf-8")
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
                return None
    return Description(json.loads(trimmed.read_text(encoding="utf-8")))


def _fetch() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", PACKAGE, "--pack-destination", folder, "--silent", "--cache", f"{folder}/npm"]
        subprocess.run(command, check=True, capture_output=True, timeout=300)
        (package,) = Path(folder).glob("*.tgz")
        with tarfile.open(package) as archive:
            member = archive.extractfile(MEMBER)
            assert member is not None
            return json.load(member)


def trim(whole: Mapping[str, Any]) -> dict[str, Any]:
    """The operations served, and every component that they reach; examples left out."""
    paths = {path: {verb: whole["paths"][path][verb] for verb in verbs} for path, verbs in OPERATIONS.items()}
    kept: dict[str, Any] = {"paths": _bare(paths), "components": {}}
    todo = list(_references(kept["paths"]))
    while todo:
        kind, name = todo.pop().removeprefix("#/components/").split("/", 1)
        section = kept["components"].setdefault(kind, {})
        if name not in section:
            section[name] = _bare(whole["components"][kind][name])
            todo += _references(section[name])
    return kept


def _bare(node: Any) -> Any:
    """A node without its prose, which is most of the file, and with `oneOf` read as `anyOf`.

    GitHub's choices overlap, and the discriminators that would tell them apart are often not sent. Its choices that
    may be null seldom list null.
    """
    if isinstance(node, dict):
        if node.get("nullable") and None not in node.get("enum", [None]):
            node = {**node, "enum": [*node["enum"], None]}
        prose = {"example", "examples", "discriminator"} | (
            {"description"} if isinstance(node.get("description"), str) else set()
        )
        return {"anyOf" if key == "oneOf" else key: _bare(value) for key, value in node.items() if key not in prose}
    return [_bare(value) for value in node] if isinstance(node, list) else node


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)
