"""What a task's tests leave, and what it means; then the whole of it in real containers."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from skillgrad_ci.__main__ import main
from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.graders import reward
from skillgrad_ci.graders.reward import NoVerdict
from skillgrad_ci.method.evidence import Grade, Outcome
from skillgrad_ci.method.grader_options import RewardOptions
from skillgrad_ci.method.ports import CommandResult, Result, Session, Workspace
from skillgrad_ci.method.task import GraderSpec, Task
from skillgrad_ci.sandbox.no_sandbox import NoSandbox
from tests.support import harbor_tasks
from tests.support.docker_image import docker_image


def ctrf(*tests: dict[str, str]) -> str:
    return json.dumps({"reportFormat": "CTRF", "results": {"tool": {"name": "pytest"}, "tests": list(tests)}})


ONE_OF_TWO = ctrf(
    {"name": "test_a", "status": "passed"},
    {"name": "test_b", "status": "failed", "message": "3 is not 4"},
    {"name": "test_c", "status": "skipped"},
)


@dataclass
class Logs:
    """What tests left, in a folder that stands for theirs, and a real shell to read it with."""

    folder: Path
    session: Session

    def verdict(self, files: Mapping[str, str], exit_code: int = 0) -> Grade:
        for name, text in files.items():
            (self.folder / name.replace("_", ".")).write_text(text)
        return reward._verdict(CommandResult("said", exit_code), self.session, RewardOptions())


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Logs]:
    work, folder = tmp_path / "work", tmp_path / "logs"
    work.mkdir()
    folder.mkdir()
    monkeypatch.setattr(reward, "LOGS", str(folder))
    with NoSandbox().open(Workspace(work)) as session:
        yield Logs(folder, session)


@pytest.mark.parametrize(
    ("files", "score"),
    [
        ({"reward_txt": "1\n"}, 1.0),
        ({"reward_txt": "0.25"}, 0.25),
        ({"reward_json": '{"reward": 0.5, "style": 1}'}, 0.5),
        ({"reward_json": '{"accuracy": 1}'}, 1.0),
        ({"reward_json": "0.75"}, 0.75),
        ({"reward_txt": "0", "ctrf_json": ctrf({"name": "a", "status": "passed"})}, 0.0),
        ({"ctrf_json": ONE_OF_TWO}, 0.5),
        ({"ctrf_json": ctrf({"name": "a", "status": "passed"}, {"name": "b", "status": "skipped"})}, 1.0),
    ],
)
def test_the_reward_decides_and_a_report_stands_for_it(logs: Logs, files: dict[str, str], score: float) -> None:
    grade = logs.verdict(files)
    assert (grade.score, grade.outcome) == (score, Outcome.PASSED if score == 1 else Outcome.FAILED)


def test_the_feedback_is_what_failed_else_what_was_said(logs: Logs) -> None:
    assert logs.verdict({"reward_txt": "0"}).feedback == "said"
    assert logs.verdict({"ctrf_json": ONE_OF_TWO}).feedback == "- failed: test_b: 3 is not 4"


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"reward_txt": "nan"},
        {"reward_txt": "2"},
        {"reward_txt": "-1"},
        {"reward_txt": "passed"},
        {"reward_json": "{}"},
        {"reward_json": '{"a": 1, "b": 0}'},
        {"reward_json": "true"},
        {"reward_json": "[" * 100_000},
        {"ctrf_json": "{"},
        {"ctrf_json": '{"results": {"tests": []}}'},
        {"ctrf_json": '{"results": {"tests": [{"name": "a", "status": "skipped"}]}}'},
    ],
)
def test_tests_that_say_nothing_are_no_verdict(logs: Logs, files: dict[str, str]) -> None:
    for exit_code in (0, 1):
        with pytest.raises(NoVerdict):
            logs.verdict(files, exit_code)


def test_tests_that_cannot_run_measure_nothing(logs: Logs, tmp_path: Path) -> None:
    """Outside of a container nothing lies in `/tests`."""
    tests = tmp_path / "tests"
    tests.mkdir()
    spec = GraderSpec("reward", {}, {"tests": tests})
    with pytest.raises(
        EnvironmentFailure, match=r"task t: its tests left no reward .*; mend them. They said: 'bash: .*No such"
    ):
        reward.RewardGrader(NoSandbox()).grade(spec, Task("t", "?", [spec]), Result(tmp_path / "work"))


# In real containers: the rehearsal works in the task's image, and its tests grade


def evaluate(tmp_path: Path, commands: str, body: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    docker_image()
    suite = harbor_tasks.write(tmp_path, commands=commands)
    skill = harbor_tasks.write_skill(tmp_path, body)
    words = ["evaluate", str(skill), "--tasks", str(suite), "--model", "rehearsal", "--concurrency", "2", "--json"]
    code = main([*words, "--out", str(tmp_path / "out")])
    said = capsys.readouterr()
    assert code == 0, said.err
    document: dict[str, Any] = json.loads(said.out)
    return document


@pytest.mark.docker
def test_the_solution_proves_the_tests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    docker_image()
    assert main(["suite", str(harbor_tasks.write(tmp_path)), "--check"]) == 0
    assert "checked 3 tasks: 3 proved" in capsys.readouterr().out


@pytest.mark.docker
def test_a_skill_is_measured_in_the_tasks_own_container(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Fails at the first thing that is not as it should be, and the task with it.
    commands = (
        "set -e; test $PWD = /app; test -f ../skill/counting/SKILL.md; ! ls /tests /solution 2>/dev/null; "
        "! touch /usr/planted 2>/dev/null; ! touch ../skill/counting/x 2>/dev/null; "
        "cgroup=/sys/fs/cgroup; "
        "test $(cat $cgroup/memory.max $cgroup/memory/memory.limit_in_bytes 2>/dev/null) = $((512 * 1024 * 1024))"
    )
    facts = evaluate(tmp_path, commands, "Write a number with its unit.", capsys)
    arm = facts["arms"]["with skill"]
    assert (arm["passed"], arm["measured"]) == (3, 3), facts["tasks"]
    assert facts["sandbox"].startswith("docker ")


@pytest.mark.docker
def test_a_reward_that_the_agent_left_does_not_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands = "mkdir -p /logs/verifier; echo 1 > /logs/verifier/reward.txt; cp /logs/verifier/reward.txt reward.txt"
    facts = evaluate(tmp_path, commands, "Write a number.", capsys)
    assert (facts["arms"]["with skill"]["passed"], facts["arms"]["with skill"]["measured"]) == (0, 3)
    assert facts["tasks"][0]["feedback"] == "expected 3 lines, got 3"


# What pytest sums up, as terminal-bench's tasks have it

HEAD = "=========================== short test summary info ============================\n"
GOOD = f"some output\n{HEAD}PASSED ../tests/t.py::test_a\nSKIPPED [1] t.py:3: no\n====== 1 passed ======\n"
FAKE = f"{HEAD}PASSED t.py::test_a\n"


def summed_up(logs: Logs, printed: str, exit_code: int = 0) -> Grade:
    (logs.folder / "output.txt").write_text(printed)
    return reward._verdict(CommandResult(printed, exit_code), logs.session, RewardOptions(verdict="pytest"))


@pytest.mark.parametrize(
    ("printed", "code", "passed", "score"),
    [
        (GOOD, 0, True, 1.0),
        (GOOD, 1, False, 0.0),
        (f"{HEAD}PASSED t.py::test_a\nFAILED t.py::test_b[x - y] - assert 1 == 2\n", 1, False, 0.5),
        (f"{FAKE}{HEAD}FAILED t.py::test_a - AssertionError\n", 1, False, 0.0),
        (f"{FAKE}{HEAD}FAILED t.py::test_b - AssertionError\n", 1, False, 0.0),  # not half of it
        (FAKE, 137, False, 0.0),
        (f"{HEAD}ERROR t.py - SyntaxError\n", 2, False, 0.0),
        (f"{HEAD}PASSED t.py::test_a\nXPASS t.py::test_b\nXFAIL t.py::test_c\n", 0, False, 2 / 3),
    ],
)
def test_every_test_of_the_last_summary_must_pass_and_the_script_too(
    logs: Logs, monkeypatch: pytest.MonkeyPatch, printed: str, code: int, passed: bool, score: float
) -> None:
    monkeypatch.setattr(reward, "OUTPUT", str(logs.folder / "output.txt"))
    grade = summed_up(logs, printed, code)
    assert grade.outcome is (Outcome.PASSED if passed else Outcome.FAILED)
    assert grade.score == pytest.approx(score)


@pytest.mark.parametrize("printed", ["", "bash: uv: command not found\n", HEAD, f"{HEAD}1 passed in 0.1s\n"])
def test_a_script_without_a_summary_is_no_verdict(logs: Logs, monkeypatch: pytest.MonkeyPatch, printed: str) -> None:
    monkeypatch.setattr(reward, "OUTPUT", str(logs.folder / "output.txt"))
    with pytest.raises(NoVerdict, match="no short summary of pytest"):
        summed_up(logs, printed, 127)
