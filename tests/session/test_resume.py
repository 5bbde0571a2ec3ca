"""Nothing paid for is lost: killed at any moment, a run goes on where it was."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any, get_args

import pytest

from skillgrad_ci.method.optimizers.choices import Preset
from tests.support import small_repository
from tests.support.killed import AT_ONCE, essence, provider, start

MOMENTS = 20
OPTIMIZE = ("optimize", "skills/greeter")
SCRIPT = "evals/rehearsal.yaml"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str, int, dict[str, Any]]:
    """An uninterrupted run: its report, its patch, how many requests it made, its cost."""
    folder = tmp_path_factory.mktemp("whole")
    repository = small_repository.make(folder / "repository", "openai/scripted")
    with provider(repository / SCRIPT) as (server, plan):
        process = start(repository, OPTIMIZE, server.url, folder / "out")
        process.join(120)
        assert process.exitcode == 0, (folder / "out.log").read_text()
    report = json.loads((folder / "out/report.json").read_text())
    return essence(folder / "out"), (folder / "out/skill.patch").read_text(), plan["number"], report["cost"]


def test_killed_at_twenty_moments_it_ends_as_if_never_killed(
    whole: tuple[dict[str, Any], str, int, dict[str, Any]], tmp_path: Path
) -> None:
    report, patch, requests, cost = whole
    repository, out = small_repository.make(tmp_path / "repository", "openai/scripted"), tmp_path / "out"
    with provider(repository / SCRIPT) as (server, plan):
        for moment in range(1, MOMENTS + 1):
            process = start(repository, OPTIMIZE, server.url, out)
            plan["kill"] = (process, moment * requests // (MOMENTS + 1))
            process.join(60)
            assert process.exitcode == -signal.SIGKILL, (tmp_path / "out.log").read_text()
        process = start(repository, OPTIMIZE, server.url, out)
        process.join(60)
        assert process.exitcode == 0, (tmp_path / "out.log").read_text()
    assert essence(out) == report
    assert (out / "skill.patch").read_text() == patch
    spent = json.loads((out / "report.json").read_text())["cost"]
    # What was paid for is counted, once, with the work that a kill undid; only calls in flight are in no account.
    assert cost["calls"] <= spent["calls"] <= plan["number"]
    assert plan["number"] - spent["calls"] <= MOMENTS * AT_ONCE
    assert plan["number"] <= requests + MOMENTS * AT_ONCE  # a kill repeats the calls in flight, and no turn before them
    assert all(times <= 1 + MOMENTS for times in plan["asked"].values())
    assert plan["number"] > requests


@pytest.mark.parametrize("optimizer", sorted(set(get_args(Preset)) - {"skillgrad"}))
def test_every_optimizer_killed_at_three_moments_ends_as_if_never_killed(optimizer: str, tmp_path: Path) -> None:
    """Over a real socket, from the command line to the report."""
    words = (*OPTIMIZE, "--optimizer", optimizer)
    repository, out = small_repository.make(tmp_path / "repository", "openai/scripted"), tmp_path / "out"
    with provider(repository / SCRIPT) as (server, plan):
        process = start(repository, words, server.url, tmp_path / "whole")
        process.join(120)
        assert process.exitcode == 0, (tmp_path / "whole.log").read_text()
        requests = plan["number"]
        for moment in (1, 2, 3):
            plan["number"] = 0
            process = start(repository, words, server.url, out)
            plan["kill"] = (process, max(1, requests // 5))
            process.join(60)
            assert process.exitcode == -signal.SIGKILL, (moment, (tmp_path / "out.log").read_text())
        process = start(repository, words, server.url, out)
        process.join(120)
        assert process.exitcode == 0, (tmp_path / "out.log").read_text()
    assert essence(out) == essence(tmp_path / "whole")
    assert (out / "skill.patch").read_text() == (tmp_path / "whole/skill.patch").read_text()


def test_a_finished_run_started_again_asks_for_nothing(tmp_path: Path) -> None:
    repository, out = small_repository.make(tmp_path / "repository", "openai/scripted"), tmp_path / "out"
    with provider(repository / SCRIPT) as (server, plan):
        for _ in range(2):
            process = start(repository, OPTIMIZE, server.url, out)
            process.join(120)
            assert process.exitcode == 0, (tmp_path / "out.log").read_text()
            plan.setdefault("first", plan["number"])
            reports = plan.setdefault("reports", [])
            reports.append(essence(out))
    assert plan["number"] == plan["first"]
    assert reports[0] == reports[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_seconds_with_a_report_and_a_whole_journal(number: signal.Signals, tmp_path: Path) -> None:
    repository, out = small_repository.make(tmp_path / "repository", "openai/scripted"), tmp_path / "out"
    tasks = repository / "evals/rehearsal.yaml"
    tasks.write_text(tasks.read_text().replace("> greeting.txt", "> greeting.txt; sleep 30"))
    with provider(repository / SCRIPT) as (server, plan):
        process = start(repository, OPTIMIZE, server.url, out)
        while plan["number"] < 6 and process.is_alive():
            time.sleep(0.05)
        time.sleep(0.5)  # its commands sleep now
        started = time.monotonic()
        assert process.pid is not None
        os.kill(process.pid, number)
        process.join(30)
        assert process.exitcode == 1
        assert time.monotonic() - started < 25
    report = json.loads((out / "report.json").read_text())
    assert report["stopped"] == "cancelled"
    lines = (out / "journal.jsonl").read_text().splitlines()
    assert all(json.loads(line) for line in lines)


def test_a_second_process_on_one_run_folder_stops_at_once(tmp_path: Path) -> None:
    repository, out = small_repository.make(tmp_path / "repository", "openai/scripted"), tmp_path / "out"
    with provider(repository / SCRIPT) as (server, plan):
        first = start(repository, OPTIMIZE, server.url, out)
        while plan["number"] < 2 and first.is_alive():
            time.sleep(0.02)
        second = start(repository, OPTIMIZE, server.url, out)
        second.join(30)
        first.join(120)
    assert (second.exitcode, first.exitcode) == (2, 0)
    assert "another process runs here" in (tmp_path / "out.log").read_text()
