"""`plan`, `execute` and `merge` on a small repository: `optimize` goes on from them, and ends as on one machine."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skillgrad_ci.__main__ import main
from tests.support import small_repository
from tests.support.killed import essence

OPEN = ["--sandbox", "none"]  # the commands are the rehearsal's
Run = Callable[..., Any]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """A command in a folder; what it printed as JSON."""

    def start(folder: Path, *command: str) -> Any:
        monkeypatch.chdir(folder)
        code = main([*command, *OPEN, "--json"] if command[0] != "merge" else [*command, "--json"])
        printed = capsys.readouterr()
        assert code == 0, printed.err
        return json.loads(printed.out)

    return start


def test_three_shards_and_a_merge_give_the_report_of_one_machine(run: Run, tmp_path: Path) -> None:
    one, many = (small_repository.make(tmp_path / name) for name in ("one", "many"))
    planned = run(many, "plan", "skills/greeter", "--shards", "3")
    assert [row["shard"] for row in planned["shards"]] == ["1/3", "2/3", "3/3"]
    assert sum(row["executions"] for row in planned["shards"]) == planned["executions"]
    for row in planned["shards"]:
        done = run(many, "execute", "skills/greeter", "--shard", row["shard"])
        assert sum(done["outcomes"].values()) == done["executions"] == row["executions"]
    assert run(many, "merge", "runs")["folder"] == planned["folder"]
    before = (many / planned["folder"] / "journal.jsonl").read_text().count('"kind": "execution"')
    assert before == planned["executions"]
    for repository in (one, many):
        run(repository, "optimize", "skills/greeter")
    (folder,) = (path.parent for path in (one / "runs").glob("*/*/report.json"))
    assert essence(many / planned["folder"]) == essence(folder)
    costs = [json.loads((path / "report.json").read_text())["cost"] for path in (folder, many / planned["folder"])]
    assert costs[0].pop("usd") == pytest.approx(costs[1].pop("usd"))  # sums of other orders
    assert [cost.pop("by_role").keys() for cost in costs] == [{"executor", "diagnoser", "momentum", "patcher"}] * 2
    for cost in costs:  # rows are in the order in which executions ended
        cost["by_purpose"] = sorted(
            sorted((key, value) for key, value in row.items() if key != "usd") for row in cost["by_purpose"]
        )
    assert costs[0] == costs[1]


def test_a_shard_is_not_measured_twice_and_keeps_its_share_of_the_cap(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = small_repository.make(tmp_path / "repository")
    done = run(repository, "execute", "skills/greeter", "--shard", "1/6")
    journal = repository / done["folder"] / "journal.jsonl"
    before = journal.read_bytes()
    run(repository, "execute", "skills/greeter", "--shard", "1/6")
    assert journal.read_bytes() == before
    assert main(["execute", "skills/greeter", "--shard", "2/6", *OPEN, "--budget-tokens", "30"]) == 3
    assert "budget.tokens: the next call could take the run to" in capsys.readouterr().out
    assert main(["execute", "skills/greeter", "--shard", "99/99"]) == 2
    assert "shard 99/99: the base run surely makes" in capsys.readouterr().err
    assert main(["plan", "skills/greeter", "--shards", "0"]) == 2
