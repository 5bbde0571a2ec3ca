"""The action's inputs and outputs: documented here once.

`action.yml` and `docs/action.md` hold the same names, defaults and descriptions; a test compares them.
Names use underscores, because the runner keeps a hyphen in the variable's name, where no shell can set it.
"""

import json
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from skillgrad_ci.errors import UserError

ACTIONS = "github-actions[bot]"  # who writes with the token that a workflow is given
STEPS = ("", "preflight", "execute", "optimize", "deliver")


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
    Documented(
        "app_id", "Id of a GitHub App that writes in place of `token`; its tokens are minted when they are needed."
    ),
    Documented("private_key", "Private key of the App that `app_id` names, in PEM form; give it from a secret."),
    Documented(
        "step",
        "`preflight`, `execute`, `optimize` or `deliver`: a part of the work, for a workflow with several jobs; "
        "empty: all of it.",
    ),
    Documented("shards", "With step `preflight`: the most machines that share a skill's first measurement.", "1"),
    Documented("shard", "With step `execute`: the part of `skill`'s first measurement to make, as in `2/3`."),
    Documented("config", "Path of the configuration file in the repository.", ".skillgrad.yml"),
    Documented("skill", "Name or path of one configured skill; empty: all of them."),
    Documented("skills", "Names or paths of several configured skills, separated by commas or as a JSON list."),
    Documented("tasks", "Path of the suite that measures `skill`, in place of a configuration file."),
    Documented("model", "Model that works on the tasks, in place of the configuration's (`provider/model`)."),
    Documented("optimizer_model", "Model that diagnoses and edits, in place of the configuration's."),
    Documented("iterations", "Iterations of the loop, in place of the configuration's."),
    Documented("budget_usd", "US dollars that a skill's run may cost, in place of the configuration's."),
    Documented("minutes", "Minutes that a skill's run may take, in place of the configuration's."),
    Documented("dry_run", "Write nothing to GitHub, and show what would be written. Default: true under act."),
    Documented("label", "Issue label that asks for a run, in place of the configuration's `label`."),
    Documented("labels", "Labels for the pull request, separated by commas, besides the configuration's."),
    Documented("reviewers", "Reviewers of the pull request, separated by commas, besides the configuration's."),
    Documented("assignees", "Assignees of the pull request, separated by commas, besides the configuration's."),
    Documented("draft", "Open the pull request as a draft.", "false"),
    Documented("threshold", "Accuracy, from 0 to 1, below which the check of a pull request fails; empty: it informs."),
    Documented("run_folder", "Folder for the run's report, patch and journal, in the workspace.", "skillgrad-run"),
    Documented(
        "image",
        "The image that runs: `slim`, `libreoffice` (needed where a spreadsheet's formulas are graded), "
        "or another one's name.",
        "slim",
    ),
    Documented("bot_login", "Login that `token` writes as, where it is an App's.", ACTIONS),
)

OUTPUTS = (
    Documented("pull_request", "URL of the pull request; empty where none was opened."),
    Documented("pull_request_number", "Number of the pull request; empty where none was opened."),
    Documented("head_sha", "The bot's last commit on its branch; empty where none was written."),
    Documented("results", "Everything as JSON: a list with one object a skill."),
    Documented("skills", "The skills that a preflight found due and deliverable, as a JSON list."),
    Documented("shards", "The parts of these skills' first measurements, as a JSON list of `skill` and `shard`."),
    Documented("branch", "Branch with the optimized skill; empty where none was written."),
    Documented("delta", "Change of heldout accuracy, from -1 to 1; empty where it was not measured."),
    Documented("baseline", "Heldout accuracy of the skill as it was, from 0 to 1."),
    Documented("final", "Heldout accuracy of the optimized skill, from 0 to 1."),
    Documented("cost_usd", "What the models cost, in US dollars; empty where a price is unknown."),
    Documented("report", "Path of the run's folder with report, patch and journal, in the workspace."),
    Documented(
        "status",
        "`opened`, `updated`, `forbidden` (a branch without a pull request), `no_gain`, `unchanged`, `dry_run`, "
        "`answered`, `evaluated`, `ignored`, `busy`, `ready`, `executed`, `optimized`, "
        "`undelivered` (kept for the next start), `refused`, `budget`, `cancelled` or `failed`.",
    ),
)


