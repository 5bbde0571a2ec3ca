"""Diagnoses: one per task, of the right kind, from what the diagnoser may see."""

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.method.evidence import Evidence, Outcome, Trajectory
from skillgrad_ci.method.gradient import Diagnosis, DiagnosisReply, Kind, diagnose, slug
from skillgrad_ci.method.ports import Reply
from skillgrad_ci.method.task import GraderSpec, Task
from skillgrad_ci.skill.skill import Skill

SKILL = Skill("s", {"SKILL.md": b"---\nname: s\ndescription: d\n---\nDo it well.\n", "references/r.md": b"chapter"})
TASK = Task("task-7", "Sum {{column}} A.", [GraderSpec("text")], expected=("hidden answer",))


class Diagnoser:
    """Replies the same each time and keeps its prompts."""

    def __init__(self, **fields: Any) -> None:
        self.prompts: list[str] = []
        known = {"label": "Sums Text!", "summary": "a\nb", "cause": "c", "guidance": "weak", "skipped_step": ""}
        self.reply = known | {"robust": True, "quote": "cat a.txt"} | fields

    def __call__(self, role: str, system: str, user: str, reply: type[Reply], *, shared: str = "") -> Reply:
        user = f"{shared}\n\n{user}" if shared else user
        assert (role, reply) == ("diagnoser", DiagnosisReply)
        self.prompts.append(user)
        return reply.model_validate(self.reply)


def evidence(outcome: Outcome, *references: str) -> Evidence:
    """A success is under the skill in force, a failure under the initial one."""
    events: list[dict[str, Any]] = [
        {"kind": "message", "role": "system", "text": "the system prompt"},
        {"kind": "tool_call", "id": "1", "tool": "shell", "arguments": {"command": "cat  a.txt | wc"}},
        {"kind": "tool_result", "id": "1", "tool": "shell", "output": f"{outcome} output", "exit_code": 0},
    ]
    trajectory = Trajectory(events, references_read=references)
    digest = SKILL.digest if outcome is Outcome.PASSED else "before"
    return Evidence("task-7", digest, outcome, feedback=f"{outcome} feedback", trajectory=trajectory)


FAILED, PASSED, UNMEASURED = (evidence(o) for o in (Outcome.FAILED, Outcome.PASSED, Outcome.UNMEASURED))


def test_the_kind_follows_from_both_outcomes() -> None:
    agent = Diagnoser()
    failure = diagnose(agent, SKILL, TASK, FAILED, FAILED)
    contrastive = diagnose(agent, SKILL, TASK, PASSED, FAILED)
    assert failure is not None
    assert contrastive is not None
    assert (failure.kind, failure.robust, contrastive.kind, contrastive.robust) == (
        "failure",
        False,
        "contrastive",
        True,
    )
    assert (failure.label, failure.summary, failure.guidance) == ("sums-text", "a b", "weak")
    assert diagnose(agent, SKILL, TASK, UNMEASURED, FAILED) is None
    assert diagnose(agent, SKILL, TASK, PASSED, PASSED) is None
    flicker = replace(PASSED, skill_digest=FAILED.skill_digest)
    assert diagnose(agent, SKILL, TASK, flicker, FAILED) is None
    assert len(agent.prompts) == 2


def test_the_prompt_holds_skill_task_conduct_and_feedback_and_no_answer() -> None:
    agent = Diagnoser()
    diagnose(agent, SKILL, TASK, FAILED, FAILED)
    diagnose(agent, SKILL, TASK, evidence(Outcome.PASSED, "references/r.md"), FAILED)
    failure, contrastive = agent.prompts
    for part in ("Do it well.", "Sum {{column}} A.", "cat  a.txt | wc", "failed output", "failed feedback"):
        assert part in failure
    assert "hidden answer" not in failure + contrastive
    shared = [prompt.partition("## Task ")[0] for prompt in agent.prompts]
    assert shared[0] == shared[1]  # to the byte, whatever was read: a provider's cache hits
    assert "chapter" in shared[0]
    assert "failed output" in contrastive
    assert "passed output" in contrastive
    assert failure.index("Do it well.") < failure.index("Sum {{column}} A.")  # what the batch shares comes first


