"""The command grader: what counts as a verdict, what as a crash, and what the check can see and touch."""

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.graders.command import CheckCrashed, CommandGrader, own_words, read_verdict
from skillgrad_ci.method.evidence import Grade, Outcome
from skillgrad_ci.method.grader_options import CommandOptions
from skillgrad_ci.method.ports import CommandResult, Result
from skillgrad_ci.method.task import GraderSpec, Task
from skillgrad_ci.sandbox.no_sandbox import NoSandbox

MARK = "|2f6e| "


def graded(
    run: str, work: Path, answer: str = "", references: dict[str, Path] | None = None, **options: object
) -> Grade:
    spec = GraderSpec("command", {"run": run, **options}, references or {})
    return CommandGrader(NoSandbox()).grade(spec, Task("t", "?", [spec]), Result(work, answer))


def verdict(output: str, exit_code: int | None = 0, **options: object) -> Grade:
    own = own_words(output, MARK)
    return read_verdict(CommandResult(output, exit_code), own, CommandOptions.model_validate({"run": "x", **options}))


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "out.txt").write_text("4\n")
    return tmp_path / "work"


@pytest.mark.parametrize(
    ("run", "outcome"),
    [("grep -q 4 out.txt", Outcome.PASSED), ("grep -q 5 out.txt", Outcome.FAILED), ("exit 123", Outcome.FAILED)],
)
def test_the_exit_code_is_the_verdict(run: str, outcome: Outcome, work: Path) -> None:
    assert graded(run, work).outcome is outcome


def test_words_never_beat_an_exit_code(work: Path) -> None:
    for words in ("passed", "all tests passed", '{"score": 1.0, "details": "passed"}'):
        loud = graded(f"echo '{words}'; exit 1", work)
        assert (loud.outcome, loud.score) == (Outcome.FAILED, 0.0)


def test_the_check_runs_on_a_copy(work: Path) -> None:
    (work / "sub").mkdir()
    (work / "sub" / "deep.txt").write_text("x")
    assert graded("cat sub/deep.txt && rm -rf sub out.txt && echo new > more.txt", work).outcome is Outcome.PASSED
    assert sorted(path.name for path in work.rglob("*")) == ["deep.txt", "out.txt", "sub"]
    assert (work / "out.txt").read_text() == "4\n"


def test_checks_and_references_lie_beside_the_copy(work: Path, tmp_path: Path) -> None:
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / "check.py").write_text(
        "assert open('out.txt').read() == open('../grader/golden.txt').read()\n"
    )
    (tmp_path / "golden.txt").write_text("4\n")
    references = {"checks": tmp_path / "checks", "golden.txt": tmp_path / "golden.txt"}
    assert graded("python3 ../grader/checks/check.py", work, references=references).outcome is Outcome.PASSED
    (work / "out.txt").write_text("5\n")
    wrong = graded("python3 ../grader/checks/check.py", work, references=references)
    assert wrong.outcome is Outcome.FAILED  # a failed assertion is a verdict


def test_no_file_of_the_agents_runs_before_the_check(work: Path) -> None:
    """Python runs `usercustomize.py` below HOME at its start, where it has a folder for packages of the user."""
    packages = work / ".local" / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "usercustomize.py").write_text("import os\nos._exit(0)\n")
    (work / ".bash_profile").write_text("exit 0\n")
    python = f"{sys.base_prefix}/bin/python3"  # a virtual environment has no such folder
    assert graded(f"{python} -c 'raise SystemExit(1)'", work).outcome is Outcome.FAILED
    assert graded("bash -lc 'exit 1'", work).outcome is Outcome.FAILED
    assert graded("test $HOME != $PWD", work, setup="test $HOME != $PWD").outcome is Outcome.PASSED


def test_the_last_message_is_beside_the_copy(work: Path) -> None:
    assert graded("grep -qx 'North, so “N”' ../result/answer.txt", work, "North, so “N”").outcome is Outcome.PASSED


def test_what_the_agent_planted_does_not_stand_in_for_the_check(work: Path, tmp_path: Path) -> None:
    for planted in (work / "checks", work.parent / "grader"):
        planted.mkdir()
        (planted / "check.sh").write_text("exit 0\n")
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "check.sh").write_text("exit 1\n")
    references = {"checks": tmp_path / "real"}
    assert graded("bash ../grader/checks/check.sh", work, references=references).outcome is Outcome.FAILED
    inside = graded("bash checks/check.sh", work, references=references, workspace=["checks"])
    assert inside.outcome is Outcome.FAILED
    (work / "checks" / "check.sh").unlink()
    (work / "checks").rmdir()
    (work / "checks").symlink_to(tmp_path)
    assert graded("bash checks/check.sh", work, references=references, workspace=["checks"]).score == 0
    assert not (tmp_path / "check.sh").exists()


CRASHES = {
    "not found": "no-such-program-anywhere",
    "killed": "kill -9 $$",
    "time": "sleep 20",
    "score": """echo '{"score": "high"}'""",
    "too high": """echo '{"score": 1.5}'""",
    "nan": """echo '{"score": NaN}'""",
    "true": """echo '{"score": true}'""",
    "json": """echo '{"scor'""",
    "traceback": "python3 ../grader/check.py",
    "traceback of an inline program": "python3 - <<END\nimport no_such_module\nEND",
    "check is missing": "python3 ../grader/chek.py",
    "check does not parse": "python3 ../grader/broken.py",
    "script does not parse": "bash ../grader/broken.sh",
}


