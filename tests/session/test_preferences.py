"""Results that are compared with the initial skill's: it is measured first, once, and by nobody's verdict but a tie."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from skillgrad_ci.__main__ import main
from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.graders.judge import JudgeGrader
from skillgrad_ci.method.budget import Ledger
from skillgrad_ci.method.evidence import Evidence, Outcome, Trajectory, Usage
from skillgrad_ci.method.ports import Session
from skillgrad_ci.method.task import GraderSpec, Task
from skillgrad_ci.sandbox.no_sandbox import NoCommands
from skillgrad_ci.session.evaluation import EVALUATE
from skillgrad_ci.session.journal.file_journal import FileJournal
from skillgrad_ci.session.outputs.initial import InitialResults
from skillgrad_ci.session.rollout import Rollouts
from skillgrad_ci.skill.skill import Skill
from tests.support import worlds
from tests.support.judges import PairModel, agent, more_of

INITIAL = worlds.SKILL
BETTER = INITIAL.with_file("SKILL.md", INITIAL.text + "\n- Say what happens next.\n")
WORSE = INITIAL.with_file("SKILL.md", INITIAL.text.replace("Be careful.", ""))
TASK = Task("letter", "Write a letter.", [GraderSpec("judge", {"prefer": True})])


@dataclass
class Writer:
    """Answers with the skill's text; `done` are the skills of its executions, with those of `fails` it cannot work."""

    fails: set[str] = field(default_factory=set)
    identity: str = "writer/1"
    done: list[str] = field(default_factory=list)

    def execute(self, task: Task, skill: Skill | None, session: Session) -> Trajectory:
        digest = skill.digest if skill else ""
        self.done.append(digest)
        if digest in self.fails:
            raise EnvironmentFailure("the provider is down")
        return Trajectory(answer=f"{skill.text if skill else 'nothing'} {task.id} {len(self.done)}")


@dataclass
class Start:
    """One start of the program on a run folder."""

    folder: Path
    writer: Writer = field(default_factory=Writer)
    model: PairModel = field(default_factory=lambda: PairModel(more_of("careful")))

    def __call__(self, work: Callable[[Rollouts], list[Evidence]], initial: Skill | None = INITIAL) -> list[Evidence]:
        with FileJournal(self.folder) as journal:
            kept = InitialResults(initial, journal) if initial else None
            graders = {"judge": JudgeGrader(agent(self.model), "m")}
            return work(Rollouts(self.writer, NoCommands(), graders, journal, worlds.silent, _keep, (), kept))


def _keep(iteration: str, evidence: Evidence) -> None:
    """No run folder is looked at here."""


def test_the_initial_skills_result_is_measured_first_and_paid_for_once(tmp_path: Path) -> None:
    """A baseline on tasks that report comes late, under the same address."""
    start = Start(tmp_path)
    rows = start(lambda do: [do(WORSE, TASK, iteration="final"), do(INITIAL, TASK, iteration="base")])
    assert [row.score for row in rows] == [0.0, 0.5]
    assert start.writer.done == [INITIAL.digest, WORSE.digest]
    assert len(start.model.prompts) == 2  # both orders, of the candidate alone


def test_a_next_start_repeats_nothing(tmp_path: Path) -> None:
    def work(do: Rollouts) -> list[Evidence]:
        return [do(skill, TASK, iteration="final") for skill in (WORSE, INITIAL, BETTER)]

    first, again = Start(tmp_path), Start(tmp_path)
    assert first(work) == again(work)
    assert again.writer.done == again.model.prompts == []


def test_many_that_ask_at_once_measure_it_once(tmp_path: Path) -> None:
    start, skills = Start(tmp_path), [WORSE, BETTER, INITIAL] * 3

    def work(do: Rollouts) -> list[Evidence]:
        with ThreadPoolExecutor(len(skills)) as pool:
            return list(pool.map(lambda skill: do(skill, TASK, iteration="base"), skills))

    rows = start(work)
    assert sorted(start.writer.done) == sorted({skill.digest for skill in skills})
    assert {row.score for row in rows[2::3]} == {0.5}


def test_each_trial_is_compared_with_its_own(tmp_path: Path) -> None:
    start = Start(tmp_path)
    start(lambda do: [do(WORSE, TASK, iteration="final", trial=trial) for trial in range(2)])
    one, two = start.model.prompts[0], start.model.prompts[2]
    assert ("letter 1\n" in one, "letter 3\n" in one) == (True, False)  # the numbers of the initial skill's executions
    assert ("letter 1\n" in two, "letter 3\n" in two) == (False, True)


def test_where_the_initial_skills_result_cannot_be_had_the_other_is_unmeasured_and_costs_nothing(
    tmp_path: Path,
) -> None:
    start = Start(tmp_path, Writer(fails={INITIAL.digest}))
    (row,) = start(lambda do: [do(WORSE, TASK, iteration="final")])
    assert row.outcome is Outcome.UNMEASURED
    assert "the initial skill's result, to compare with, could not be had: the provider is down" in row.feedback
    assert start.writer.done == [INITIAL.digest]


def test_where_no_run_began_with_a_skill_nothing_is_paid_for(tmp_path: Path) -> None:
    start = Start(tmp_path)
    (row,) = start(lambda do: [do(WORSE, TASK, iteration=EVALUATE)], None)
    assert (row.outcome, start.writer.done) == (Outcome.UNMEASURED, [])
    assert "no initial skill's to compare with" in row.feedback


