"""A suite grows by tasks that are proved, told apart and marked; nothing paid for is lost, nothing is half-written."""

import json
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from skillgrad_ci.__main__ import main
from skillgrad_ci.errors import UserError
from skillgrad_ci.method.task import names_folder
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.growth.admission import Admission, new_id
from skillgrad_ci.session.growth.making import MadeTask, safe_name
from skillgrad_ci.session.growth.material import Material
from skillgrad_ci.session.growth.proposal import ProposedTask
from skillgrad_ci.session.growth.written import HEADER, add_tasks, count_waiting, on_trial
from skillgrad_ci.suites import load_suite

EXAMPLES = Path(__file__).parents[3] / "examples"
SUITE = "evals/word-labels"
QUOTE = "one of these labels: animal, fruit, metal, sport"


def rows(folder: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load((folder / "grown.yaml").read_text())["tasks"])


@pytest.fixture
def labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The example of questions with seven tasks; its root is the current folder."""
    shutil.copytree(EXAMPLES / "labels", tmp_path / "labels")
    monkeypatch.chdir(tmp_path / "labels")
    path = Path(SUITE) / "tasks.yaml"
    content = yaml.safe_load(path.read_text())
    content["tasks"] = [{key: row[key] for key in row if key != "split"} for row in content["tasks"][:7]]
    path.write_text(yaml.safe_dump(content))
    return Path(SUITE).resolve()


def script(folder: Path, *proposals: Mapping[str, Any]) -> None:
    path = folder / "rehearsal.yaml"
    content = yaml.safe_load(path.read_text())
    content["proposals"] = [{"task": {"quote": QUOTE, **proposal}} for proposal in proposals]
    path.write_text(yaml.safe_dump(content))


def grow(number: int, *words: str, path: str = SUITE) -> int:
    return main(["suite", path, "--grow", str(number), "--model", "rehearsal", "--json", *words])


def test_a_suite_of_seven_grows_to_twenty(labels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert grow(13) == 0
    facts = json.loads(capsys.readouterr().out)
    suite = load_suite(labels)
    assert len(suite.tasks) == 20
    assert len(suite.unreviewed) == facts["waiting"] == 13
    assert facts["rehearsal"]
    assert facts["cost"]["by_role"]["proposer"]["calls"] == 4, "four tasks a call"
    assert all(row["origin"].startswith("skill word-labels, SKILL.md") for row in rows(labels))
    before = (labels / "grown.yaml").read_bytes()
    assert grow(13) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["added"], again["cost"]["calls"]) == ([], 4), "nothing is asked for again"
    assert (labels / "grown.yaml").read_bytes() == before


def test_programs_of_proposals_make_workbooks_in_the_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(EXAMPLES / "xlsx", tmp_path / "xlsx")
    monkeypatch.chdir(tmp_path / "xlsx")
    folder = Path("evals/workbook-reports")
    assert grow(2, path=str(folder)) == 0
    suite = load_suite(folder)
    task = next(task for task in suite.tasks if task.unreviewed)
    assert [source.is_file() for source in task.files.values()] == [True]
    assert main(["suite", str(folder / "grown.yaml"), "--check"]) == 0


def test_run_again_goes_on_behind_what_is_written(labels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert grow(4) == 0
    capsys.readouterr()
    text = (labels / "grown.yaml").read_text()
    edited = text.replace("  unreviewed: true\n", "  # read by me\n", 1)
    (labels / "grown.yaml").write_text(edited)
    assert grow(6) == 0
    assert (labels / "grown.yaml").read_text().startswith(edited.rstrip()), "a person's edit stays"
    assert len(load_suite(labels).unreviewed) == 6
    assert len(rows(labels)) == 7


def test_files_that_lie_there_are_never_written_over(labels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with_file = {**GOOD, "inputs": [{"name": "word.txt", "content": "heron"}]}
    script(labels, with_file)
    assert grow(1) == 0
    mine = labels / "grown/heron/inputs/word.txt"
    mine.write_text("bittern")
    text = (labels / "grown.yaml").read_text()
    renamed = text.replace("- id: heron\n", "- id: bittern\n").replace("  unreviewed: true\n", "")
    (labels / "grown.yaml").write_text(
        renamed.replace("Word: heron", "Word: bittern, a bird of the reeds, in word.txt")
    )
    assert grow(1) == 0
    assert mine.read_text() == "bittern", "a reviewed task's input stays"
    assert [row["files"]["word.txt"] for row in rows(labels)] == [
        "grown/heron/inputs/word.txt",
        "grown/heron-2/inputs/word.txt",
    ]


def test_a_reply_that_was_paid_for_is_not_paid_for_twice(
    labels: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("skillgrad_ci.session.growth.grow.add_tasks", die)  # killed between the reply and its tasks
        assert grow(4) == 1
    assert not (labels / "grown.yaml").exists()
    capsys.readouterr()
    assert grow(4) == 0
    assert json.loads(capsys.readouterr().out)["cost"]["calls"] == 1


def test_the_cap_ends_it_and_what_is_admitted_stays(labels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert grow(4) == 0
    spent = json.loads(capsys.readouterr().out)["cost"]["usd"]
    assert grow(13, "--budget-usd", str(spent * 1.01)) == 3, "what earlier starts spent is part of the cap"
    facts = json.loads(capsys.readouterr().out)
    assert "budget.usd" in facts["ended"]
    assert len(rows(labels)) == 4
    assert grow(13) == 0


REFUSED: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "wrong": ({"answer": "fruit"}, "its own right result fails"),
    "free": ({"grader": {"type": "text", "check": "regex", "value": ".*"}}, "an agent that does nothing passes it"),
    "parrot": ({"answer": "gorse bush", "instruction": "Name a gorse bush.",
                "grader": {"type": "text", "check": "contains", "value": "gorse"}}, "repeats the instruction"),
    "twin": ({"instruction": "word: DOG\nlabel"}, "it repeats the task dog"),
    "mail": ({"instruction": "Word: heron\nAsk ida.holm@northwind-cables.se.\nLabel:"}, "an email address"),
    "home": ({"instruction": "Word: heron in /home/idaholm/x\nLabel:"}, "a home folder"),
    "silent": ({"answer": ""}, "it gives no right result"),
    "outside": ({"inputs": [{"name": "../../evil", "content": "x"}]}, "is no plain file name"),
    "pattern": ({"grader": {"type": "text", "check": "regex", "value": "("}}, "regex"),
    "missing": ({"grader": {"type": "csv", "output": "a.csv"}}, "none of its right files"),
}  # fmt: skip


GOOD: Mapping[str, Any] = {
    "id": "heron",
    "instruction": "Word: heron\nLabel:",
    "answer": "animal",
    "grader": {"type": "text", "check": "exact", "value": "animal"},
}


def test_a_bad_proposal_is_refused_with_its_reason(labels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told: dict[str, str] = {}
    for half in (slice(0, 5), slice(5, None)):
        script(labels, *({**GOOD, "id": name, **REFUSED[name][0]} for name in [*REFUSED][half]))
        assert grow(1) == 1
        facts = json.loads(capsys.readouterr().out)
        assert "no more" in facts["ended"]
        assert not facts["added"]
        told |= dict(line.split(": ", 1) for line in facts["refused"])
    assert set(told) == set(REFUSED)
    for name, (_, reason) in REFUSED.items():
        assert reason in told[name], name
    assert "northwind" not in json.dumps(told)
    assert not (labels / "grown.yaml").exists()
    assert not (labels / "grown").exists(), "a refused task leaves no file"
    script(labels, GOOD)
    assert grow(1) == 0, "without a fault it is taken"


def test_a_quote_must_stand_in_the_material_and_no_secret_in_a_task() -> None:
    proposal = ProposedTask.model_validate({**GOOD, "quote": "my word"})
    admission = Admission(parts=None, redactor=Redactor(["heron\nLabel:"]), model="m")  # type: ignore[arg-type]
    with ExitStack() as trials:
        with pytest.raises(UserError, match="its quote does not stand in the material"):
            admission.admit(proposal, Material("o", "something else"), [], trials)
        with pytest.raises(UserError, match="a secret of this program's environment"):
            admission.admit(proposal, Material("o", "upon  MY\nword"), [], trials)


def test_models_and_the_cap_stand_in_the_configuration(labels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As for every command that asks a model; a flag wins, and a suite that no entry lists has nothing but flags."""
    config = Path(".skillgrad.yml")
    content = yaml.safe_load(config.read_text())
    content |= {"models": {"executor": "rehearsal", "optimizer": "rehearsal"}, "budget": {"usd": 1e-9}}
    config.write_text(yaml.safe_dump(content))
    assert main(["suite", SUITE, "--grow", "2"]) == 3, "the configuration's cap holds"
    assert main(["suite", SUITE, "--grow", "2", "--budget-usd", "1"]) == 0
    assert "This is a rehearsal" in capsys.readouterr().out
    assert len(rows(labels)) == 2
    shutil.copytree(labels, "elsewhere")
    assert main(["suite", "elsewhere", "--grow", "4", "--from", "skills/word-labels"]) == 2
    assert "no model is named" in capsys.readouterr().err


