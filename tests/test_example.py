"""The example repository: its suite is what its script writes, and its rehearsal is honest work on workbooks."""

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from skillgrad_ci.__main__ import main
from skillgrad_ci.config.config import load_config
from skillgrad_ci.executors.tool_loop import ToolLoop
from skillgrad_ci.method.budget import Ledger
from skillgrad_ci.method.evidence import Accuracy
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.method.optimize import optimize
from skillgrad_ci.method.prompting import StructuredAgent, load_prompt
from skillgrad_ci.method.run import Run
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.method.task import Split, Suite
from skillgrad_ci.method.world import World
from skillgrad_ci.models.rehearsal.executor import with_values
from skillgrad_ci.models.rehearsal.script import Script
from skillgrad_ci.skill.lint import lint
from skillgrad_ci.skill.skill import Skill
from skillgrad_ci.suites.native.tasks_file import load as load_suite
from tests.support.inprocess import InProcess, Rollout, golden, graded, work_folder
from tests.support.rehearsed import Rehearsed
from tests.support.worlds import silent

EXAMPLE = Path(__file__).parent.parent / "examples" / "xlsx"
SKILL = EXAMPLE / "skills" / "workbook-reports"
SUITE = EXAMPLE / "evals" / "workbook-reports"
UNTAUGHT = {"hidden-rows-counted", "rates-of-two-scales"}  # no remedy of the script helps
KNOWN = {"a-fresh-workbook-loses-sheets"}  # the seed skill has it
TWICE = "text-stored-numbers"  # its first remedy is too weak


@pytest.fixture(scope="module")
def suite() -> Suite:
    return load_suite(SUITE / "tasks.yaml")


@pytest.fixture(scope="module")
def script() -> Script:
    return Script.load(SUITE / "rehearsal.yaml")


def test_the_suite_is_what_its_script_writes(tmp_path: Path) -> None:
    made = tmp_path / "with a space"
    subprocess.run([sys.executable, EXAMPLE / "make_tasks.py", made], check=True, timeout=120)
    names = sorted(path.relative_to(made) for path in made.rglob("*") if path.is_file())
    kept = sorted(path.relative_to(EXAMPLE) for path in SUITE.rglob("*") if path.is_file())
    assert [path for path in kept if path.name != "rehearsal.yaml"] == names
    for name in names:
        assert _content(made / name) == _content(EXAMPLE / name), name


def _content(path: Path) -> Mapping[str, bytes]:
    """A workbook by its parts: the compression is the zlib version's."""
    if path.suffix != ".xlsx":
        return {"": path.read_bytes()}
    with zipfile.ZipFile(path) as workbook:
        return {name: workbook.read(name) for name in workbook.namelist()}


def test_every_family_has_tasks_to_learn_from_and_tasks_that_are_only_measured(suite: Suite) -> None:
    assert [len(suite.of(split)) for split in Split] == [20, 8, 12]
    families = {tag for task in suite.tasks for tag in task.tags}
    assert len(families) == 10
    for split in (Split.TRAIN, Split.HELDOUT):
        assert {tag for task in suite.of(split) for tag in task.tags} == families


def test_the_seed_skill_is_clean() -> None:
    assert lint(Skill.load(SKILL)) == []


def test_the_configuration_names_what_is_there() -> None:
    [run] = load_config(EXAMPLE / ".skillgrad.yml").skills
    assert (run.path, run.tasks) == (SKILL, SUITE)
    assert not run.settings.models.rehearsal, "a rehearsal is asked for by name"


def test_each_task_is_solved_with_the_guidance_and_not_without(suite: Suite, script: Script) -> None:
    for task in suite.tasks:
        found = script.mechanism_of(task.instruction)
        assert found is not None, task.id
        _, mechanism, values = found
        for conduct, right in ((mechanism.guided, True), (mechanism.unguided, False)):
            with work_folder(task) as folder:
                for command in conduct.commands:
                    InProcess().run(with_values(command, values), timeout=10)
                got = graded(folder / "result.xlsx", task)
            assert (got == graded(golden(task), task)) is right, (task.id, right)


def test_what_the_script_quotes_stands_in_its_commands(script: Script) -> None:
    for name, mechanism in script.mechanisms.items():
        assert mechanism.finding.quote in "\n".join(mechanism.unguided.commands), name