def test_an_evaluation_compares_with_its_own_arm(tmp_path: Path) -> None:
    start = Start(tmp_path)
    rows = start(lambda do: [do(skill, TASK, iteration=EVALUATE) for skill in (INITIAL, None)])
    assert [row.score for row in rows] == [0.5, 0.0]
    assert start.writer.done == [INITIAL.digest, ""]


def test_what_it_was_compared_with_is_part_of_its_address(tmp_path: Path) -> None:
    start, known = Start(tmp_path), list[str]()
    for other in (INITIAL, BETTER):
        start(lambda do: [do(WORSE, TASK, iteration="final")], other)
        known.append(start.model.prompts[-1])
    assert len(start.model.prompts) == 4
    assert known[0] != known[1]


def test_the_end_keeps_back_what_a_comparison_will_take() -> None:
    """The base run asks no judge, so the mean call of the executor stands for one."""
    without, compared = Ledger(), Ledger()
    seen = [Usage(4, 400, 0, 40, 0.4)]
    without.reserve_executions(5, seen, 0.0)
    compared.reserve_executions(5, seen, 0.0, calls=10)
    assert compared.reserve.tokens - without.reserve.tokens == pytest.approx(1.2 * 10 * 110)
    assert compared.reserve.usd - without.reserve.usd == pytest.approx(1.2 * 10 * 0.1)


SUITE = """\
version: 1
defaults:
  grader: {type: judge, prefer: true, rubric: "- It says what happens next."}
tasks:
"""
SCRIPT = """\
version: 1
mechanisms:
  next-step:
    match: "letter to (?P<who>\\\\w+)"
    needs: [{layer: body, text: next step}]
    with: {commands: [], answer: "Dear {{who}}, we call you on Monday."}
    without: {commands: [], answer: "Dear {{who}}, all is well."}
    finding: {summary: It ends too soon., cause: No step is named., difference: It names one., quote: all is well}
    pattern: {line: Letters name no step., anchor: writing, description: A letter says what happens next.}
    remedies:
      - note: ""
        why: nothing was said of it
        edits: [{op: append, file: SKILL.md, target: heading, address: Letters, content: "Name the next step."}]
judge:
  - {statement: says what happens next, evidence: on Monday}
"""
SKILL = "---\nname: letters\ndescription: Use it to write letters.\n---\n# Letters\n\nWrite the letter.\n"


def letters(root: Path) -> Path:
    (root / "skills/letters").mkdir(parents=True)
    (root / "skills/letters/SKILL.md").write_text(SKILL)
    (root / "evals").mkdir()
    names = ["Ann", "Bob", "Cid", "Dora", "Eve", "Finn", "Gus", "Hal", "Ida", "Joe", "Kim", "Lea"]
    rows = [f"  - {{id: to-{name}, instruction: Write a letter to {name}.}}\n" for name in names]
    (root / "evals/tasks.yaml").write_text(SUITE + "".join(rows))
    (root / "evals/rehearsal.yaml").write_text(SCRIPT)
    return root / "skills/letters"


def optimized(skill: Path, out: Path, by: str) -> int:
    suite = str(skill.parents[1] / "evals")
    return main(["optimize", str(skill), "--tasks", suite, "--model", "rehearsal", "--sandbox", "none", "--iterations",
                 "1", "--decide-by", by, "--out", str(out)])  # fmt: skip


def test_a_whole_run_tells_wins_ties_and_losses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The loop knows nothing of it: its baseline is ties, its batches and its end are comparisons."""
    skill, out = letters(tmp_path), tmp_path / "out"
    assert optimized(skill, out, "score") == 0
    report = json.loads((out / "report.json").read_text())
    count = report["suite"]["counts"]["heldout"]
    assert report["heldout"]["preferred"] == [count, 0, 0]
    assert f"{count} tasks: {count} wins, 0 ties, 0 losses" in report["headline"]
    assert "in both orders: a win counts 1, a tie 0.5, a loss 0" in " ".join(report["remarks"])
    assert report["heldout"]["delta"]["baseline"] == 0.5
    asked = [row for row in report["cost"]["by_purpose"] if row["role"] == "judge"]
    assert {row["iteration"] for row in asked} == {"final"}  # the first batch is executed with the initial skill
    assert sum(row["calls"] for row in asked) == 2 * count
    said = [task["said"] for task in report["tasks"] if task["split"] == "heldout"]
    assert all('"Dear ' in before and '- this result: "on Monday"' in after for before, after in said)
    assert "wins, 0 ties, 0 losses" in capsys.readouterr().out


def test_an_evaluation_tells_how_often_the_skill_is_preferred(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    skill = letters(tmp_path)
    (skill / "SKILL.md").write_text(SKILL + "\nName the next step.\n")
    words = ["--no-skill", "--model", "rehearsal", "--sandbox", "none", "--decide-by", "score"]
    assert main(["evaluate", str(skill), "--tasks", str(tmp_path / "evals"), *words, "--out", str(tmp_path / "e")]) == 0
    assert "without skill: 0 wins, 0 ties, 12 losses against the skill's own results" in " ".join(
        capsys.readouterr().out.split()
    )


def test_passes_decide_over_no_preferences(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert optimized(letters(tmp_path), tmp_path / "out", "pass") == 2
    assert "prefers one of two results" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
