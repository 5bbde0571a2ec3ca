"""The whole program on real workbooks: SpreadsheetBench's sample against a server that speaks OpenAI's protocol.

The server's model is a fraud that knows the goldens: it saves the untouched input, and a golden only
where the skill that it was given says so. What this shows is the machinery, on real files.
"""

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

from skillgrad_ci.__main__ import main
from tests.support.scripted_answers import Answer, Call, Reply
from tests.support.scripted_server import serve

GUIDANCE = "Fill the whole answer range"
LARGEST = 60_000  # bytes of a golden that fit into one command
SKILL = "---\nname: sheets\ndescription: Use it for every workbook.\n---\n\n# Sheets\n\nWork on a copy.\n"


class Fraud:
    """Plays every agent over HTTP; see above."""

    def __init__(self, suite: Path) -> None:
        goldens = (next((suite / row["spreadsheet_path"]).glob("*golden*")) for row in _dataset(suite))
        self.goldens = {str(row["id"]): golden for row, golden in zip(_dataset(suite), goldens, strict=True)}

    def __call__(self, request: dict[str, Any]) -> Answer:
        messages = request["messages"]
        text = "\n".join(str(message.get("content")) for message in messages)
        if request.get("tools"):
            return self.execute(text, sum(message["role"] == "assistant" for message in messages))
        if '"title":"DiagnosisReply"' in text:
            return _json(label="range-left-empty", summary="The range is as it was.", cause="It was not filled.",
                         guidance="missing", skipped_step="", robust=True, quote="")  # fmt: skip
        if '"title":"MomentumReply"' in text:
            tasks = re.findall(r"^- task (\S+): (?:failure|contrastive)", text, re.MULTILINE)
            change = {
                "slug": "range-left-empty", "kind": "operation", "line": "The range stays empty.", "anchor": "saving",
                "description": "", "absorption": "recurring", "latest_executor_action": "", "remedy": "",
                "tasks": tasks,
            }  # fmt: skip
            return _json(changes=[change], overlay=[], themes=[])
        if '"title":"PatchReply"' in text:
            edit = {"op": "append", "file": "SKILL.md", "target": "heading", "address": "Sheets", "content":
                    f"- {GUIDANCE}.", "patterns": ["range-left-empty"], "why": "it stays empty"}  # fmt: skip
            known = f"- {GUIDANCE}" in text.split("## The record")[0]
            return _json(edits=[] if known else [edit])
        return Reply("ready")

    def execute(self, text: str, turn: int) -> Answer:
        output = re.findall(r"^- (1_(\S+)_output\.xlsx)$", text, re.MULTILINE)
        (name, task), golden = output[0], self.goldens[output[0][1]]
        if turn == 0:
            return Reply(calls=[Call("activate_skill", {"name": "sheets"})])
        if turn == 1 and GUIDANCE in text and golden.stat().st_size < LARGEST:
            content = base64.b64encode(golden.read_bytes()).decode()
            return Reply(calls=[Call("shell", {"command": f"base64 -d > {name} <<'END'\n{content}\nEND"})])
        if turn == 1:
            return Reply(calls=[Call("shell", {"command": f"cp 1_*.xlsx {name} || cp initial.xlsx {name}"})])
        return Reply(f"Saved {name} for {task}.")


def _dataset(suite: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((suite / "dataset.json").read_text())
    return rows


def _json(**fields: Any) -> Reply:
    return Reply(json.dumps(fields))


@pytest.mark.libreoffice
def test_three_iterations_on_the_sample_over_http(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key-of-the-scripted-server")
    suite, skill, out = samples / "spreadsheetbench", tmp_path / "sheets", tmp_path / "out"
    skill.mkdir()
    (skill / "SKILL.md").write_text(SKILL)
    with serve(Fraud(suite)) as server:
        model = ["--model", "openai/scripted", "--api-base", server.url, "--budget-tokens", "20000000"]
        code = main(
            ["optimize", str(skill), "--tasks", str(suite), *model, "--iterations", "3", "--out", str(out), "--json"]
        )
    report = json.loads(capsys.readouterr().out)
    assert code == 0
    assert len(report["iterations"]) == 3
    assert sum(report["suite"]["counts"].values()) == 60
    assert report["heldout"]["baseline"]["unmeasured"] == report["heldout"]["final"]["unmeasured"] == 0
    assert report["heldout"]["baseline"]["accuracy"] < 0.1
    assert report["heldout"]["final"]["accuracy"] > 0.8
    assert [edit["status"] for step in report["iterations"] for edit in step["edits"]] == ["accepted"]
    prompt, completion = (sum(tokens) for tokens in zip(*server.charged, strict=True))
    assert (report["cost"]["prompt_tokens"], report["cost"]["completion_tokens"]) == (prompt, completion)