def test_a_diagnosis_names_the_right_approach_and_keeps_the_newlines_of_code() -> None:
    code = "for row in rows:\n    if row.hidden:\n        continue"
    found = diagnose(
        Diagnoser(approach="When rows\nare hidden, skip them.", snippet=f"\n{code}\n"), SKILL, TASK, FAILED, FAILED
    )
    assert found is not None
    assert (found.approach, found.snippet) == ("When rows are hidden, skip them.", code)
    told = found.render()
    assert "  - right approach: When rows are hidden, skip them.\n" in told
    assert "    for row in rows:\n        if row.hidden:\n            continue\n" in told


def test_no_field_of_a_diagnosis_crowds_out_the_others() -> None:
    endless = dict.fromkeys(("summary", "cause", "skipped_step", "approach", "snippet", "quote"), "x" * 50000)
    found = diagnose(Diagnoser(**endless), SKILL, TASK, FAILED, FAILED)
    assert found is not None
    assert len(found.render()) < 8_000


def test_everything_in_the_prompt_is_bounded() -> None:
    big = "x" * 1_000_000
    events = [
        event for n in range(60) for event in (
            {"kind": "message", "role": "assistant", "text": f"{n} {big[:50_000]}"},
            {"kind": "tool_call", "id": str(n), "tool": "shell", "arguments": {"command": f"{n} {big[:50_000]}"}},
            {"kind": "tool_result", "id": str(n), "tool": "shell", "output": f"{n} {big[:50_000]}", "exit_code": 0},
        )
    ]  # fmt: skip
    task = Task("task-7", big, [GraderSpec("text")])
    rows = [replace(row, feedback=big, trajectory=Trajectory(events[n:])) for n, row in enumerate((FAILED, PASSED))]
    agent = Diagnoser()
    diagnose(agent, SKILL, task, rows[0], rows[0])
    diagnose(agent, SKILL, task, rows[1], rows[0])
    for prompt in agent.prompts:
        assert len(prompt) < 90_000
        assert "Cut for length: " in prompt


def test_what_both_executions_begin_with_is_told_once() -> None:
    start = FAILED.trajectory.events
    went_on = [*start, {"kind": "message", "role": "assistant", "text": "I shall check."}]
    passed = replace(PASSED, trajectory=Trajectory(went_on))
    agent = Diagnoser()
    diagnose(agent, SKILL, TASK, passed, FAILED)
    [prompt] = agent.prompts
    assert prompt.count("cat  a.txt | wc") == 1
    assert prompt.index("How both executions begin") < prompt.index("cat  a.txt") < prompt.index("I shall check.")


def test_a_quote_counts_only_where_it_was_said() -> None:
    found = diagnose(Diagnoser(quote="cat a.txt |\n wc"), SKILL, TASK, FAILED, FAILED)
    made_up = diagnose(Diagnoser(quote="rm -rf"), SKILL, TASK, FAILED, FAILED)
    assert found is not None
    assert made_up is not None
    assert (found.quote, made_up.quote) == ("cat a.txt | wc", "")


def test_a_quote_comes_from_what_the_agent_did_as_the_prompt_shows_it() -> None:
    """A command of several lines is quoted as it stands; what it was told is no proof of what it did."""
    events: list[dict[str, Any]] = [
        {"kind": "message", "role": "user", "text": "Sum column A."},
        {"kind": "tool_call", "tool": "shell", "arguments": {"command": "python3 - <<'E'\nprint(\"it's\")\nE"}},
        {"kind": "tool_call", "tool": "write", "arguments": {"path": "ä.py", "text": "x"}},
    ]
    seen = replace(FAILED, trajectory=Trajectory(events))
    quotes = ["<<'E'\nprint(\"it's\")", '"ä.py", "text"', "Sum column A."]
    found = [diagnose(Diagnoser(quote=quote), SKILL, TASK, seen, seen) for quote in quotes]
    assert [one and one.quote for one in found] == ["<<'E' print(\"it's\")", '"ä.py", "text"', ""]


