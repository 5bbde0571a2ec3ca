"""Where the action runs and what happened: the environment that the runner made, read once.

What could be used against the repository is taken out of the environment here, before anything else
starts: no child process inherits a runner's token, a command file's path or an input.
"""

import json
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skillgrad_ci.errors import UserError
from skillgrad_ci.github.action_inputs import ActionInputs, take

RUNNER_ONLY = (
    "ACTIONS_RUNTIME_TOKEN",
    "ACTIONS_RUNTIME_URL",
    "ACTIONS_CACHE_URL",
    "ACTIONS_RESULTS_URL",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
    "GITHUB_ENV",
    "GITHUB_PATH",
    "GITHUB_STATE",
    "GITHUB_OUTPUT",
    "GITHUB_STEP_SUMMARY",
)


@dataclass(frozen=True)
class Context:
    """One event in one repository. `payload` is GitHub's webhook event, unread and untrusted."""

    event: str
    payload: Mapping[str, Any]
    inputs: ActionInputs
    repository: str = ""
    sha: str = ""
    ref: str = ""
    actor: str = ""
    run_id: str = ""
    workspace: Path = field(default_factory=Path)
    api_url: str = "https://api.github.com"
    server_url: str = "https://github.com"
    output: Path | None = None
    summary: Path | None = None
    debug: bool = False  # "Enable debug logging" of a run that is started again

    @property
    def action(self) -> str:
        return str(self.payload.get("action", ""))

    @property
    def sender(self) -> Mapping[str, Any]:
        """Who caused the event: login and type (`User` or `Bot`)."""
        return self.at("sender") or {"login": self.actor}

    @property
    def run_url(self) -> str:
        return f"{self.server_url}/{self.repository}/actions/runs/{self.run_id}" if self.run_id else ""

    @property
    def default_branch(self) -> str:
        """As the event tells it; empty where it does not (schedules, and events under act)."""
        return str(self.at("repository").get("default_branch") or "")

    def relative(self, text: str) -> str:
        """Text with paths as the repository's reader knows them, not as the container does."""
        inside = f"{self.workspace.resolve()}/"
        return text.replace(inside, "") if len(self.workspace.resolve().parts) > 2 else text

    def at(self, *keys: str) -> Mapping[str, Any]:
        """A mapping inside the payload; empty where there is none."""
        node: Any = self.payload
        for key in keys:
            node = node.get(key) if isinstance(node, Mapping) else None
        return node if isinstance(node, Mapping) else {}


def read_context(environ: MutableMapping[str, str]) -> Context:
    """The context, with secrets and command files taken out of `environ`. Raises UserError."""
    event = environ.get("GITHUB_EVENT_NAME", "")
    payload = _payload(environ.get("GITHUB_EVENT_PATH", ""))
    dispatched = payload.get("inputs")
    inputs = take(environ, dispatched if isinstance(dispatched, Mapping) else {})
    hidden = {name: environ.pop(name) for name in RUNNER_ONLY if name in environ}
    if not event:
        raise UserError("GITHUB_EVENT_NAME: not set; this command runs inside a workflow (docs/action.md: by hand)")
    return Context(
        event=event,
        payload=payload,
        inputs=inputs,
        repository=_repository(environ, payload),
        sha=environ.get("GITHUB_SHA", ""),
        ref=environ.get("GITHUB_REF", ""),
        actor=environ.get("GITHUB_ACTOR", ""),
        run_id=environ.get("GITHUB_RUN_ID", ""),
        workspace=Path(environ.get("GITHUB_WORKSPACE") or "."),
        api_url=environ.get("GITHUB_API_URL") or "https://api.github.com",
        server_url=environ.get("GITHUB_SERVER_URL") or "https://github.com",
        output=_file(hidden, "GITHUB_OUTPUT"),
        debug=environ.get("RUNNER_DEBUG") == "1",
        summary=_file(hidden, "GITHUB_STEP_SUMMARY"),
    )


def _repository(environ: Mapping[str, str], payload: Mapping[str, Any]) -> str:
    """The runner's word; act makes one up where the checkout has no remote, so there the event's counts."""
    told = payload.get("repository")
    name = str(told.get("full_name") or "") if isinstance(told, Mapping) else ""
    return name if name and environ.get("ACT") == "true" else environ.get("GITHUB_REPOSITORY", "")


def _payload(path: str) -> dict[str, Any]:
    if not path:
        return {}
    try:
        payload = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"GITHUB_EVENT_PATH: {path}: cannot be read as JSON ({error}); give the webhook's event"
        ) from None
    if not isinstance(payload, dict):
        raise UserError(f"GITHUB_EVENT_PATH: {path}: expected a JSON object, the webhook's event")
    return payload


def _file(environ: Mapping[str, str], name: str) -> Path | None:
    return Path(environ[name]) if environ.get(name) else None