@dataclass(frozen=True)
class ActionInputs:
    """What the workflow asked for, read. Lists are of names; `dry_run` is decided."""

    token: str = field(default="", repr=False)
    app_id: str = ""
    private_key: str = field(default="", repr=False)
    step: str = ""
    shards: int = 1
    shard: str = ""
    config: str = ".skillgrad.yml"
    skill: str = ""
    skills: tuple[str, ...] = ()
    tasks: str = ""
    model: str = ""
    optimizer_model: str = ""
    iterations: int | None = None
    budget_usd: float | None = None
    minutes: float | None = None
    dry_run: bool = False
    label: str = ""
    labels: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()
    draft: bool = False
    threshold: float | None = None
    run_folder: str = "skillgrad-run"
    image: str = "slim"
    bot_login: str = ACTIONS

    @property
    def flags(self) -> dict[str, Any]:
        """Settings that these inputs put over the configuration's, nested as in its file."""
        models = {"executor": self.model, "optimizer": self.optimizer_model}
        named = {role: model for role, model in models.items() if model}
        caps = {"usd": self.budget_usd, "minutes": self.minutes}
        budget = {name: cap for name, cap in caps.items() if cap is not None}
        flags = {"iterations": self.iterations, "models": named, "budget": budget}
        return {name: value for name, value in flags.items() if value}

    @property
    def named(self) -> tuple[str, ...]:
        """The skills that the workflow names; none: all that are configured."""
        return tuple(dict.fromkeys([*filter(None, [self.skill]), *self.skills]))

    @property
    def secrets(self) -> list[str]:
        """What came as an input and must be shown nowhere."""
        return [secret for secret in (self.token, self.private_key) if secret]


def take(environ: MutableMapping[str, str], dispatched: Mapping[str, Any]) -> ActionInputs:
    """Read the inputs and take them out of the environment.

    `dispatched` are the event's own inputs (`workflow_dispatch`), used where the workflow passes none on.
    Raises UserError that names the input.
    """
    given = {name: environ.pop(name) for name in [*environ] if name.startswith("INPUT_")}
    values = {known.name: given.get(f"INPUT_{known.name.upper()}", "").strip() for known in INPUTS}
    for name in ("skill", "skills", "iterations", "budget_usd", "minutes", "dry_run"):
        values[name] = values[name] or str(dispatched.get(name) or "").strip()
    values["token"] = values["token"] or environ.get("GITHUB_TOKEN", "")
    for name in ("GITHUB_TOKEN", "GH_TOKEN"):
        environ.pop(name, None)
    free = ("token", "app_id", "private_key", "shard", "skill", "tasks", "model", "optimizer_model", "label")
    text = {name: values[name] for name in free}
    _refuse_contradictions(values)
    return ActionInputs(
        **text,
        config=values["config"] or ActionInputs.config,
        run_folder=values["run_folder"] or ActionInputs.run_folder,
        image=values["image"] or ActionInputs.image,
        bot_login=values["bot_login"] or ActionInputs.bot_login,
        step=values["step"],
        skills=_listed(values["skills"]),
        shards=_whole("shards", values["shards"]) or 1,
        iterations=_whole("iterations", values["iterations"]),
        budget_usd=_positive("budget_usd", values["budget_usd"]),
        minutes=_positive("minutes", values["minutes"]),
        dry_run=_truth("dry_run", values["dry_run"] or ("true" if environ.get("ACT") == "true" else "false")),
        labels=_names(values["labels"]),
        reviewers=_names(values["reviewers"]),
        assignees=_names(values["assignees"]),
        draft=_truth("draft", values["draft"] or "false"),
        threshold=_share(values["threshold"]),
    )


def _refuse_contradictions(values: Mapping[str, str]) -> None:
    """Inputs that go together, and a step that there is."""
    if values["step"] not in STEPS:
        raise UserError(f"input step: expected preflight, execute, optimize or deliver, not {values['step']!r:.40}")
    if bool(values["app_id"]) != bool(values["private_key"]):
        raise UserError("inputs app_id and private_key: give both, or neither")
    if (values["step"] == "execute") != bool(values["shard"]):
        raise UserError("inputs step and shard: step: execute needs a shard, as in 2/3, and no other step takes one")
    if values["tasks"] and not values["skill"]:
        raise UserError("input tasks: give skill with it, the path of the skill that these tasks measure")


def _listed(text: str) -> tuple[str, ...]:
    """Names divided by commas or lines, or a JSON list of them, as an output of an earlier job is."""
    if not text.startswith("["):
        return _names(text)
    try:
        names = json.loads(text)
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f"input skills: expected names, or a JSON list of names, not {text!r:.60}")
    return tuple(names)


def _positive(name: str, text: str) -> float | None:
    try:
        number = float(text) if text else None
    except ValueError:
        number = -1.0
    if number is not None and not 0 < number < float("inf"):
        raise UserError(f"input {name}: expected a number above 0, not {text!r:.40}")
    return number


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (name.strip().removeprefix("@") for name in text.replace("\n", ",").split(","))))


def _truth(name: str, text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise UserError(f"input {name}: expected true or false, not {text!r:.40}")
    return text.lower() == "true"


def _whole(name: str, text: str) -> int | None:
    if text and not (text.isascii() and text.isdigit() and int(text)):
        raise UserError(f"input {name}: expected a whole number from 1, not {text!r:.40}")
    return int(text) if text else None


def _share(text: str) -> float | None:
    try:
        share = float(text) if text else None
    except ValueError:
        share = -1.0
    if share is not None and not 0 <= share <= 1:
        raise UserError(f"input threshold: expected a number from 0 to 1, not {text!r:.40}")
    return share
