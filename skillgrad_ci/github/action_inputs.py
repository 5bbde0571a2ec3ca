"""The action's inputs and outputs: documented here once.

`action.yml` and `docs/action.md` hold the same names, defaults and descriptions; a test compares them.
Names use underscores, because the runner keeps a hyphen in the variable's name, where no shell can set it.
"""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from skillgrad_ci.errors import UserError


@dataclass(frozen=True)
class Documented:
    """An input or output as the Marketplace shows it."""

    name: str
    description: str
    default: str = ""


INPUTS = (
    Documented(
        "token",
        "Token for the GitHub API. The default opens pull requests that start no workflows; a GitHub App's token does.",
        "${{ github.token }}",
    ),
    Documented("config", "Path of the configuration file in the repository.", ".skillgrad.yml"),
    Documented("skill", "Name or path of one configured skill; empty: all of them."),
    Documented("model", "Model that works on the tasks, in place of the configuration's (`provider/model`)."),
    Documented("optimizer_model", "Model that diagnoses and edits, in place of the configuration's."),
    Documented("iterations", "Iterations of the loop, in place of the configuration's."),
    Documented("dry_run", "Write nothing to GitHub, and show what would be written. Default: true under act."),
    Documented("label", "Issue label that asks for a run, in place of the configuration's `label`."),
    Documented("labels", "Labels for the pull request, separated by commas, besides the configuration's."),
    Documented("reviewers", "Reviewers of the pull request, separated by commas, besides the configuration's."),
    Documented("assignees", "Assignees of the pull request, separated by commas, besides the configuration's."),
    Documented("draft", "Open the pull request as a draft.", "false"),
    Documented("threshold", "Accuracy, from 0 to 1, below which the check of a pull request fails; empty: it informs."),
    Documented("run_folder", "Folder for the run's report, patch and journal, in the workspace.", "skillgrad-run"),
    Documented("bot_login", "Login that `token` writes as, where it is an App's.", "github-actions[bot]"),
)

OUTPUTS = (
    Documented("pull_request", "URL of the pull request; empty where none was opened."),
    Documented("branch", "Branch with the optimized skill; empty where none was written."),
    Documented("delta", "Change of heldout accuracy, from -1 to 1; empty where it was not measured."),
    Documented("baseline", "Heldout accuracy of the skill as it was, from 0 to 1."),
    Documented("final", "Heldout accuracy of the optimized skill, from 0 to 1."),
    Documented("cost_usd", "What the models cost, in US dollars; empty where a price is unknown."),
    Documented("report", "Path of the run's folder with report, patch and journal, in the workspace."),
    Documented(
        "status",
        "`opened`, `updated`, `forbidden` (a branch without a pull request), `no_gain`, `unchanged`, `dry_run`, "
        "`answered`, `evaluated`, `ignored`, `refused`, `budget`, `cancelled` or `failed`.",
    ),
)


@dataclass(frozen=True)
class ActionInputs:
    """What the workflow asked for, read. Lists are of names; `dry_run` is decided."""

    token: str = field(default="", repr=False)
    config: str = ".skillgrad.yml"
    skill: str = ""
    model: str = ""
    optimizer_model: str = ""
    iterations: int | None = None
    dry_run: bool = False
    label: str = ""
    labels: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()
    draft: bool = False
    threshold: float | None = None
    run_folder: str = "skillgrad-run"
    bot_login: str = "github-actions[bot]"

    @property
    def flags(self) -> dict[str, Any]:
        """Settings that these inputs put over the configuration's, nested as in its file."""
        models = {"executor": self.model, "optimizer": self.optimizer_model}
        named = {role: model for role, model in models.items() if model}
        iterations = {} if self.iterations is None else {"iterations": self.iterations}
        return iterations | ({"models": named} if named else {})


def take(environ: MutableMapping[str, str], dispatched: Mapping[str, Any]) -> ActionInputs:
    """Read the inputs and take them out of the environment.

    `dispatched` are the event's own inputs (`workflow_dispatch`), used where the workflow passes none on.
    Raises UserError that names the input.
    """
    given = {name: environ.pop(name) for name in [*environ] if name.startswith("INPUT_")}
    values = {known.name: given.get(f"INPUT_{known.name.upper()}", "").strip() for known in INPUTS}
    for name in ("skill", "iterations", "dry_run"):
        values[name] = values[name] or str(dispatched.get(name) or "").strip()
    values["token"] = values["token"] or environ.get("GITHUB_TOKEN", "")
    for name in ("GITHUB_TOKEN", "GH_TOKEN"):
        environ.pop(name, None)
    text = {name: values[name] for name in ("token", "skill", "model", "optimizer_model", "label")}
    return ActionInputs(
        **text,
        config=values["config"] or ActionInputs.config,
        run_folder=values["run_folder"] or ActionInputs.run_folder,
        bot_login=values["bot_login"] or ActionInputs.bot_login,
        iterations=_whole(values["iterations"]),
        dry_run=_truth("dry_run", values["dry_run"] or ("true" if environ.get("ACT") == "true" else "false")),
        labels=_names(values["labels"]),
        reviewers=_names(values["reviewers"]),
        assignees=_names(values["assignees"]),
        draft=_truth("draft", values["draft"] or "false"),
        threshold=_share(values["threshold"]),
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (name.strip().removeprefix("@") for name in text.replace("\n", ",").split(","))))


def _truth(name: str, text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise UserError(f"input {name}: expected true or false, not {text!r:.40}")
    return text.lower() == "true"


def _whole(text: str) -> int | None:
    if text and not (text.isascii() and text.isdigit() and int(text)):
        raise UserError(f"input iterations: expected a whole number from 1, not {text!r:.40}")
    return int(text) if text else None


def _share(text: str) -> float | None:
    try:
        share = float(text) if text else None
    except ValueError:
        share = -1.0
    if share is not None and not 0 <= share <= 1:
        raise UserError(f"input threshold: expected a number from 0 to 1, not {text!r:.40}")
    return share