def test_the_last_remedy_brings_what_is_needed_unless_it_never_does(script: Script) -> None:
    seed = Skill.load(SKILL)
    for name, mechanism in script.mechanisms.items():
        skill = {"description": seed.description, "body": seed.body, "reference": seed.read("references/saving.md")}
        known = all(need.text.search(skill[need.layer]) for need in mechanism.needs)
        assert known == (name in KNOWN), name
        for edit in mechanism.remedies[-1].edits if mechanism.remedies else ():
            layer = (
                "description" if edit.target == "description" else "body" if edit.file == "SKILL.md" else "reference"
            )
            skill[layer] += "\n" + edit.content
        taught = all(need.text.search(skill[need.layer]) for need in mechanism.needs)
        assert taught == (name not in UNTAUGHT), name
        for remedy in mechanism.remedies[:-1]:
            content = "\n".join(edit.content for edit in remedy.edits)
            assert not any(need.text.search(content) for need in mechanism.needs), f"{name}: the first remedy is weak"


def test_the_bad_edit_gives_away_a_training_task(script: Script, suite: Suite) -> None:
    [remedy] = script.mechanisms["rates-of-two-scales"].remedies
    [told] = [task for task in suite.of(Split.TRAIN) if task.id in remedy.edits[0].content]
    [value] = graded(golden(told), told)
    assert str(value) in remedy.edits[0].content


@pytest.fixture(scope="module")
def run(suite: Suite, script: Script) -> Run:
    """The whole loop on the example, with every part real but the sandbox and the grader."""
    model = Rehearsed(script)
    world = World(
        rollout=Rollout(ToolLoop(model, load_prompt("execute"))),
        agent=StructuredAgent(lambda role: model, silent),
        split=lambda suite, baseline: suite,
        ledger=Ledger(),
        each=map,
        observe=silent,
    )
    [configured] = load_config(EXAMPLE / ".skillgrad.yml").skills
    chosen = LoopSettings(iterations=configured.settings.iterations, batch_size=configured.settings.batch_size)
    return optimize(Skill.load(SKILL), suite, chosen, PatternMemory("workbook-reports"), world)


def accuracy(run: Run, split: Split) -> tuple[Accuracy, Accuracy]:
    """Before and after."""
    ids = {task.id for task in run.suite.of(split)}
    before, after = ([row for row in rows if row.task_id in ids] for rows in (run.baseline, run.measured))
    return Accuracy.of(before), Accuracy.of(after)


def test_the_demonstration_tells_its_story(run: Run) -> None:
    assert accuracy(run, Split.HELDOUT) == (Accuracy(1, 12, 0), Accuracy(8, 12, 0))
    assert accuracy(run, Split.VALIDATION) == (Accuracy(1, 8, 0), Accuracy(7, 8, 0))
    edits = [result for step in run.iterations for result in step.edits]
    accepted = [result.edit for result in edits if result.status == "accepted"]
    assert {edit.layer for edit in accepted} == {"H", "B", "Q"}
    assert {name for edit in accepted for name in edit.patterns} & UNTAUGHT == {"hidden-rows-counted"}
    [refused] = {(result.edit.patterns, result.reason[:4]) for result in edits if result.status != "accepted"}
    assert refused == (("rates-of-two-scales",), "L001")
    strengthened = [edit for edit in accepted if edit.patterns == (TWICE,)]
    assert [edit.op for edit in strengthened] == ["append", "replace"]
    assert strengthened[0].content not in run.final.text, "the weak remedy is gone"
    diagnoses = [diagnosis for step in run.iterations for diagnosis in step.diagnoses]
    assert any(diagnosis.kind == "contrastive" and diagnosis.robust for diagnosis in diagnoses)
    pattern = run.memory.get(TWICE)
    assert pattern is not None
    assert len(pattern.remedy_log) >= 2
    assert lint(run.final) == []


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The example as a repository of its own, in the current folder."""
    root = tmp_path / "a repository"
    shutil.copytree(EXAMPLE, root)
    monkeypatch.chdir(root)
    return root


def test_the_command_line_reaches_the_same_skill(
    run: Run, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["optimize", "skills/workbook-reports", "--model", "rehearsal", "--sandbox", "none", "--json"]
    assert main(words) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["rehearsal"]
    assert report["final_digest"] == run.final.digest
    passed = {step: report["heldout"][step]["passed"] for step in ("baseline", "final")}
    assert passed == {"baseline": 1, "final": 8}
    assert 0 < report["cost"]["usd"] < 1
    subprocess.run(
        ["git", "apply", "--directory=skills/workbook-reports", report_folder(repository) / "skill.patch"], check=True
    )
    assert Skill.load(repository / "skills" / "workbook-reports").digest == run.final.digest


def report_folder(repository: Path) -> Path:
    [folder] = (repository / "runs" / "workbook-reports").iterdir()
    return folder


def test_the_suite_proves_its_grader(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["suite", "evals/workbook-reports", "--check", "--json"]) == 0
    check = json.loads(capsys.readouterr().out)["check"]
    assert check["standing"]["proved"] == check["tasks"] == 40
