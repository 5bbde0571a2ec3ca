"""What the optimizing agents' prompts take in an iteration, and what of it a provider's cache writes and reads.

    make bench

The real loop, the real agents and the real adapter ask a local server that keeps a cache (`caching_server.py`).
The skill has about 2,000 tokens, each execution about 1,500. The first patch is accepted; from then on the skill
stays, so that three iterations show both. Counts alone: they are the same on every machine.
"""

import json
import re
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.caching_server import CachingServer, Count, caching, total
from benchmarks.executions import EVERYWHERE, Scripted, Setting
from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.method.gradient import DiagnosisReply
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.method.optimize import optimize
from skillgrad_ci.method.optimizers.momentum import MomentumReply
from skillgrad_ci.method.optimizers.update import PatchReply
from skillgrad_ci.method.prompting import StructuredAgent, load_prompt
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.method.task import Task
from skillgrad_ci.models.provider import LitellmModel
from skillgrad_ci.skill.skill import Skill
from tests.support.worlds import SKILL, silent, world

ITERATIONS = 3
REPLIES = {"diagnoser": ("diagnose", DiagnosisReply), "momentum": ("momentum", MomentumReply),
           "patcher": ("patch", PatchReply)}  # fmt: skip
CASE = "\n## Case {n}\n\nWhere case {n} shows, look at its table first, and say what was found there.\n"
BODY = "".join(CASE.format(n=n) for n in range(85))
LONG = Skill("s", {"SKILL.md": SKILL.files["SKILL.md"] + BODY.encode()})


@dataclass(frozen=True)
class Provider:
    """A model, and whether its server is asked for a batch's diagnoses at once."""

    name: str
    model: str
    at_once: bool = False

    def ask(self, server: CachingServer) -> LitellmModel:
        base = server.url if self.model.startswith("anthropic/") else f"{server.url}/v1"
        return LitellmModel(self.model, api_base=base, api_key="k")


PROVIDERS = (
    Provider("Claude, diagnoses one by one", "anthropic/claude-sonnet-4-5"),
    Provider("Claude, diagnoses at once", "anthropic/claude-sonnet-4-5", at_once=True),
    Provider("OpenAI, diagnoses one by one", "openai/gpt-4o"),
    Provider("OpenAI, diagnoses at once", "openai/gpt-4o", at_once=True),
    Provider("a server without schemas, one by one", "openai/unknown"),
)


@dataclass
class Wordy(Scripted):
    """Executions of some length; the replies go over the wire."""

    def rollout(self, skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> Evidence:
        row = super().rollout(skill, task, iteration=iteration, trial=trial)
        said = [
            {"kind": "message", "role": "assistant", "text": f"Step {n} of {task.id}: " + "I look at the table. " * 20}
            for n in range(14)
        ]
        return replace(row, trajectory=replace(row.trajectory, events=[*said, *row.trajectory.events]))


def role_of(system: str) -> str:
    """Whose prompt it is: the one whose own first line stands in it."""
    heads = {role: load_prompt(name).split("\n", 1)[0] for role, (name, _) in REPLIES.items()}
    return next(role for role, head in heads.items() if head in system)


def count(provider: Provider) -> dict[str, Count]:
    """The tokens of a run's prompts by role."""
    scripted = Wordy(Setting("", (12, 4, 6), EVERYWHERE))

    def answer(system: str, user: str) -> str:
        role = role_of(system)
        said: Any = scripted.agent(role, "", user, REPLIES[role][1])
        if role == "patcher" and len(re.findall(r"Rule \d+: look twice", system + user)) > 0:
            return json.dumps({"edits": []})
        return str(said.model_dump_json())

    with caching(answer, role_of, at_once=provider.at_once) as server:
        model = provider.ask(server)
        parts = world(scripted.rollout, StructuredAgent(lambda _: model, silent))
        settings = LoopSettings(iterations=ITERATIONS, accept="always")
        run = optimize(LONG, scripted.setting.suite, settings, PatternMemory("s"), parts)
    assert len(run.iterations) == ITERATIONS, run.why
    return server.counts


HEAD = (
    "| provider | role | calls | prompt tokens | written to its cache | read from it | paid as |\n" + "| --- " * 7 + "|"
)


def table() -> str:
    """All providers, as Markdown: means of an iteration."""
    rows = [HEAD]
    for provider in PROVIDERS:
        counts = count(provider)
        for role, one in [*counts.items(), ("all", total(list(counts.values())))]:
            figures = [one.prompt, one.written, one.read, one.paid]
            cells = [f"{value / ITERATIONS:,.0f}" for value in figures]
            rows.append(f"| {' | '.join([provider.name, role, f'{one.calls / ITERATIONS:g}', *cells])} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
