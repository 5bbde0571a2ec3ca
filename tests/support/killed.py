"""Processes that are killed while a real server answers them.

They are forked from one that has the model library loaded, for its import would be most of a test's time.
"""

import json
import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from skillgrad_ci.models.rehearsal.register import respond
from skillgrad_ci.models.rehearsal.script import Script
from tests.support.scripted_answers import Answer, Raw, Reply
from tests.support.scripted_server import ScriptedServer, serve

FORK = multiprocessing.get_context("forkserver")
FORK.set_forkserver_preload(["litellm", "skillgrad_ci.commands.optimize", "skillgrad_ci.session.optimize_skill"])
AT_ONCE = 2


def start(repository: Path, words: Sequence[str], url: str, out: Path) -> BaseProcess:
    """A command in a repository, with the model at `url` and its run folder at `out`; what it says is in `out`.log."""
    process = FORK.Process(target=_run, args=(str(repository), list(words), url, str(out)))
    process.start()
    return process


def killed_after_a_whole_one(
    repository: Path, words: Sequence[str], served: tuple[ScriptedServer, dict[str, Any]], folder: Path, moments: int
) -> int:
    """A command that ends, in `folder`/whole, and one that is killed at so many moments, in `folder`/out.

    Returns how often the whole one asked; the plan's number counts what the other one asked.
    """
    server, plan = served
    process = start(repository, words, server.url, folder / "whole")
    process.join(200)
    assert process.exitcode == 0, (folder / "whole.log").read_text()
    requests, plan["number"] = plan["number"], 0
    for moment in range(1, moments + 1):
        process = start(repository, words, server.url, folder / "out")
        plan["kill"] = (process, moment * requests // (moments + 1))
        process.join(200)
        assert process.exitcode == -signal.SIGKILL, (folder / "out.log").read_text()
    return int(requests)


def _run(repository: str, words: list[str], url: str, out: str) -> None:
    from skillgrad_ci.__main__ import main

    os.environ["OPENAI_API_KEY"] = "scripted-key-for-tests"
    os.chdir(repository)
    log = os.open(f"{out}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    command = [*words, "--model", "openai/scripted", "--api-base", url, "--out", out]
    raise SystemExit(main([*command, "--concurrency", str(AT_ONCE), "--budget-tokens", "10000000"]))


@contextmanager
def provider(script_file: Path) -> Iterator[tuple[ScriptedServer, dict[str, Any]]]:
    """The rehearsal over the OpenAI protocol. `plan["kill"]` is a process and the request at which it dies."""
    script = Script.load(script_file)
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
    """A report without what a clock says, and where it was made; a run is named by its settings, addresses included."""
    report: dict[str, Any] = json.loads((out / "report.json").read_text())
    for name in ("minutes", "cost", "reproduce", "settings", "run"):
        report.pop(name)
    report["suite"].pop("path")
    return report


def essence_of_comparison(folder: Path) -> dict[str, Any]:
    """A comparison without what calls that a kill repeated add to its cost, and without the clock."""
    document: dict[str, Any] = json.loads((folder / "comparison.json").read_text())
    for name in ("paid", "reproduce"):
        document.pop(name)
    for row in document["settings"]:
        row.pop("cost")
        row.pop("minutes")
    return document
