"""What `suite` says of a suite as text."""

from pathlib import Path

import pytest

from skillgrad_ci.__main__ import main

TASK = "  - {{id: judged-{}, instruction: Greet., split: {}, grader: {{type: judge, rubric: It greets.}}, {}}}\n"


def suite(folder: Path, heldout: int) -> Path:
    rows = [TASK.format(n, "heldout" if n < heldout else "train", "reference: {answer: moin}") for n in range(12)]
    folder.joinpath("tasks.yaml").write_text("version: 1\ntasks:\n" + "".join(rows))
    return folder


def test_what_is_said_of_many_tasks_is_one_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["suite", str(suite(tmp_path, 0)), "--check"]) == 1
    said = capsys.readouterr().out
    [row] = [line for line in said.splitlines() if "name one with --model" in line]
    assert row.startswith("judged-0, judged-1, judged-2 and 9 more")
    assert "checked 12 tasks: 12 unmeasured" in said


@pytest.mark.parametrize(("heldout", "said"), [
    (1, "no gain could be called clear with 1 heldout task; for 5 points, "),
    (3, "no gain could be called clear with 3 heldout tasks; for 5 points, "),
    (12, "12 heldout tasks show a change of +"),
])  # fmt: skip
def test_a_tiny_suite_promises_no_gain(
    heldout: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["suite", str(suite(tmp_path, heldout))]) == 0
    assert said in capsys.readouterr().out
