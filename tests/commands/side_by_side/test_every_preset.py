"""Every optimizer runs both example repositories to its end over a real socket, side by side at equal budget.

That each of them goes on after a kill is in `tests/session/test_resume.py`. The demo is taken with every third task of
a split, so that few workbooks are graded.
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from skillgrad_ci.__main__ import main
from skillgrad_ci.method.optimizers.choices import Preset
from tests.support.killed import provider

EXAMPLES = Path(__file__).parents[3] / "examples"
LEARNING = {"skillgrad", "skillopt", "evoskill", "trace2skill"}
TOKENS = 20_000_000


def a_third(suite: Path) -> None:
    content = yaml.safe_load(suite.read_text())
    splits = ("train", "validation", "heldout")
    content["tasks"] = [row for own in splits for row in [t for t in content["tasks"] if t["split"] == own][::3]]
    suite.write_text(yaml.safe_dump(content, sort_keys=False))


@pytest.mark.parametrize(
    ("example", "skill", "few"),
    [
        ("labels", "word-labels", False),
        # LibreOffice grades for minutes: with make e2e
        pytest.param("xlsx", "workbook-reports", True, marks=[pytest.mark.libreoffice, pytest.mark.docker]),
    ],
)
def test_compare_prints_all_of_them_on_an_example(
    example: str,
    skill: str,
    few: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = tmp_path / example
    shutil.copytree(EXAMPLES / example, root)
    if few:
        a_third(root / f"evals/{skill}/tasks.yaml")
    config = root / ".skillgrad.yml"
    config.write_text(re.sub(r"^budget: .*$", f"budget: {{tokens: {TOKENS}}}", config.read_text(), flags=re.MULTILINE))
    monkeypatch.chdir(root)
    monkeypatch.setenv("OPENAI_API_KEY", "scripted-key-for-tests")
    models = ["--model", "openai/scripted", "--optimizer-model", "openai/scripted"]
    with provider(root / f"evals/{skill}/rehearsal.yaml") as (server, plan):
        code = main(["compare", f"skills/{skill}", *models, "--api-base", server.url, "--json", "--out", "out"])
        said = capsys.readouterr()
        assert code == 0, said.err
        asked = plan["number"]
    found: dict[str, Any] = json.loads(said.out)
    rows = {row["name"]: row for row in found["settings"]}
    assert list(rows) == ["none", "rewrite", *(name for name in get_args(Preset) if name != "rewrite")]
    assert (found["budget"]["tokens"], found["looks"], found["cut"]) == (TOKENS, 2 * len(rows) - 3, "")
    assert sum(row["cost"]["calls"] for row in rows.values()) == found["paid"]["calls"] <= asked
    for name in get_args(Preset):
        assert rows[name]["stopped"] in ("iterations", "no failures"), name
        assert rows[name]["measured"]["unmeasured"] == 0, name
        if name in LEARNING:
            steps = json.loads((root / f"out/{name}/report.json").read_text())["iterations"]
            assert any(step["edits"] for step in steps), name
        if name in LEARNING and not few:  # three validation tasks let no gate tell a gain
            assert rows[name]["edits"] > 0, name
            assert rows[name]["measured"]["accuracy"] > rows["none"]["measured"]["accuracy"], name
