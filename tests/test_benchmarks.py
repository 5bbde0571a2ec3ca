"""The counts that docs/performance.md shows: a change that executes more must be meant."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import batch, memory, throughput, tokens
from benchmarks.__main__ import COUNTS, ROOT, TIMES, apart
from benchmarks.caching_server import Count, total
from benchmarks.executions import SETTINGS, Counted, count, table
from skillgrad_ci.method.acceptance import Verdict

PAGE = Path(__file__).parent.parent / "docs/performance.md"
COUNTED = {setting.name: count(setting) for setting in SETTINGS}
MOST = {  # executions in all
    "a gain that is kept": 640 - 120 - 24,
    "a tie on validation": 640 - 120 - 120 - 120 - 4,
    "no patch at all": 640 - 120 - 120 - 120 - 80 - 80 - 40,
    "validate, no patch wins": 1360 - 120 - 120 - 120 - 400 - 40,
    "validate, the first patch wins": 1360 - 120 - 400 - 24,
    "the next run, once a gain is merged": 640 - 40 - 200 - 24,
    "a small suite, a gain": 70 - 20 - 4,
    "a small suite, a tie": 70 - 20 - 6 - 4,
}


def test_the_page_shows_what_the_benchmark_prints() -> None:
    """After a change of a count, put what `make bench` prints into the page. Tokens move with each prompt."""
    page = PAGE.read_text("utf-8")
    for row in table().splitlines():
        assert row.rsplit("|", 2)[0] in page


@pytest.mark.parametrize("name", MOST)
def test_a_run_executes_no_more_than_this(name: str) -> None:
    assert set(MOST) == set(COUNTED)
    assert COUNTED[name].total <= MOST[name] < COUNTED[name].setting.before


def test_what_is_saved_leaves_the_results_as_they_are() -> None:
    def verdict(name: str) -> tuple[Counted, Verdict]:
        return COUNTED[name], COUNTED[name].run.verdict

    for name in ("a gain that is kept", "validate, the first patch wins", "a small suite, a gain"):
        counted, shown = verdict(name)
        heldout = sum(task.split == "heldout" for task in counted.setting.suite.tasks)
        assert shown is Verdict.BETTER
        assert (
            sum(row.task_id in {t.id for t in counted.run.suite.tasks[-heldout:]} for row in counted.run.measured)
            == heldout
        )
    assert verdict("a tie on validation")[1] is verdict("a small suite, a tie")[1] is Verdict.TIE
    assert verdict("validate, no patch wins")[0].run.final == verdict("no patch at all")[0].run.final


def test_a_batch_of_four_takes_six_calls() -> None:
    for counted in COUNTED.values():
        assert counted.calls <= 6 * len(counted.run.iterations)


@pytest.fixture(scope="module")
def prompts() -> dict[str, dict[str, Count]]:
    return {provider.name: tokens.count(provider) for provider in tokens.PROVIDERS}


def test_the_skill_is_written_once_and_read_by_every_other_call(prompts: dict[str, dict[str, Count]]) -> None:
    """Two skills: the initial one in the first iteration, the patched one in the other two."""
    counts = prompts["Claude, diagnoses one by one"]
    skill = counts["diagnoser"].written / 2
    assert 2_000 < skill < 2_100
    shares = {role: (one.calls, round(one.written / skill), round(one.read / skill)) for role, one in counts.items()}
    assert shares == {"diagnoser": (12, 2, 10), "momentum": (3, 0, 3), "patcher": (3, 0, 3)}


def test_diagnoses_at_once_write_it_each_and_the_others_read_it(prompts: dict[str, dict[str, Count]]) -> None:
    counts = prompts["Claude, diagnoses at once"]
    skill = counts["momentum"].read / 3
    shares = {role: (round(one.written / skill), round(one.read / skill)) for role, one in counts.items()}
    assert shares == {"diagnoser": (8, 4), "momentum": (0, 3), "patcher": (0, 3)}
    whole = total(list(counts.values()))
    assert whole.paid < 0.85 * whole.prompt


def test_no_prompt_holds_a_schema_twice(prompts: dict[str, dict[str, Count]]) -> None:
    """The providers differ in its form alone: a second copy would be a tenth of an iteration."""
    sizes = [total(list(counts.values())).prompt for counts in prompts.values()]
    assert max(sizes) < 1.03 * min(sizes)


MORE = 1.25  # times the tokens of the first version's prompts: what the richer ones of today may take


@pytest.mark.parametrize(("kind", "turns"), batch.FIRST_VERSION)
def test_a_batch_takes_at_most_a_quarter_more_than_in_the_first_version(kind: str, turns: int) -> None:
    assert sum(batch.count(kind, turns).values()) <= MORE * batch.FIRST_VERSION[kind, turns]


def test_an_iteration_takes_no_more_than_in_the_first_version(prompts: dict[str, dict[str, Count]]) -> None:
    """29,978 tokens an iteration then, of the same texts, where a server is told the schema in words."""
    counts = prompts["a server without schemas, one by one"]
    assert total(list(counts.values())).prompt / tokens.ITERATIONS <= 29_978


def test_a_measurement_makes_as_many_calls_as_its_tasks_have() -> None:
    """Counts, never times."""
    done = throughput.measure(workers=2, tasks=3, latency=0.0, sandbox="none")
    assert (done.calls, done.passed) == (3 * throughput.CALLS, 3)


def test_a_task_takes_little_memory_and_little_of_the_page(tmp_path: Path) -> None:
    """A few hundred tasks of 28 KB: their evidence alone would take more than ten times what is allowed here."""
    few, many = memory.held_by(50), memory.held_by(450)
    assert (many - few) / 400 < 4_000
    few, many = (memory.page_of([memory.executed(one) for one in range(n)], tmp_path) for n in (50, 450))
    assert (many - few) / 400 < 200  # 10,000 tasks: under 2 MB
    assert "10,000 executions" in memory.Measured(10_000, 0.0, 0, 0.0, 0, 0).rows


def test_a_peak_is_that_of_the_process_alone(capfd: pytest.CaptureFixture[str]) -> None:
    """What starts a part may have been larger, as the process of these tests is here."""
    held = bytearray(b"1") * 400_000_000
    subprocess.run([sys.executable, "-c", "from benchmarks.memory import peak; print(peak())"], cwd=ROOT, check=True)
    assert 10_000_000 < int(capfd.readouterr().out) < len(held) / 2 < memory.peak()


def test_a_timed_part_is_a_program_of_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    apart(["batch"])
    assert capfd.readouterr().out == f"{batch.table()}\n"
    for module, *_ in TIMES.values():
        assert '\nif __name__ == "__main__":\n' in (ROOT / f"benchmarks/{module}.py").read_text()


def test_one_command_prints_every_part() -> None:
    assert list({**COUNTS, **TIMES}) == [
        *("Executions, calls and tokens", "Tokens of prompts", "Tokens of a batch"),
        *("Start-up and critical path", "Throughput", "Memory", "Grading"),
    ]
    assert COUNTS["Executions, calls and tokens"] is table
