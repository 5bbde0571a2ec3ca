"""What is refused before money is spent."""

from pathlib import Path

import pytest

from skillgrad_ci.__main__ import main
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
    assert "this run was made with other models.parameters; choose another --out" in capsys.readouterr().err


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
