"""Every optimizer runs both example repositories to its end over a real socket, side by side at equal budget.

On the small one each is killed once in its middle: all of it goes on to the same end, and pays nothing twice.
"""

import json
import re
import shutil
import signal
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, get_args

import pytest

from skillgrad_ci.method.optimizers.choices import Preset
from tests.support.killed import AT_ONCE, essence_of_comparison, provider, start

EXAMPLES = Path(__file__).parents[3] / "examples"
LEARNING = {"skillgrad", "skillopt", "evoskill", "trace2skill"}
TOKENS = 10_000_000  # the cap that `start` says
LONGEST = 1_500  # seconds of a process, which only one that hangs takes


def middles(rows: list[dict[str, Any]]) -> list[int]:
    """The number of a request in the middle of each setting: they run one after the other, the base run first."""
    ends = list(accumulate(row["cost"]["calls"] for row in rows))
    return [(begin + end) // 2 for begin, end in pairwise(ends)]


@pytest.mark.parametrize(
    ("example", "skill", "kill"),
    [
        ("labels", "word-labels", True),
        # LibreOffice grades for minutes: with make e2e
        pytest.param("xlsx", "workbook-reports", False, marks=[pytest.mark.libreoffice, pytest.mark.docker]),
    ],
)
def test_compare_prints_all_of_them_on_an_example_and_each_goes_on_after_a_kill(
    example: str, skill: str, kill: bool, tmp_path: Path
) -> None:
    root, out, whole = tmp_path / example, tmp_path / "killed", tmp_path / "whole"
    shutil.copytree(EXAMPLES / example, root)
    config = root / ".skillgrad.yml"
    config.write_text(re.sub(r"^budget: .*$", f"budget: {{tokens: {TOKENS}}}", config.read_text(), flags=re.MULTILINE))
    words = ("compare", f"skills/{skill}", "--optimizer-model", "openai/scripted")
    with provider(root / f"evals/{skill}/rehearsal.yaml") as (server, plan):

        def run(folder: Path, kill_at: int | None = None) -> int | None:
            process = start(root, words, server.url, folder)
            plan["kill"] = (process, kill_at) if kill_at else None
            process.join(LONGEST)
            return process.exitcode

        assert run(whole) == 0, whole.with_name("whole.log").read_text()
        found: dict[str, Any] = json.loads((whole / "comparison.json").read_text())
        asked, plan["number"] = plan["number"], 0
        moments = middles(found["settings"]) if kill else []
        for moment in moments:
            assert run(out, moment) == -signal.SIGKILL, out.with_name("killed.log").read_text()
        if kill:
            assert run(out) == 0, out.with_name("killed.log").read_text()
            assert plan["number"] <= asked + len(moments) * AT_ONCE, "what was paid for is not paid again"
            assert essence_of_comparison(out) == essence_of_comparison(whole)
    rows = {row["name"]: row for row in found["settings"]}
    assert list(rows) == ["none", "rewrite", *(name for name in get_args(Preset) if name != "rewrite")]
    assert (found["budget"]["tokens"], found["looks"], found["cut"]) == (TOKENS, 2 * len(rows) - 3, "")
    assert sum(row["cost"]["calls"] for row in rows.values()) == found["paid"]["calls"] <= asked
    for name in get_args(Preset):
        assert rows[name]["stopped"] in ("iterations", "no failures"), name
        assert rows[name]["measured"]["unmeasured"] == 0, name
        if kill:
            assert (out / name / "skill.patch").read_text() == (whole / name / "skill.patch").read_text(), name
        if name in LEARNING:
            assert rows[name]["edits"] > 0, name
            assert rows[name]["measured"]["accuracy"] > rows["none"]["measured"]["accuracy"], name
