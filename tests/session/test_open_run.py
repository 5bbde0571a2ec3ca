"""What is refused before money is spent."""

from pathlib import Path

import pytest

from skillgrad_ci.__main__ import main
from skillgrad_ci.config.config import load_config
from skillgrad_ci.graders.xlsx import installation
from skillgrad_ci.method.events import Event, Noted, SpentSoFar
from skillgrad_ci.method.evidence import Usage
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.inputs import read_inputs
from skillgrad_ci.session.open_run import open_run, tell_no_libreoffice
from skillgrad_ci.session.parts import Parts, StopRequest
from tests.support import small_repository

PARAMETERS = "models: {executor: rehearsal, parameters: {executor: {temperature: %s}}}\n"


def optimize(repository: Path, out: Path, temperature: str) -> int:
    config = repository / ".skillgrad.yml"
    lines = [line for line in config.read_text().splitlines() if not line.startswith("models:")]
    config.write_text("\n".join(lines) + "\n" + PARAMETERS % temperature)
    skill = str(repository / "skills/greeter")
    return main(["optimize", skill, "--out", str(out), "--iterations", "1", "--sandbox", "none"])


def test_a_run_folder_holds_results_of_one_choice_of_parameters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository, out = small_repository.make(tmp_path / "repository"), tmp_path / "out"
    assert optimize(repository, out, "0.1") == 0
    assert optimize(repository, out, "0.1") == 0
    assert optimize(repository, out, "0.9") == 2
    assert "this run was made with other models.parameters; choose another --out, or --fresh" in capsys.readouterr().err


def test_a_reference_that_fails_its_own_grader_is_left_out_and_most_of_them_stop_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = small_repository.make(tmp_path / "repository")
    references = sorted((repository / "evals/references").iterdir())
    references[0].write_text("wrong")
    assert optimize(repository, tmp_path / "one", "0.1") == 0
    assert f"left out, for their reference answers fail their own grader: greet-{references[0].stem}" in (
        capsys.readouterr().out
    )
    for reference in references:
        reference.write_text("wrong")
    assert optimize(repository, tmp_path / "all", "0.1") == 2
    assert "24 of 24 reference answers fail their own grader" in capsys.readouterr().err


def test_what_is_spent_is_told_with_each_call_whoever_makes_it(tmp_path: Path) -> None:
    repository = small_repository.make(tmp_path / "repository")
    with (repository / ".skillgrad.yml").open("a") as file:
        file.write("sandbox: none\nbudget: {tokens: 1000}\n")
    (job,) = load_config(repository / ".skillgrad.yml").skills
    seen: list[Event] = []
    with open_run(read_inputs(job), tmp_path / "out", seen.append, StopRequest(), Redactor()) as opened:
        before = [event for event in seen if isinstance(event, SpentSoFar)]
        opened.ledger.hold(Usage(1, 20, 0, 10))
        opened.ledger.settle("diagnoser", Usage(1, 20, 0, 10), Usage(1, 10, 0, 5))
    told = [event.text for event in seen if isinstance(event, SpentSoFar)][len(before) :]
    assert told == ["15 of 1,000 tokens"]


@pytest.mark.parametrize(("grader", "there", "told"), [("xlsx", "", 1), ("xlsx", "7.4", 0), ("text", "", 0)])
def test_a_missing_libreoffice_is_told_where_workbooks_are_graded(
    grader: str, there: str, told: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = small_repository.make(tmp_path)
    if grader == "xlsx":
        tasks = repository / "evals/tasks.yaml"
        spec = "{type: xlsx, output: a.xlsx, golden: references/ada.txt, answer_position: A1}"
        tasks.write_text(f"version: 1\ntasks:\n  - {{id: a, instruction: Do., outputs: [a.xlsx], grader: {spec}}}\n")
    (job,) = load_config(repository / ".skillgrad.yml").skills
    monkeypatch.setattr(installation, "version", lambda: there)
    seen: list[Event] = []
    tell_no_libreoffice(Parts(job, read_inputs(job).suite, seen.append))
    assert [isinstance(event, Noted) and installation.INSTALL in event.text for event in seen] == [True] * told
