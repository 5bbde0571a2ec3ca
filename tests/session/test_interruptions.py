"""A person, a scheduler or a cap ends a command: what was measured is reported, and the next start goes on from it."""

import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from skillgrad_ci.__main__ import main
from skillgrad_ci.models.rehearsal.register import respond
from skillgrad_ci.models.rehearsal.script import Script
from tests.support import small_repository
from tests.support.scripted_answers import Answer, Raw, Reply
from tests.support.scripted_server import serve

PROBE = "Reply with the word ready."
SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
Start = Callable[..., int]
LATE = 45


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A repository to be in. The handlers of signals are as they were, afterwards too."""
    root = small_repository.make(tmp_path / "repository", "openai/scripted")
    monkeypatch.chdir(root)
    monkeypatch.setenv("OPENAI_API_KEY", "scripted-key-for-tests")
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    yield root
    for each, handler in before.items():
        signal.signal(each, handler)


def run(repository: Path, command: str, *words: str, before: Callable[[int], None] = lambda number: None) -> int:
    """A command against a provider that does `before` each reply, with the number of the request."""
    script = Script.load(repository / "evals/rehearsal.yaml")
    asked = [0]

    def answer(request: dict[str, Any]) -> Answer:
        asked[0] += 1
        before(asked[0])
        if PROBE in str(request["messages"]):
            return Reply("ready")
        return Raw(body=json.dumps(respond(script, request)).encode())

    with serve(answer) as server:
        flags = ["--model", "openai/scripted", "--api-base", server.url, "--sandbox", "none"]
        flags += ["--budget-tokens", "10000000", "--concurrency", "1"]
        return main([command, "skills/greeter", *flags, *words])


def at(request: int, number: int) -> Callable[[int], None]:
    """A signal to this process at one request."""
    return lambda asked: os.kill(os.getpid(), number) if asked == request else None


@SIGNALS
def test_evaluate_reports_what_is_there_and_goes_on_later(
    repository: Path, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    assert run(repository, "evaluate", "--json", "--out", "out", before=at(12, number)) == 1
    facts = json.loads(capsys.readouterr().out)
    measured = facts["arms"]["with skill"]["measured"]
    assert 0 < measured < 24
    assert facts["cut"].startswith("interrupted")
    assert run(repository, "evaluate", "--json", "--out", "out") == 0
    told = capsys.readouterr()
    assert f"taken over from an earlier start, and not repeated: {measured} execution" in told.err
    assert json.loads(told.out)["arms"]["with skill"]["measured"] == 24


@SIGNALS
@pytest.mark.parametrize("command", ["evaluate", "optimize"])
def test_during_start_up_a_signal_ends_at_once_and_leaves_nothing(
    repository: Path, capsys: pytest.CaptureFixture[str], number: int, command: str
) -> None:
    assert run(repository, command, before=at(1, number)) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines()[-1] == "skillgrad-ci: interrupted before anything was measured"


def test_a_person_at_the_keyboard_gets_one_line(
    repository: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "is_dir", lambda path: os.kill(os.getpid(), signal.SIGINT))
    assert main(["evaluate", "skills/greeter", "--model", "rehearsal"]) == 1
    assert capsys.readouterr().err == "skillgrad-ci: interrupted\n"


@SIGNALS
def test_a_base_run_that_a_person_cuts_is_reported_with_its_figures(
    repository: Path, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    assert run(repository, "optimize", "--out", "out", before=at(12, number)) == 1
    told = capsys.readouterr().out
    report = json.loads(Path("out/report.json").read_text())
    sides = [report[split]["baseline"] for split in ("train", "validation", "heldout")]
    assert sum(side["measured"] for side in sides) == sum(task["baseline"] is not None for task in report["tasks"]) > 0
    assert report["stopped"] == "cancelled"
    assert told.splitlines()[-2:] == [
        "Start it again to go on: what is measured is not measured twice.",
        f"  {report['reproduce']}",
    ]
    assert report["reproduce"].startswith("skillgrad-ci optimize skills/greeter --model openai/scripted")
    assert report["headline"] == "The run was interrupted before an edit was accepted: the skill is as it was."
    measured = sum(task["baseline"] is not None for task in report["tasks"])
    (why,) = [remark for remark in report["remarks"] if remark.startswith("The run stopped early")]
    assert "interrupted" in why
    assert f"Until then {measured} of 24 tasks were executed" in why
    assert "skill.patch" not in told + Path("out/report.md").read_text(), "an empty patch cannot be applied"


def test_a_run_that_a_person_interrupts_later_says_what_it_had(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(repository, "optimize", "--out", "out", before=at(LATE, signal.SIGTERM)) == 1
    told = capsys.readouterr()
    report = json.loads(Path("out/report.json").read_text())
    steps, edits = len(report["iterations"]), sum(len(step["edits"]) for step in report["iterations"])
    assert 0 < steps < 3
    assert report["headline"] == (
        f"The run was interrupted after {steps} iterations: the {edits} edits accepted until then are not kept, "
        "and what they change is not measured."
    )
    assert "iteration 2: no patch: no edit is proposed" in told.err
    assert told.out.splitlines()[-1] == f"  {report['reproduce']}"


def test_a_base_run_that_a_cap_cuts_is_reported_with_its_figures(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(repository, "optimize", "--out", "out", "--budget-tokens", "30000") == 3
    assert "Start it again with a larger budget to go on" in capsys.readouterr().out
    report = json.loads(Path("out/report.json").read_text())
    assert report["iterations"] == []
    assert 0 < sum(task["baseline"] is not None for task in report["tasks"]) < 24
    assert report["suite"]["counts"]["heldout"] > 0
    last = json.loads(Path("out/journal.jsonl").read_text().splitlines()[-1])
    assert 60 * report["minutes"] > last["elapsed"] - 1, "a start-up counts as in the next start"
    known = report["train"]["baseline"]
    failed, left = known["measured"] - known["passed"], report["suite"]["counts"]["train"] - known["measured"]
    assert 0 < failed < 6, "six fill the batches"
    (told,) = [remark for remark in report["remarks"] if remark.startswith("the base run")]
    assert told == (
        f"the base run was cut when {failed} training task{'s' if failed > 1 else ''} had failed: "
        f"{left} of 12 training tasks were not executed"
    )
    assert run(repository, "optimize", "--out", "out") == 0
    (told,) = [remark for remark in json.loads(Path("out/report.json").read_text())["remarks"] if "base run" in remark]
    assert told == (
        "the base run ended when 6 training tasks had failed, enough for all batches: "
        "6 of 12 training tasks were not executed"
    ), "tasks that report count no more than those that teach"


def test_a_comparison_whose_base_run_a_person_cuts_says_that_it_goes_on(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--optimizers", "skillgrad", "--out", "out"]
    assert run(repository, "compare", *words, before=at(12, signal.SIGINT)) == 1
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("skillgrad-ci: interrupted")
    assert told.endswith("the base run is not complete: the same command goes on with it")


def test_a_cap_below_the_first_call_says_to_raise_it(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(repository, "optimize", "--budget-tokens", "10") == 3
    told = capsys.readouterr().err.splitlines()[-1]
    assert re.fullmatch(r"skillgrad-ci: budget.tokens: .* of 10; raise it to begin, or to go on with what is .*", told)


def test_the_folder_of_runs_keeps_itself_out_of_git(repository: Path) -> None:
    assert run(repository, "evaluate") == 0
    assert Path("runs/.gitignore").read_text() == "*\n"
    Path("runs/.gitignore").write_text("# mine\n")
    assert run(repository, "evaluate") == 0
    assert Path("runs/.gitignore").read_text() == "# mine\n"
