"""The runs, by the program's own command line, and what must hold of each."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.real_model.machine import Count, Server

MODEL = "openai/SmolLM2-135M-Instruct"
SKILL = "skills/word-labels"
PARAMETERS = {"executor": {"temperature": 0, "max_tokens": 16}, "optimizer": {"temperature": 0, "max_tokens": 200}}
BUDGET_EXIT = 3
RUN_SECONDS = 3_600

Facts = Mapping[str, Any]


class Failed(SystemExit):
    """Something that must hold does not."""


def check(holds: bool, what: str) -> None:
    if not holds:
        raise Failed(f"make real: this does not hold: {what}")
    print(f"  holds: {what}", flush=True)


class Runs:
    """Each in one copy of the example, one call at a time, with replies as short as a label needs."""

    def __init__(self, server: Server, folder: Path, example: Path) -> None:
        self.server, self.root, self.out = server, folder / "labels", folder / "out"
        shutil.copytree(example, self.root)
        config = self.root / ".skillgrad.yml"
        models = f"models: {json.dumps({'parameters': PARAMETERS})}"
        rows = [models if row.startswith("models:") else row for row in config.read_text().splitlines()]
        config.write_text("\n".join(row for row in rows if not row.startswith("budget:")) + "\n")

    def evaluate(self, name: str, *flags: str) -> Facts:
        print(f"evaluate, {name} skill", flush=True)
        facts, took = self._run("evaluate", name, *flags)
        arms = facts["arms"].values()
        check(all(arm["unmeasured"] == 0 for arm in arms), f"all {sum(arm['measured'] for arm in arms)} are measured")
        _equal(_of(facts["cost"]["by_role"]["executor"]), took)
        return facts

    def optimize(self) -> Facts:
        print("optimize, with the rehearsal as optimizer", flush=True)
        report, took = self._run("optimize", "optimize", "--optimizer-model", "rehearsal")
        compared = [report[split] for split in ("train", "validation", "heldout")]
        sides = [side for split in compared for side in (split["baseline"], split["final"]) if side]
        check(not any(side["unmeasured"] for side in sides), "everything is measured")
        _equal(_of(report["cost"]["by_role"]["executor"]), took)
        return report

    def take(self, report: Facts) -> None:
        """Write the final skill where it lies, by a second start of the same run."""
        again, took = self._run("optimize", "optimize", "--optimizer-model", "rehearsal", "--in-place")
        check(took == Count(0, 0) and again["headline"] == report["headline"], "a second start pays nothing again")

    def optimizer_of_its_own(self, before: Facts) -> None:
        """The small model as its own optimizer cannot write what is asked for. The run must bear it."""
        print("optimize, with the small model as its own optimizer", flush=True)
        shutil.copytree(self.out / "optimize", self.out / "own")
        words = ["--optimizer-model", MODEL, "--iterations", "1", "--batch-size", "2"]
        report, took = self._run("optimize", "own", *words)
        asked = _replies(report) - _replies(before)
        kept = sum(len(step["diagnoses"]) for step in report["iterations"])
        refused = sum(edit["status"] != "accepted" for step in report["iterations"] for edit in step["edits"])
        check(asked > 0, f"it ends well, with {kept} diagnoses kept of {asked} replies, and {refused} edits refused")
        _equal(_of(report["cost"]) - _of(before["cost"]), took)

    def capped(self, tokens: int) -> None:
        print(f"evaluate, with a cap of {tokens:,} tokens", flush=True)
        _, took = self._run("evaluate", "capped", "--budget-tokens", str(tokens), ends=BUDGET_EXIT)
        check(0 < took.prompt + took.completion <= tokens, f"the server counts {took.prompt + took.completion:,}")

    def _run(self, command: str, name: str, *flags: str, ends: int = 0) -> tuple[Facts, Count]:
        """A command's JSON document, and what the server counted meanwhile."""
        words = [command, SKILL, "--model", MODEL, "--api-base", f"{self.server.url}/v1", "--concurrency", "1"]
        environment = {**os.environ, "OPENAI_API_KEY": "none"}
        before = self.server.count()
        done = subprocess.run(
            [sys.executable, "-m", "skillgrad_ci", *words, "--out", str(self.out / name), "--json", *flags],
            cwd=self.root, env=environment, capture_output=True, text=True, timeout=RUN_SECONDS, check=False,
        )  # fmt: skip
        if done.returncode != ends:
            raise Failed(f"make real: {command} ended with {done.returncode}, not {ends}: {done.stderr[-2000:]}")
        return json.loads(done.stdout), self.server.count() - before


def _replies(report: Facts) -> int:
    """Of the diagnoser, those of the run that this one goes on from included."""
    by_role = report["cost"]["by_role"]
    return int(by_role["diagnoser"]["calls"]) if "diagnoser" in by_role else 0


def _of(spent: Facts) -> Count:
    return Count(spent["prompt_tokens"], spent["completion_tokens"])


def _equal(ledger: Count, server: Count) -> None:
    told = "" if ledger == server else f", but the ledger has {ledger.prompt:,} and {ledger.completion:,}"
    counted = f"{server.prompt:,} prompt and {server.completion:,} completion tokens"
    check(ledger == server, f"the ledger has what the server counts, {counted}{told}")
