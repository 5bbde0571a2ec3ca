"""A repository on a fake GitHub with a checkout beside it, and the bot let loose on its events.

The bot, its client, the loop, the report are the real ones. Executions and the optimizing agents are
synthetic (`worlds`): a run takes milliseconds.
"""

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from skillgrad_ci.bot.action import action
from skillgrad_ci.bot.engine import Engine
from skillgrad_ci.github.client import Patience
from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.method.optimize import optimize
from skillgrad_ci.method.ports import Observer
from skillgrad_ci.method.task import Suite, Task
from skillgrad_ci.report.pages import write_run
from skillgrad_ci.report.report import Circumstances, report_of
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.inputs import Inputs
from skillgrad_ci.session.journal.earlier import known_baseline
from skillgrad_ci.session.journal.file_journal import FileJournal
from skillgrad_ci.session.optimize_skill import Finished
from skillgrad_ci.session.shards import Shard, ShardDone, measure_part, plan
from skillgrad_ci.session.split import assign
from skillgrad_ci.skill.skill import Skill
from tests.fake_github.hub import BOT, MAIN
from tests.fake_github.server import FakeGitHub, serve
from tests.support.worlds import Oracle, Synthetic, world

QUICK = Patience(attempts=3, backoff=0.0, secondary=0.0, longest=5.0, between_writes=0.0)
CONFIG = """\
skills:
  - {path: skills/writer, tasks: evals/writer}
  - {path: skills/reader, tasks: evals/reader}
models: {executor: openai/small, optimizer: openai/large}
iterations: 3
batch_size: 4
"""
SPLITS = ["train"] * 9 + ["validation"] * 6 + ["heldout"] * 6
WORDS = ["alpha", "beta", "gamma"]


def skill_text(name: str) -> bytes:
    return f"---\nname: {name}\ndescription: Use it to test {name}s.\n---\n# Guide\n\nBe careful.\n".encode()


def suite_text() -> bytes:
    rows = [
        f"  - id: task-{number:02}\n    instruction: Needs {WORDS[number % 3]}.\n"
        f"    grader: {{type: text, exact: x}}\n    split: {split}\n"
        for number, split in enumerate(SPLITS)
    ]
    return ("version: 1\ntasks:\n" + "".join(rows)).encode()


FILES: dict[str, bytes] = {
    ".skillgrad.yml": CONFIG.encode(),
    "README.md": b"# A repository\n",
    "skills/writer/SKILL.md": skill_text("writer"),
    "skills/writer/references/old.md": b"# Old\n\nNothing.\n",
    "skills/reader/SKILL.md": skill_text("reader"),
    "evals/writer/tasks.yaml": suite_text(),
    "evals/reader/tasks.yaml": suite_text(),
}


@dataclass
class SyntheticEngine:
    """The real loop over a synthetic world; `before` is called when a run starts: what people do meanwhile."""

    rollout: Synthetic = field(default_factory=Synthetic)
    agent: Oracle = field(default_factory=Oracle)
    before: Callable[[], object] = lambda: None
    optimized: list[Inputs] = field(default_factory=list)
    measured: list[Inputs] = field(default_factory=list)
    arms: list[Sequence[Skill]] = field(default_factory=list)
    executed: list[Shard] = field(default_factory=list)
    spent: list[float] = field(default_factory=list)

    def optimize(self, inputs: Inputs, folder: Path, observe: Observer) -> Finished:
        self.optimized.append(inputs)
        self.before()
        made = world(
            self.rollout,
            self.agent,
            observe=observe,
            split=partial(_split, inputs),
            reports_ties=inputs.job.reports_ties,
            earlier=known_baseline(inputs.earlier, inputs.skill, inputs.job.settings, lambda task: ""),
        )
        run = optimize(inputs.skill, inputs.suite, inputs.job.settings, inputs.memory, made, inputs.name)
        cost = {"executor": self.rollout.cost}
        around = Circumstances(inputs.job.settings, "skills/x", "evals/x", "synthetic", "skillgrad-ci optimize", cost)
        report = report_of(run, around)
        return Finished(run, report, folder, write_run(folder, run, report, Redactor()))

    def execute(self, inputs: Inputs, shard: Shard, folder: Path, observe: Observer) -> ShardDone:
        self.executed.append(shard)
        made, part = world(self.rollout, self.agent, observe=observe), plan(inputs, shard.of)[shard]
        with FileJournal(folder) as journal:
            stop, why = measure_part(inputs, part, made, journal)
        done = [] if stop else [self.rollout(inputs.skill, task, iteration="base") for task, _ in part]
        return ShardDone(done, len(part), stop, why)

    def measure(
        self, inputs: Inputs, candidates: Sequence[Skill], tasks: Sequence[Task], folder: Path, observe: Observer
    ) -> list[list[Evidence]]:
        self.measured.append(inputs)
        self.arms.append(list(candidates))
        rows = [[self.rollout(skill, task, iteration="measure") for task in tasks] for skill in candidates]
        self.spent.append(sum(row.trajectory.usage.usd or 0.0 for arm in rows for row in arm))
        return rows


def _split(inputs: Inputs, suite: Suite, baseline: Sequence[Evidence]) -> Suite:
    return suite.with_splits(assign(suite.tasks, None, inputs.recorded).splits)


@dataclass
class Ended:
    """What a step left behind: exit code, log, outputs, job summary."""

    code: int
    log: str
    outputs: dict[str, str]
    summary: str


