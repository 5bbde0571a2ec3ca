"""Whether a repository on GitHub would let the bot do its work: its settings, rules, label, secrets and workflow.

Only reads are sent, with the token of a person. Most settings are shown to administrators alone: what a token may not
see is said, with the place where a person looks.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from skillgrad_ci.bot.preflight import RULESETS, branches_in_the_way
from skillgrad_ci.bot.pull_request.branch import branch_name
from skillgrad_ci.bot.pull_request.publish import SETTING
from skillgrad_ci.bot.state import BRANCH
from skillgrad_ci.config.config import Configuration
from skillgrad_ci.github.client import Api, Refusal, find
from skillgrad_ci.session.doctor import Check

GENERAL = "Settings → Actions → General"
SECRETS = "Settings → Secrets and variables → Actions"
OURS = "skillgrad-action"
SECRET = re.compile(r"\bsecrets\.([A-Z][A-Z0-9_]*)")
GIVEN = {"GITHUB_TOKEN"}  # by GitHub itself
STOPS = {  # rules that can stop the bot, who makes and moves its branches without a pull request
    "creation", "update", "non_fast_forward", "pull_request", "required_signatures", "required_linear_history",
    "commit_message_pattern", "branch_name_pattern", "required_status_checks", "workflows", "code_scanning",
}  # fmt: skip


@dataclass(frozen=True)
class OnGitHub:
    """What is asked of one repository for the skills of one configuration."""

    api: Api
    configuration: Configuration

    def checks(self) -> Iterator[Check]:
        """Each as soon as it is known. Raises UserError for a token that GitHub does not take."""
        found = find(self.api, "")
        if found is None:
            yield Check(f"GitHub {self.api.repository}", False, "not there, or hidden from this token", "gh auth login")
            return
        if found.get("archived"):
            remedy = "unarchive it: Settings → General → Danger Zone"
            yield Check(f"GitHub {self.api.repository}", False, "archived: nothing can be written to it", remedy)
            return
        yield Check(f"GitHub {self.api.repository}", True, f"default branch {found.get('default_branch', 'unknown')}")
        yield from self._label(issues=bool(found.get("has_issues", True)))
        yield _seen("Actions", GENERAL, self._actions)
        yield _seen("pull requests by Actions", SETTING, self._pulls)
        yield from self._workflow()
        for name in sorted(self._secrets()):
            yield _seen(f"secret {name}", SECRETS, partial(self._secret, name))
        yield _seen("branches skillgrad/*", RULESETS, self._branches)

    def _label(self, *, issues: bool) -> Iterator[Check]:
        label = self.configuration.label
        if not issues:
            remedy = "turn Issues on (Settings → General → Features) to ask for a run by a label"
            yield Check(f"label {label}", None, "the repository has no issues: schedules alone start a run", remedy)
        elif find(self.api, f"/labels/{label}") is None:
            yield Check(f"label {label}", False, "not there, so no issue can ask for a run", f"gh label create {label}")
        else:
            yield Check(f"label {label}", True, "there")

    def _actions(self) -> Check:
        facts = self.api.get("/actions/permissions")
        if not facts["enabled"]:
            return Check("Actions", False, "turned off", f"{GENERAL} → Actions permissions")
        allowed = facts.get("allowed_actions", "all")
        if allowed == "local_only":
            return Check("Actions", False, "only actions of the same owner may run", f"{GENERAL} → Actions permissions")
        if allowed == "selected":
            remedy = f"see that {OURS} and actions/* are among them: {GENERAL}"
            return Check("Actions", None, "only selected actions may run", remedy)
        return Check("Actions", True, "all actions may run")

    def _pulls(self) -> Check:
        facts = self.api.get("/actions/permissions/workflow")
        name = "pull requests by Actions"
        if not facts["can_approve_pull_request_reviews"]:
            return Check(name, False, "forbidden, unless the action is given a GitHub App", SETTING)
        return Check(
            name, True, f"allowed; jobs have {facts['default_workflow_permissions']} rights where they ask none"
        )

    def _workflow(self) -> Iterator[Check]:
        files = self._workflows()
        if not files:
            yield Check("workflow", False, f"none in .github/workflows uses {OURS}", "docs/action.md has the file")
            return
        for path, text in files.items():
            if f"OWNER/{OURS}" in text:
                remedy = f"sed -i 's#OWNER/{OURS}#the-account/{OURS}#' {path}"
                said = "it says OWNER where the account stands that publishes the action"
                yield Check(f"workflow {path}", False, said, remedy)
            else:
                yield _seen(f"workflow {path}", "the tab Actions", partial(self._state, path))

    def _state(self, path: str) -> Check:
        rows = self.api.get("/actions/workflows", per_page="100")["workflows"]
        state = next((row["state"] for row in rows if row["path"] == path), "")
        if not state:
            remedy = f"commit and push {path}"
            return Check(f"workflow {path}", None, "not on the default branch, from which alone it works", remedy)
        if state != "active":
            return Check(f"workflow {path}", False, f"GitHub does not start it ({state})", f"gh workflow enable {path}")
        return Check(f"workflow {path}", True, "on the default branch")

    def _workflows(self) -> dict[str, str]:
        """The workflows of the checkout that use the action, by path."""
        root = self.configuration.root
        files = sorted((root / ".github" / "workflows").glob("*.y*ml"))
        texts = {file.relative_to(root).as_posix(): file.read_text("utf-8", errors="replace") for file in files}
        return {path: text for path, text in texts.items() if OURS in text}

    def _secrets(self) -> set[str]:
        return {name for text in self._workflows().values() for name in SECRET.findall(text)} - GIVEN

    def _secret(self, name: str) -> Check:
        here = {row["name"] for row in self.api.get("/actions/secrets", per_page="100")["secrets"]}
        above = find(self.api, "/actions/organization-secrets", per_page="100") or {"secrets": []}
        if name in here | {row["name"] for row in above["secrets"]}:
            return Check(f"secret {name}", True, "set")
        return Check(
            f"secret {name}", False, "not set, and the workflow hands it to the model", f"gh secret set {name}"
        )

    def _branches(self) -> Check:
        name = "branches skillgrad/*"
        wanted = [BRANCH, *(branch_name(job.name) for job in self.configuration.skills)]
        blocked = sorted({one for branch in wanted for one in branches_in_the_way(self.api, branch)})
        if blocked:
            return Check(name, False, f"in the way: {', '.join(blocked)}", f"git push origin --delete {blocked[0]}")
        rules = {row["type"] for branch in wanted for row in find(self.api, f"/rules/branches/{branch}") or []}
        if stops := sorted(rules & STOPS):
            said = f"rules can stop the bot there: {', '.join(stops)}; whether they spare it is known at the first run"
            return Check(name, None, said, RULESETS)
        return Check(name, True, "no rule stands against them")


def _seen(name: str, place: str, look: Callable[[], Check]) -> Check:
    """What `look` finds; where this token may not see it, the place where a person does."""
    try:
        return look()
    except Refusal as refusal:
        if refusal.status not in (403, 404):
            raise
        return Check(name, None, "this token may not see it", f"look yourself: {place}")
