"""Nothing paid for is lost: killed at any moment, a run goes on where it was.

Real processes are killed with SIGKILL while a real server answers them. They are forked from one
that has the model library loaded, for its import would be most of the test's time.
"""

import json
import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, get_args

import pytest

from skillgrad_ci.method.optimizers.choices import Preset
from skillgrad_ci.models.rehearsal.register import respond
from skillgrad_ci.models.rehearsal.script import Script
from tests.support import small_repository
from tests.support.scripted_answers import Answer, Raw, Reply
from tests.support.scripted_server import ScriptedServer, serve

FORK = multiprocessing.get_context("forkserver")
FORK.set_forkserver_preload(["litellm", "skillgrad_ci.commands.optimize", "skillgrad_ci.session.optimize_skill"])
AT_ONCE = 2
MOMENTS = 20


def start(repository: Path, url: str, out: Path, *more: str) -> BaseProcess:
    process = FORK.Process(target=_run, args=(str(repository), url, str(out), *more))
    process.start()
    return process


def _run(repository: str, url: str, out: str, *more: str) -> None:
    from skillgrad_ci.__main__ import main

    os.environ["OPENAI_API_KEY"] = "scripted-key-for-tests"
    os.chdir(repository)
    log = os.open(f"{out}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    command = ["optimize", "skills/greeter", "--model", "openai/scripted", "--api-base", url, "--out", out]
    raise SystemExit(main([*command, "--concurrency", str(AT_ONCE), "--budget-tokens", "10000000", *more]))


@contextmanager
def provider(repository: Path) -> Iterator[tuple[ScriptedServer, dict[str, Any]]]:
    """The rehearsal over the OpenAI protocol. `plan["kill"]` is a process and the request at which it dies."""
    script = Script.load(repository / "evals/rehearsal.yaml")
    plan: dict[str, Any] = {"number": 0, "asked": Counter(), "kill": None}

    def answer(request: dict[str, Any]) -> Answer:
        plan["number"] += 1
        plan["asked"][json.dumps(request["messages"], sort_keys=True)] += 1
        if plan["kill"] and plan["number"] >= plan["kill"][1]:
            plan["kill"][0].kill()
            plan["kill"] = None
        if "Reply with the word ready." in str(request["messages"]):
            return Reply("ready")
        return Raw(body=json.dumps(respond(script, request)).encode())

    with serve(answer) as server:
        yield server, plan


def essence(out: Path) -> dict[str, Any]:
    """A report without what a clock says, and where it was made."""
    report: dict[str, Any] = json.loads((out / "report.json").read_text())
    for name in ("minutes", "cost", "reproduce", "settings"):
        report.pop(name)
    report["suite"].pop("path")
    return report


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str, int, dict[str, Any]]:
    """An uninterrupted run: its report, its patch, how many requests it made, its cost."""
    folder = tmp_path_factory.mktemp("whole")
    repository = small_repository.make(folder / "repository", "openai/scripted")
    with provider(repository) as (server, plan):
        process = start(repository, server.url, folder / "out")
        process.join(120)
        assert process.exitcode == 0, (folder / "out.log").read_text()
    report = json.loads((folder / "out/report.json").read_text())
    return essence(folder / "out"), (folder / "out/skill.patch").read_text(), plan["number"], report["cost"]


def test_killed_at_twenty_moments_it_ends_as_if_never_killed(
    whole: tuple[dict[str, Any], str, int, dict[str, Any]], tmp_path: Path
) -> None:
    report, patch, requests, cost = whole
    repository, out = small_repository.make(tmp_path / "repository", "openai/scripted"), tmp_path / "out"
    with provider(repository) as (server, plan):
        for moment in range(1, MOMENTS + 1):
            process = start(repository, server.url, out)
            plan["kill"] = (process, moment * requests // (MOMENTS + 1))
            process.join(60)
            assert process.exitcode == -signal.SIGKILL, (tmp_path / "out.log").read_text()
        process = start(repository, server.url, out)
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
    words = ("--optimizer", optimizer)
    repository, out = small_repository.make(tmp_path / "repository", "openai/scripted"), tmp_path / "out"
    with provider(repository) as (server, plan):
        process = start(repository, server.url, tmp_path / "whole", *words)
        process.join(120)
        assert process.exitcode == 0, (tmp_path / "whole.log").read_text()
        requests = plan["number"]
        for moment in (1, 2, 3):
            plan["number"] = 0
            process = start(repository, server.url, out, *words)
            plan["kill"] = (process, max(1, requests // 5))
            process.join(60)
            assert process.exitcode == -signal.SIGKILL, (moment, (tmp_path / "out.log").read_text())
        process = start(repository, server.url, out, *words)
        process.join(120)
        assert process.exitcode == 0, (tmp_path / "out.log").read_text()
    assert essence(out) == essence(tmp_path / "whole")
    assert (out / "skill.patch").read_text() == (tmp_path / "whole/skill.patch").read_text()


def test_a_finished_run_started_again_asks_for_nothing(tmp_path: Path) -> None:
    repository, out = small_repository.make(tmp_path / "repository", "openai/scripted"), tmp_path / "out"
    with provider(repository) as (server, plan):
        for _ in range(2):
            process = start(repository, server.url, out)
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
    with provider(repository) as (server, plan):
        process = start(repository, server.url, out)
        while plan["number"] < 6 and process.is_alive():
            time.sleep(0.05)
        time.sleep(0.5)  # its commands sleep now
        started = time.monotonic()
        assert process.pid is not None
        os.kill(process.pid, number)
        process.join(30)
        assert process.exitcode == 1
        assert time.monotonic() - started < 8
    report = json.loads((out / "report.json").read_text())
    assert report["stopped"] == "cancelled"
    lines = (out / "journal.jsonl").read_text().splitlines()
    assert all(json.loads(line) for line in lines)


def test_a_second_process_on_one_run_folder_stops_at_once(tmp_path: Path) -> None:
    repository, out = small_repository.make(tmp_path / "repository", "openai/scripted"), tmp_path / "out"
    with provider(repository) as (server, plan):
        first = start(repository, server.url, out)
        while plan["number"] < 2 and first.is_alive():
            time.sleep(0.02)
        second = start(repository, server.url, out)
        second.join(30)
        first.join(120)
    assert (second.exitcode, first.exitcode) == (2, 0)
    assert "another process runs here" in (tmp_path / "out.log").read_text()