def test_a_check_asks_no_model_because_a_configuration_names_one(
    labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = labels / "tasks.yaml"
    content = yaml.safe_load(path.read_text())
    content["tasks"][0]["grader"] = {"type": "judge", "assertions": ["It is short."]}
    path.write_text(yaml.safe_dump(content))
    assert main(["suite", SUITE, "--check", "--json"]) == 1
    assert "graded by a model: name one with --model" in capsys.readouterr().out


def test_a_skill_without_a_suite_begins_one(labels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evals = Path("skills/word-labels/evals")
    evals.mkdir()
    shutil.copy(labels / "rehearsal.yaml", evals)
    assert grow(5, path="skills/word-labels") == 0
    assert load_suite(Path("skills/word-labels")).unreviewed
    assert len(rows(evals)) == 5
    capsys.readouterr()
    assert main(["optimize", "skills/word-labels", "--tasks", "skills/word-labels", "--model", "rehearsal"]) == 2
    assert "tasks are unreviewed" in capsys.readouterr().err


def test_a_run_learns_from_unreviewed_tasks_and_counts_reviewed_ones(
    labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert grow(13) == 0
    assert main(["optimize", "skills/word-labels", "--model", "rehearsal", "--out", "run"]) == 0
    report = json.loads(Path("run/report.json").read_text())
    assert report["train"]["baseline"]["measured"] == report["train"]["final"]["measured"] == 7
    taught = {task for step in report["iterations"] for task in step["batch"]}
    assert taught & set(load_suite(labels).unreviewed), "they teach"
    assert any("13 of 20 tasks are unreviewed" in remark for remark in report["remarks"])
    capsys.readouterr()
    assert main(["evaluate", "skills/word-labels", "--model", "rehearsal", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert len(facts["tasks"]) == 7
    assert any("13 unreviewed tasks are left out" in warning for warning in facts["warnings"])


def made(name: str, **row: Any) -> MadeTask:
    base = {"id": name, "instruction": f"Say {name}.", "grader": {"type": "text", "exact": name}}
    return MadeTask({**base, "reference": {"answer": name}, "unreviewed": True, **row}, {f"grown/{name}/a": b"a"})


def test_a_file_that_cannot_be_added_to_is_left_as_it_is(tmp_path: Path) -> None:
    for text in (
        "version: 1\ntasks: [{id: a, instruction: b, grader: {type: text, exact: c}}]\n",
        HEADER + "  - {id: a, instruction: b, grader: {type: text, exact: c}}\n",
        "version: 1\ntasks:\n- {id: a, instruction: b, grader: {type: text, exact: c}}\ndefaults: {timeout: 9}\n",
    ):
        (tmp_path / "grown.yaml").write_text(text)
        with pytest.raises(UserError, match="nothing can be added here"):
            add_tasks(tmp_path, [made("x")])
        assert (tmp_path / "grown.yaml").read_text() == text


@settings(max_examples=25)
@given(st.lists(st.text(max_size=40), min_size=1, max_size=3, unique=True), st.text(max_size=30))
def test_what_is_written_reads_as_what_was_meant(tmp_path_factory: Any, texts: list[str], origin: str) -> None:
    root = tmp_path_factory.mktemp("suite")
    tasks = [made(f"t{number}", instruction=f"Say: {text}", origin=origin) for number, text in enumerate(texts)]
    try:
        for one in tasks:
            with on_trial(one):
                pass
    except UserError:
        return  # no YAML file holds such a text
    for one in tasks:
        add_tasks(root, [one])
    assert [task.instruction for task in load_suite(root / "grown.yaml").tasks] == [f"Say: {text}" for text in texts]
    assert count_waiting(root) == len(tasks)
    assert not {item.name for item in root.iterdir()} - {"grown.yaml", "grown"}, "no half-written file"


@given(st.text(max_size=80), st.sets(st.sampled_from(["task", "a", "a-2", "b"])))
def test_an_id_is_plain_and_new(proposed: str, taken: set[str]) -> None:
    name = new_id(proposed, taken)
    assert names_folder(name)
    assert name not in taken


@given(st.text(max_size=30))
def test_a_file_name_stays_inside(name: str) -> None:
    try:
        safe = safe_name(name)
    except UserError:
        return
    assert not Path(safe).is_absolute()
    assert ".." not in Path(safe).parts