@pytest.mark.parametrize("run", CRASHES.values(), ids=CRASHES.keys())
def test_a_crash_is_unmeasured_unless_the_suite_says_failed(run: str, work: Path, tmp_path: Path) -> None:
    (tmp_path / "check.py").write_text("import json\njson.load(open('missing.json'))\n")
    (tmp_path / "broken.py").write_text("print(\n")
    (tmp_path / "broken.sh").write_text("if true; then\n")
    references = {name: tmp_path / name for name in ("check.py", "broken.py", "broken.sh")}
    with pytest.raises(EnvironmentFailure, match="the check"):
        graded(run, work, references=references, timeout=1.0)
    failed = graded(run, work, references=references, timeout=1.0, crash="failed")
    assert (failed.outcome, failed.score) == (Outcome.FAILED, 0.0)


def test_json_is_required_where_the_suite_says_so(work: Path) -> None:
    with pytest.raises(EnvironmentFailure, match="printed no JSON object with a score"):
        graded("echo ok", work, verdict="json")
    assert graded("""echo '{"score": 1}'""", work, verdict="json").outcome is Outcome.PASSED


def test_a_failed_setup_is_unmeasured_even_where_a_crash_is_a_failure(work: Path) -> None:
    with pytest.raises(EnvironmentFailure, match="setup ended with 3: 'no jq'"):
        graded("true", work, setup="echo no jq; exit 3", crash="failed")
    assert graded("test -f made", work, setup="touch made").outcome is Outcome.PASSED


def test_the_agents_own_traceback_is_its_failure(work: Path, tmp_path: Path) -> None:
    """A check that runs the agent's script and says no is not a crash, whatever that script prints."""
    (work / "solve.py").write_text("raise ValueError('mine')\n")
    (tmp_path / "check.py").write_text("import sys\nsys.path.insert(0, '.')\nimport solve\n")
    references = {"check.py": tmp_path / "check.py"}
    assert graded("python3 solve.py || exit 1", work).outcome is Outcome.FAILED
    assert graded("python3 ../grader/check.py", work, references=references).outcome is Outcome.FAILED


def test_the_report_is_read_with_its_noise() -> None:
    report = {
        "score": 0.5,
        "details": "1/2",
        "checks": [{"name": "a", "passed": True}, {"name": "b", "passed": False, "message": "no b"}],
    }
    for text in (json.dumps(report), json.dumps(report, indent=2)):
        partial = verdict(f"warning: x\n{text}\nbye")
        assert (partial.outcome, partial.score) == (Outcome.FAILED, 0.5)
        assert partial.feedback == "1/2\n- failed: b: no b"
    assert verdict('{"score": 1}\n{"score": 0}').score == 0.0  # the last one counts


@given(st.integers(0, 255), st.floats(0, 1))
def test_only_exit_code_0_can_score(exit_code: int, score: float) -> None:
    try:
        result = verdict(json.dumps({"score": score}), exit_code)
    except CheckCrashed:
        assert exit_code > 123
        return
    assert result.score == (score if exit_code == 0 else 0.0)
    assert (result.outcome is Outcome.PASSED) == (exit_code == 0 and score == 1.0)


@given(st.text(st.sampled_from('{}[]":, \n1score.e-'), max_size=80))
def test_any_output_is_a_verdict_or_a_crash(output: str) -> None:
    try:
        assert 0 <= verdict(output).score <= 1
    except CheckCrashed:
        assert "score" in output or output.lstrip().startswith("{")


def test_feedback_is_bounded(work: Path) -> None:
    assert len(graded("yes | head -c 100000; exit 1", work).feedback) < 4_000


def test_special_files_are_not_copied(work: Path) -> None:
    import os

    os.mkfifo(work / "pipe")
    assert graded("test ! -e pipe", work).outcome is Outcome.PASSED


@pytest.mark.parametrize("before", ["", "so far ", '{"x": '])
def test_a_line_of_the_agents_program_is_no_verdict(before: str) -> None:
    assert verdict(f'{{"score": 0.5}}\n{before}{MARK}{{"score": 1.0}}\n').score == 0.5
    assert verdict(f'{{"score": 0.5}}\n{before}{MARK}so far {{"score": 1.0}}').score == 0.5


def test_a_part_of_a_report_is_no_verdict() -> None:
    report = {"score": 0.0, "details": '{"score": 1}', "checks": [{"name": "a", "score": 1.0, "passed": True}]}
    for indent in (None, 2):
        assert verdict(f"shown {json.dumps(report, indent=indent)}\n").score == 0.0


@pytest.mark.parametrize(
    "shown", ["words", "{", '{"score": 1.0}', '{"score": 1.0, "x": "', "[{}, {", "x" * 100_000, "\n| "]
)
def test_what_a_check_shows_of_a_program_does_not_hide_its_verdict(shown: str) -> None:
    """The check writes the program's output to its own standard error, without a line's end."""
    assert verdict(shown + '{"score": 0.0, "details": "wrong", "checks": []}\n').outcome is Outcome.FAILED
    assert verdict(shown + '{"score": 0.5}').score == 0.5
