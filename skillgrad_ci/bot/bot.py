"""What every act of the bot needs, and what it ends with."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from skillgrad_ci.bot.engine import Engine
from skillgrad_ci.config.config import Configuration, SkillRun
from skillgrad_ci.errors import BudgetExceeded, Cancelled, SkillGradError, UserError
from skillgrad_ci.github.action_inputs import ACTIONS
from skillgrad_ci.github.client import Api
from skillgrad_ci.github.context import Context
from skillgrad_ci.github.git_data import branch_head
from skillgrad_ci.github.workflow_log import WorkflowLog
from skillgrad_ci.session.inputs import Inputs
from skillgrad_ci.skill.lint import lint
from skillgrad_ci.skill.skill import Skill


@dataclass(frozen=True)
class Bot:
    """One event's worth of the bot: where it is, what it may call, how it tells."""

    context: Context
    configuration: Configuration
    api: Api
    engine: Engine
    log: WorkflowLog
    spent: list[float] = field(default_factory=list)  # US dollars, by run of this start

    @property
    def default_branch(self) -> str:
        """From the event, else from the API, else (nothing can be asked) the branch checked out."""
        if self.context.default_branch or self.api.blind:
            return self.context.default_branch or self.context.ref.removeprefix("refs/heads/") or "main"
        return str(self.api.get("")["default_branch"])

    def base(self) -> str:
        """The newest commit of the default branch, read now."""
        head = None if self.api.blind else branch_head(self.api, self.default_branch)
        return head or self.context.sha or "0" * 40

    def folder(self, inputs: Inputs) -> Path:
        """Where a run's files go. The same inputs meet the same folder, so a cache brings its journal back."""
        folder = self.context.workspace / self.context.inputs.run_folder
        self.relative(folder)  # an artifact and a cache reach no other place: said before anything is spent
        return folder / inputs.skill.name / inputs.fingerprint[:12]

    @property
    def starts_workflows(self) -> bool:
        """Whether what this token pushes starts workflows: all but the workflow's own token's."""
        return self.api.login != ACTIONS

    def path(self, job: SkillRun) -> str:
        """A skill's folder, relative to the repository; empty for its root."""
        return self.relative(job.path)

    def relative(self, path: Path) -> str:
        try:
            inside = path.resolve().relative_to(self.context.workspace.resolve()).as_posix()
        except ValueError:
            raise UserError(
                f"{path}: not inside the repository at {self.context.workspace}; name a path in it"
            ) from None
        return "" if inside == "." else inside

    def names(self) -> dict[str, str]:
        """The configured skills: name to path."""
        return {job.name: self.path(job) for job in self.configuration.skills}

    def failed(self, error: SkillGradError) -> "Ending":
        """An error as an ending, with paths as the repository's reader knows them."""
        ending = ending_of(error)
        return replace(ending, line=self.context.relative(ending.line))

    def refuse_rehearsal(self, job: SkillRun) -> None:
        if job.settings.models.rehearsal and not self.api.dry:
            raise UserError(
                f"{job.name}: the rehearsal model never writes to a repository; name a model in .skillgrad.yml, "
                "or set dry_run: true"
            )


PLACE = re.compile(r"(?P<file>[^\s:]+):(?:(?P<line>\d+):)? ")


def annotate_error(context: Context, log: WorkflowLog, message: str) -> None:
    """An error of the step, at the file and line that it begins with."""
    message = context.relative(message)
    place = PLACE.match(message)
    file = place["file"] if place and (context.workspace / place["file"]).is_file() else ""
    line = int(place["line"]) if file and place and place["line"] else None
    log.annotate("error", message, file=file, line=line)


def annotate_lint(bot: Bot, job: SkillRun, skill: Skill) -> None:
    """What the layer rules find in a skill, at the lines where it stands."""
    for finding in lint(skill):
        place = "/".join(filter(None, [bot.path(job), finding.file]))
        bot.log.annotate("warning", f"{finding.rule}: {finding.message}", file=place, line=finding.line)


@dataclass(frozen=True)
class Ending:
    """What an act came to: an output `status`, the values of the action's outputs, and an exit code.

    `line` is plain, for the log; `text` is Markdown for the issue that asked. `skill` is empty where it is about none.
    """

    status: str
    line: str
    text: str = ""
    pull_request: str = ""
    branch: str = ""
    delta: float | None = None
    baseline: float | None = None
    final: float | None = None
    cost_usd: float | None = None
    report: str = ""
    code: int = 0
    skill: str = ""
    pull_request_number: int | None = None
    head_sha: str = ""
    shards: tuple[str, ...] = ()


def ending_of(error: SkillGradError) -> Ending:
    """An error as a result: its exit code says who must act (2 the user, 3 the budget, 1 anything else)."""
    code = 2 if isinstance(error, UserError) else 3 if isinstance(error, BudgetExceeded) else 1
    status = {3: "budget", 1: "cancelled" if isinstance(error, Cancelled) else "failed"}.get(code, "failed")
    return Ending(status, str(error), code=code)