@dataclass
class Stage:
    github: FakeGitHub
    checkout: Path
    engine: SyntheticEngine = field(default_factory=SyntheticEngine)
    make_engine: Callable[[Redactor], Engine] | None = None
    environ: dict[str, str] = field(default_factory=dict)

    def sync(self) -> None:
        """Check out the newest commit of the default branch."""
        for path, content in self.github.hub.git.files(MAIN).items():
            (self.checkout / path).parent.mkdir(parents=True, exist_ok=True)
            (self.checkout / path).write_bytes(content)
        (self.checkout / ".git").mkdir(exist_ok=True)
        (self.checkout / ".git/HEAD").write_text(self.github.hub.git.refs[MAIN] + "\n")

    def run(self, event: str, payload: Mapping[str, Any], **inputs: str) -> Ended:
        """One step of a workflow, as the runner would start it."""
        runner = self.checkout.parent
        paths = {name: runner / name for name in ("event.json", "output", "summary")}
        paths["event.json"].write_text(json.dumps(payload))
        paths["output"].write_text("")
        paths["summary"].write_text("")
        environ = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": event,
            "GITHUB_EVENT_PATH": str(paths["event.json"]),
            "GITHUB_OUTPUT": str(paths["output"]),
            "GITHUB_STEP_SUMMARY": str(paths["summary"]),
            "GITHUB_WORKSPACE": str(self.checkout),
            "GITHUB_REPOSITORY": "acme/skills",
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_SHA": self.github.hub.git.refs[MAIN],
            "GITHUB_RUN_ID": "77",
            "GITHUB_API_URL": self.github.url,
            "GITHUB_SERVER_URL": "https://github.invalid",
            "INPUT_TOKEN": "bot-token",
            **self.environ,
            **{f"INPUT_{name.upper()}": value for name, value in inputs.items()},
        }
        log = io.StringIO()
        code = action(environ, log, self.make_engine or (lambda redactor: self.engine), QUICK)
        assert not [name for name in environ if name.startswith("INPUT_")]
        return Ended(code, log.getvalue(), outputs(paths["output"].read_text()), paths["summary"].read_text())

    def label(self, issue: int, given: str = "optimize-skill", sender: str = "ann", **inputs: str) -> Ended:
        """Somebody labels an issue."""
        known = self.github.hub.issues[issue]
        known.labels = list(dict.fromkeys([*known.labels, given]))
        shown = {"number": issue, "title": known.title, "body": known.body, "state": "open"}
        kind = "Bot" if sender.endswith("[bot]") else "User"
        sent = {"login": sender, "type": kind}
        payload = {"action": "labeled", "label": {"name": given}, "issue": shown, "sender": sent}
        return self.run("issues", payload | {"repository": {"default_branch": "main"}}, **inputs)

    def say(self, pull: int, text: str, sender: str = "wes") -> Ended:
        """Somebody comments on a pull request."""
        comment = self.github.hub.comment(pull, sender, text)
        shown = {"number": pull, "state": "open", "pull_request": {"url": "https://github.invalid"}}
        payload = {"action": "created", "comment": {"id": comment.id, "body": text}, "issue": shown}
        payload |= {"sender": {"login": sender, "type": "User"}, "repository": {"default_branch": "main"}}
        return self.run("issue_comment", payload)

    def propose(self, files: Mapping[str, bytes | None]) -> int:
        """A person's pull request from the branch `topic`; its number."""
        git = self.github.hub.git
        git.refs["heads/topic"] = git.refs[MAIN]
        git.change("heads/topic", files, "wes")
        return self.github.hub.pull("Better", "", "topic", "main", "wes").number

    def evaluate(self, number: int, **inputs: str) -> Ended:
        """The event of a pull request's newest head, with its base checked out."""
        return self.run("pull_request", self.proposed(number), **inputs)

    def proposed(self, number: int, **changes: Any) -> dict[str, Any]:
        pull, here = self.github.hub.pulls[number], {"full_name": "acme/skills"}
        shown = {
            "number": number,
            "base": {"sha": pull.base_sha, "ref": "main", "repo": here},
            "head": {"sha": pull.head_sha, "ref": "topic", "repo": here} | changes,
        }
        payload = {"action": "synchronize", "pull_request": shown, "sender": {"login": "wes", "type": "User"}}
        return payload | {"repository": {"default_branch": "main"}}

    def told(self, number: int) -> list[str]:
        """What the bot says on an issue or a pull request."""
        return [comment.body for comment in self.github.hub.comments_on(number) if comment.author == BOT]

    def schedule(self, **inputs: str) -> Ended:
        return self.run("schedule", {"schedule": "0 3 * * 1"}, **inputs)

    def opened(self) -> int:
        """Optimize `writer` because of a label; the number of the pull request."""
        issue = self.github.hub.issue("Make writer better", "skill: writer")
        ended = self.label(issue.number)
        assert ended.code == 0, ended.log
        return max(self.github.hub.pulls)


def outputs(text: str) -> dict[str, str]:
    """Parse the runner's output file."""
    found, lines = {}, iter(text.splitlines())
    for line in lines:
        name, _, end = line.partition("<<")
        value = []
        for inner in lines:
            if inner == end:
                break
            value.append(inner)
        found[name] = "\n".join(value)
    return found


@contextmanager
def stage(folder: Path, files: Mapping[str, bytes] | None = None) -> Iterator[Stage]:
    """The repository of `FILES`, checked out below `folder`. Fails if the bot broke GitHub's contract."""
    with serve() as github:
        github.hub.git.change(MAIN, dict(files or FILES), "ann", "Begin")
        made = Stage(github, folder / "checkout")
        made.checkout.mkdir()
        made.sync()
        yield made
        assert not github.broken, github.broken
