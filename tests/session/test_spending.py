"""What was spent, by role, iteration and task: as the provider itself counted it."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from skillgrad_ci.__main__ import main
from tests.support import small_repository
from tests.support.agent_provider import Answer, Reply, provider

NUMBERS = range(12)


def questions(root: Path) -> None:
    rows = [
        {"id": f"q{n}", "instruction": f"Question number {n}: is it so?", "grader": {"type": "text", "exact": "yes"}}
        for n in NUMBERS
    ]
    (root / "evals/tasks.yaml").write_text(yaml.safe_dump({"version": 1, "tasks": rows}))


@pytest.mark.parametrize("killed", [False, True])
def test_the_ledger_tells_by_role_iteration_and_task_what_the_server_charged(
    killed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A third of the questions is answered right; the optimizing roles get no reply that they can use."""
    charged: Counter[str] = Counter()
    played = {"calls": 0}

    def script(request: dict[str, Any]) -> Answer:
        played["calls"] += 1
        found = re.findall(r"Question number (\d+)", json.dumps(request["messages"]))
        asked = len(set(found)) == 1 and request["messages"][-1]["content"].startswith("Question number")
        if asked:
            charged[f"q{found[0]}"] += played["calls"] + 7
        else:
            charged["others"] += played["calls"] + 7
        right = asked and int(found[0]) % 3 == 0
        return Reply("yes" if right else "no", prompt_tokens=played["calls"], completion_tokens=7)

    with provider(script) as world:
        root = small_repository.make(tmp_path, "openai/local")
        questions(root)
        settings = yaml.safe_load((root / ".skillgrad.yml").read_text())
        settings["agent"] = "chat"
        settings["models"] |= {"api_base": f"{world.url}/v1"}
        settings["budget"] = {"tokens": 10_000_000}
        (root / ".skillgrad.yml").write_text(yaml.safe_dump(settings))
        monkeypatch.chdir(root)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-scripted")
        words = ["optimize", "skills/greeter", "--out", str(root / "out"), "--iterations", "2"]
        if killed:
            main([*words, "--budget-tokens", "40000"])
        main(words)
    cost = json.loads((root / "out/report.json").read_text())["cost"]
    rows = cost["by_purpose"]
    tokens = Counter[str]()
    for row in rows:
        name = row["task"] if row["role"] == "executor" and row["task"] else "others"
        tokens[name] += row["prompt_tokens"] + row["completion_tokens"]
    assert tokens == charged
    assert sum(row["calls"] for row in rows) == cost["calls"] == len(world.charged)
    # No patch comes of it, so the skill stays, and what the base run showed is not executed again.
    assert {row["iteration"] for row in rows if row["role"] == "executor"} == {"", "base"}
    diagnosed = {(row["iteration"], row["task"]) for row in rows if row["role"] == "diagnoser"}
    assert diagnosed
    assert all(iteration in ("1", "2") and task.startswith("q") for iteration, task in diagnosed)
