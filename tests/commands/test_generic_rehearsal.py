"""A suite without a script can be rehearsed: from its references, in the formats that people have."""

import json
from pathlib import Path

import pytest

from skillgrad_ci.__main__ import main
from skillgrad_ci.models.rehearsal.generic import MARK

SKILL = "---\nname: packing\ndescription: Use it to pack a suitcase.\n---\n\n# Packing\n\nHeavy things go first.\n"
QUERIES = [
    {"query": "Pack my suitcase for Oslo", "should_trigger": True},
    {"query": "Which day is it?", "should_trigger": False},
]


def _evals(folder: Path) -> None:
    """Statements for a judge, as Agent Skills has them."""
    rows = [
        {
            "id": f"trip-{number}",
            "prompt": f"Write the packing list of trip {number}.",
            "assertions": [f"The list of trip {number} names a raincoat.", "The list has a line for shoes."],
        }
        for number in range(12)
    ]
    (folder / "evals.json").write_text(json.dumps({"skill_name": "packing", "evals": rows}))


def _tasks(folder: Path) -> None:
    """Files that a check reads, by a reference file whose bytes are not text, and plain answers."""
    (folder / "golden.bin").write_bytes(bytes(range(256)))
    rows = ["version: 1", "tasks:"]
    for number in range(6):
        rows += [
            f"  - id: file-{number}",
            f"    instruction: Write the list number {number} into `lists/list.bin`.",
            "    outputs: [lists/list.bin]",
            "    reference: {files: {lists/list.bin: golden.bin}}",
            "    grader: {type: command, run: cmp lists/list.bin ../grader/golden.bin, files: [golden.bin]}",
            f"  - id: answer-{number}",
            f"    instruction: How many bags has trip {number}?",
            f"    grader: {{type: text, exact: '{number + 40} bags'}}",
        ]
    (folder / "tasks.yaml").write_text("\n".join(rows))


@pytest.mark.parametrize("suite", [_evals, _tasks])
def test_a_suite_without_a_script_is_rehearsed_to_a_marked_edit_of_each_layer(
    suite: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    skill, evals = tmp_path / "skills" / "packing", tmp_path / "evals" / "packing"
    skill.mkdir(parents=True)
    evals.mkdir(parents=True)
    (skill / "SKILL.md").write_text(SKILL)
    assert callable(suite)
    suite(evals)
    (tmp_path / "triggers.json").write_text(json.dumps(QUERIES))
    (tmp_path / ".skillgrad.yml").write_text(
        "skills: [{path: skills/packing, tasks: evals/packing}]\n"
        "models: {executor: rehearsal}\ntrigger: triggers.json\niterations: 3\n"
    )
    monkeypatch.chdir(tmp_path)

    assert main(["optimize", "skills/packing", "--json"]) == 0
    told = capsys.readouterr()
    report = json.loads(told.out)
    assert told.err.count("a generic rehearsal plays, and marks what it writes") == 1, "said once for all roles"
    assert report["rehearsal"] is True
    edits = [edit for step in report["iterations"] for edit in step["edits"] if edit["status"] == "accepted"]
    assert {edit["layer"] for edit in edits} == {"H", "B", "Q"}
    assert all(MARK in edit["content"] for edit in edits)
    assert report["heldout"]["delta"]["fixed"]
    assert report["heldout"]["final"]["unmeasured"] == 0