def test_a_label_needs_a_letter() -> None:
    assert slug("  Text—Numbers, summed: 2 ") == "text-numbers-summed-2"
    with pytest.raises(ValueError, match="letters or digits"):
        DiagnosisReply.model_validate(Diagnoser(label="!!").reply)


def test_a_diagnosis_says_whether_a_success_was_luck() -> None:
    def first(kind: Kind, robust: bool) -> str:
        return Diagnosis("t", kind, "l", "s", "c", "missing", robust=robust).render().splitlines()[0]

    assert [first("failure", True), first("contrastive", True), first("contrastive", False)] == [
        "- task t: failure: l",
        "- task t: contrastive (robust): l",
        "- task t: contrastive (perhaps luck): l",
    ]


def test_a_diagnosis_is_told_line_by_line_and_what_is_empty_has_none() -> None:
    short = Diagnosis("t1", "failure", "sums-text", "sums text", "never converts", "missing")
    begun = [
        "- task t1: failure: sums-text",
        "  - what happened: sums text",
        "  - cause: never converts",
        "  - guidance in the skill: missing",
    ]
    assert short.render().split("\n") == begun
    full = replace(short, skipped_step="checks", approach="When text, convert.", snippet="int(x)", quote="sum('1')")
    assert full.render().split("\n") == [
        *begun,
        "  - skipped step: checks",
        "  - right approach: When text, convert.",
        "  - in code:",
        "    ```",
        "    int(x)",
        "    ```",
        "  - seen in the trajectory: \"sum('1')\"",
    ]
    verdicts = [replace(short, kind="contrastive", robust=robust).render().split("\n")[0] for robust in (True, False)]
    assert verdicts == [
        "- task t1: contrastive (robust): sums-text",
        "- task t1: contrastive (perhaps luck): sums-text",
    ]


@given(st.text(max_size=90) | st.text("ab1- _", max_size=90))
def test_a_label_is_words_joined_by_hyphens(text: str) -> None:
    name = slug(text)
    assert re.fullmatch(r"([a-z0-9]+(-[a-z0-9]+)*)?", name)
    assert len(name) <= 60
    assert slug(name) == name
    plain = re.sub(r"[^a-z0-9]", "", text.lower())
    assert name.replace("-", "") == plain[: len(name.replace("-", ""))]
    assert len(name) >= 59 or name.replace("-", "") == plain, "nothing is lost but beyond the bound"


def test_a_task_that_passed_under_the_initial_skill_too_teaches_nothing() -> None:
    agent = Diagnoser()
    assert diagnose(agent, SKILL, TASK, PASSED, replace(PASSED, skill_digest="before")) is None
    assert agent.prompts == []


def test_a_long_quote_is_cut_and_none_stays_none() -> None:
    said = "x" * 400
    seen = replace(FAILED, trajectory=Trajectory([{"kind": "message", "role": "assistant", "text": said}]))
    long, none = (diagnose(Diagnoser(quote=quote), SKILL, TASK, seen, seen) for quote in (said, " \n"))
    assert long
    assert none
    assert (long.quote, none.quote) == ("x" * 300, "")


def test_what_is_asked_names_the_kind_and_the_task_and_a_skipped_step_is_kept() -> None:
    agent = Diagnoser(skipped_step="looks at\nthe file")
    found = [diagnose(agent, SKILL, TASK, row, FAILED) for row in (FAILED, PASSED)]
    assert [one and one.skipped_step for one in found] == ["looks at the file"] * 2
    for prompt, kind in zip(agent.prompts, ("failure", "contrastive"), strict=True):
        assert prompt.endswith(f"\n\n## Asked for\n\nA {kind} diagnosis of task task-7.")
    failure, contrastive = agent.prompts
    assert "## The execution under the skill in force, which failed\n\n" in failure
    assert "Grader:\n```\nfailed feedback\n```" in failure
    first, second = contrastive.split("## The execution under the skill in force, which passed\n\n")
    assert "## The execution under the initial skill, which failed\n\n" in first
    assert "Grader:\n```\nfailed feedback\n```" in first
    assert "Grader:\n```\npassed feedback\n```" in second
