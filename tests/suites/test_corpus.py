"""A small file of each shape that suites have out there is read as what it is; sound skills are not accused."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from skillgrad_ci.errors import UserError
from skillgrad_ci.graders import grade
from skillgrad_ci.graders.command import CommandGrader
from skillgrad_ci.graders.text import TextGrader
from skillgrad_ci.graders.trigger import TriggerGrader
from skillgrad_ci.method.evidence import Grade, Outcome
from skillgrad_ci.method.ports import Grader, Result
from skillgrad_ci.method.task import GraderSpec, Task
from skillgrad_ci.sandbox.no_sandbox import NoSandbox
from skillgrad_ci.skill.lint import lint
from skillgrad_ci.skill.skill import Skill
from skillgrad_ci.skill.surroundings import Surroundings
from skillgrad_ci.suites import load_suite

CORPUS = Path(__file__).parents[1] / "corpus"
SHAPES = {
    "statements-as-objects/skills/tidy": ("agent-skills-evals", 2, {"judge": 2, "text": 3}),
    "cases-key": ("agent-skills-evals", 1, {"judge": 1}),
    "bare-list": ("agent-skills-evals", 2, {"judge": 2}),
    "test-cases-key/quality.json": ("agent-skills-evals", 1, {"judge": 1}),
    "triggers-in-evals/evals": ("triggers", 2, {"trigger": 2}),
    "triggers-in-evals/evals/evals.json": ("triggers", 2, {"trigger": 2}),
    "triggers-by-prompt/triggers.json": ("triggers", 2, {"trigger": 2}),
    "triggers-under-a-key/triggers.yaml": ("triggers", 2, {"trigger": 2}),
    "triggers-two-lists": ("triggers", 3, {"trigger": 3}),
    "triggers-by-skill/skills/tidy/triggers.json": ("triggers", 3, {"trigger": 3}),
    "triggers-in-parts": ("triggers", 4, {"trigger": 4}),
    "scenarios-by-name": ("scenarios", 2, {"text": 3, "judge": 1}),
    "skillgrade": ("skillgrade", 1, {"command": 1}),
    "scenarios": ("scenarios", 1, {"text": 3, "judge": 1}),
    "task-files": ("scenarios", 1, {"text": 3}),
    "promptfoo": ("promptfoo", 2, {"text": 4, "judge": 1, "command": 2}),
    "input-as-object": ("agent-skills-evals", 1, {"judge": 1, "text": 2}),
    "skillgrade-one-grader": ("skillgrade", 1, {"judge": 1}),
    "scenarios-by-expected-output": ("scenarios", 2, {"judge": 2}),
    "scalars": ("native", 1, {"text": 1}),
}


class Lenient:
    identity = "lenient"

    def grade(self, spec: GraderSpec, task: Task, result: Result) -> Grade:
        return Grade(Outcome.PASSED, 1.0)


def graded(task: Task, work: Path, answer: str) -> Outcome:
    graders: dict[str, Grader] = {"command": CommandGrader(NoSandbox()), "text": TextGrader(), "judge": Lenient()}
    return grade(task, Result(work, answer), graders | {"trigger": TriggerGrader()}).outcome


@pytest.mark.parametrize("shape", SHAPES)
def test_each_shape_is_read_as_what_it_is(shape: str) -> None:
    suite = load_suite(CORPUS / shape)
    kinds = Counter(spec.kind for task in suite.tasks for spec in task.graders)
    assert (suite.format, len(suite.tasks), dict(kinds)) == SHAPES[shape]


def test_every_suite_of_the_corpus_has_a_row() -> None:
    folders = {item.name for item in CORPUS.iterdir()} - {"lint"}
    assert folders == {shape.split("/")[0] for shape in SHAPES}


def test_statements_and_typed_checks_keep_their_share() -> None:
    first, second = load_suite(CORPUS / "statements-as-objects/skills/tidy").tasks
    assert (first.id, second.id) == ("by last name", "a:b")
    assert [(spec.kind, spec.weight) for spec in first.graders] == [("text", 1), ("text", 1), ("judge", 1)]
    assert second.graders[-1].options["assertions"] == ["It says how it counted.", "It says two."]
    assert first.files["people.txt"].read_text() == "Ann Zorn\nBo Abel\n"


def test_both_spellings_are_taken_together_once() -> None:
    (task,) = load_suite(CORPUS / "cases-key").tasks
    assert task.graders[0].options["assertions"] == ["It gives a before b."]


def test_a_set_that_names_skills_fires_for_the_one_it_lies_in() -> None:
    tasks = load_suite(CORPUS / "triggers-by-skill/skills/tidy/triggers.json").tasks
    assert [task.graders[0].options["should_trigger"] for task in tasks] == [True, False, False]
    assert [tag for task in tasks for tag in task.tags if tag.startswith("fires:")] == ["fires:tidy", "fires:plots"]


def test_a_set_in_parts_is_one_set_and_its_verdicts_are_yes_no_or_a_skill() -> None:
    tasks = load_suite(CORPUS / "triggers-in-parts").tasks
    assert [task.graders[0].options["should_trigger"] for task in tasks] == [True, False, True, False]


def test_scenarios_under_their_names_keep_them() -> None:
    first, second = load_suite(CORPUS / "scenarios-by-name").tasks
    assert (first.id, second.id, first.timeout) == ("by-last-name", "by-length", 120)
    assert [spec.options.get("contains") for spec in first.graders] == [["Abel"], None]


def test_durations_are_read() -> None:
    assert load_suite(CORPUS / "skillgrade").tasks[0].timeout == 90
    assert load_suite(CORPUS / "scenarios").tasks[0].timeout == 120
    assert load_suite(CORPUS / "task-files").tasks[0].timeout == 120


def test_checks_of_other_tools_tell_right_from_wrong(tmp_path: Path) -> None:
    (scenario,) = load_suite(CORPUS / "scenarios").tasks
    (ordered,) = load_suite(CORPUS / "task-files").tasks
    assert graded(scenario, tmp_path, "a, b") is Outcome.FAILED  # out.txt is not there
    (tmp_path / "out.txt").touch()
    assert graded(scenario, tmp_path, "a, b") is Outcome.PASSED
    assert graded(scenario, tmp_path, "b, a") is Outcome.FAILED
    assert graded(ordered, tmp_path, "a, b") is Outcome.PASSED
    assert graded(ordered, tmp_path, "a, b, and an error") is Outcome.FAILED


@pytest.mark.skipif(shutil.which("node") is None, reason="a check in JavaScript needs node")
def test_checks_of_promptfoo_tell_right_from_wrong(tmp_path: Path) -> None:
    two_names, same = load_suite(CORPUS / "promptfoo").tasks
    assert two_names.instruction == "Sort these names: Bo, Ann"
    assert graded(two_names, tmp_path, "Ann, Bo") is Outcome.PASSED
    assert graded(two_names, tmp_path, f"Ann, Bo {'x' * 200}") is Outcome.FAILED  # javascript
    assert graded(same, tmp_path, "Cy") is Outcome.PASSED
    assert graded(same, tmp_path, "Cy and Ann") is Outcome.FAILED


def test_what_a_tool_alone_can_decide_is_named() -> None:
    assert "not read: behavior" in load_suite(CORPUS / "task-files").warnings[0]
    assert "latency are not applied" in load_suite(CORPUS / "promptfoo").warnings[0]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("set.jsonl", '{"input": "a", "ideal": "b"}\n', 'the format of OpenAI Evals.*call input prompt.*under "evals"'),
        ("set.json", '[{"input": "a", "target": "b"}]', "the format of inspect"),
        ("set.json", '{"tests": [{"question": "a", "answer": "b"}]}', "call question prompt and answer"),
        ("set.json", '[{"foo": 1, "bar": 2}]', 'its rows hold bar, foo; put the rows under "evals"'),
        ("evals.json", '{"version": 1}', 'no rows under evals, cases, tests, test_cases; write it in the shape'),
        ("evals.json", '{"evals": [{"prompt": "a", "assertions": [{"type": "similarity", "score": 1}]}]}',
         r"assertions\[0\]: an assertion of the type 'similarity' that is not read"),
        ("eval.yaml", "scenarios: [{name: a, prompt: b, assertions: [{type: cosine, value: c}]}]",
         "nothing to grade by; not read: cosine"),
        ("eval.yaml", "tasks: ['tasks/*.yaml']", "no file is called 'tasks/\\*.yaml'"),
        ("eval.yaml", "scenarios: [{name: a, prompt: b, rubric: c, timeout: soon}]", "timeout: expected"),
        ("promptfooconfig.yaml", "prompts: ['{{ a | upper }}']\ntests: [{vars: {a: b}}]", "filters and blocks"),
        ("promptfooconfig.yaml", "prompts: [x]\ntests: [{assert: [{type: similar, value: y}]}]", "'similar' is not"),
        ("promptfooconfig.yaml", "prompts: ['{{b}}']\ntests: [{assert: [{type: equals, value: y}]}]", "asks for 'b'"),
        ("promptfooconfig.yml", "prompts: [x]\nscenarios: [{config: [{vars: {a: b}}], tests: [{}]}]",
         "scenarios are not read; write each of their tests under tests"),
        ("t.json", '[{"query": "a", "should_trigger": "other"}]', "nothing says which one is measured"),
    ],
)  # fmt: skip
def test_what_is_not_read_is_named_with_the_smallest_change(tmp_path: Path, name: str, content: str, said: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=said):
        load_suite(tmp_path / name)


def test_sound_skills_are_not_accused() -> None:
    for folder in (CORPUS / "lint").iterdir():
        found = lint(Skill.load(folder, stray=True), Surroundings(folder))
        assert [item for item in found if item.severity == "error"] == [], folder
    assert (CORPUS / "lint/linked/CLAUDE.md").is_symlink()
