"""The label that asks for a run, made on GitHub where a token is at hand: an issue form cannot make it."""

import json
import os
import re
import subprocess
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from skillgrad_ci.config.config import LABEL

WHAT = "Ask SkillGrad CI to optimize the skill that this issue names"
TOKENS = ("GITHUB_TOKEN", "GH_TOKEN")
API = "https://api.github.com"
ORIGIN = re.compile(r"github\.com[:/](?P<repository>[\w.-]+/[\w.-]+?)(?:\.git)?/?$")
SECONDS = 20


def make_label(root: Path, environ: Mapping[str, str] = os.environ) -> str:
    """Make the label; gives a line that says what became of it, or how a person makes it."""
    by_hand = f"make the label yourself: gh label create {LABEL}"
    repository, token = github_repository(root, environ), token_of(environ)
    if not repository or not token:
        lacks = "GITHUB_TOKEN is not set" if repository else "the remote origin is not on GitHub"
        return f"No label is made, for {lacks}; {by_hand}"
    body = json.dumps({"name": LABEL, "color": "5319e7", "description": WHAT}).encode()
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"}
    address = f"{environ.get('GITHUB_API_URL') or API}/repos/{repository}/labels"
    try:
        with urlopen(Request(address, body, headers), timeout=SECONDS):  # noqa: S310  # https, or the person's own server
            return f"The label {LABEL} is made in {repository}."
    except HTTPError as error:
        if error.code == HTTPStatus.UNPROCESSABLE_ENTITY:
            return f"The label {LABEL} is in {repository} already."
        return f"The label {LABEL} cannot be made in {repository} (HTTP {error.code}); {by_hand}"
    except (URLError, OSError) as error:
        return f"The label {LABEL} cannot be made in {repository} ({error}); {by_hand}"


def github_repository(root: Path, environ: Mapping[str, str]) -> str:
    """`OWNER/NAME` on GitHub; empty where there is none."""
    return environ.get("GITHUB_REPOSITORY") or _origin(root)


def token_of(environ: Mapping[str, str]) -> str:
    return next((environ[name] for name in TOKENS if environ.get(name)), "")


def _origin(root: Path) -> str:
    """`OWNER/NAME` of the remote `origin`; empty where that is not on GitHub."""
    command = ["git", "-C", str(root), "remote", "get-url", "origin"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603
    except OSError:  # no git
        return ""
    found = ORIGIN.search(said)
    return found["repository"] if found else ""
