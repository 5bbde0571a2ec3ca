"""`action.yml`, the tables of `docs/action.md` and the code say the same; workflows are pinned and modest."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from skillgrad_ci.bot.gate import NOTHING
from skillgrad_ci.github.action_inputs import INPUTS, OUTPUTS, ActionInputs, Documented, take

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
PAGE = (ROOT / "docs/action.md").read_text()
WORKFLOWS = sorted([*ROOT.glob(".github/workflows/*.yml"), *ROOT.glob("examples/*/.github/workflows/*.yml")])
PINNED = re.compile(r"uses: (?P<action>[\w./-]+)@(?P<ref>\S+)(?P<comment>.*)")


def test_inputs_are_the_same_everywhere() -> None:
    described = {name: (row["description"], row.get("default", "")) for name, row in ACTION["inputs"].items()}
    assert described == {known.name: (known.description, known.default) for known in INPUTS}
    assert _table("input", 3) == [[f"`{k.name}`", k.description, f"`{k.default}`" if k.default else ""] for k in INPUTS]
    assert {known.name for known in INPUTS} == set(ActionInputs.__dataclass_fields__)


def test_outputs_are_the_same_everywhere() -> None:
    assert {name: row["description"] for name, row in ACTION["outputs"].items()} == {
        known.name: known.description for known in OUTPUTS
    }
    assert _table("output", 2) == [[f"`{known.name}`", known.description] for known in OUTPUTS]


def _table(first: str, columns: int) -> list[list[str]]:
    rows = PAGE.split(f"| {first} | what it is |", 1)[1].splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows[: rows.index("")]]
    return [[*row, ""][:columns] for row in cells]


@pytest.mark.parametrize("known", INPUTS, ids=lambda known: known.name)
def test_every_input_is_read_and_has_the_default_that_is_documented(known: Documented) -> None:
    samples = {"iterations": "7", "dry_run": "true", "draft": "true", "threshold": "0.5", "budget_usd": "2.5"}
    samples |= {"minutes": "30", "step": "deliver", "shards": "3", "shard": "2/3"}
    together = {"app_id": "private_key", "private_key": "app_id", "tasks": "skill"}
    given = samples.get(known.name, "something")
    names = [known.name, *filter(None, [together.get(known.name)])]
    environ = {f"INPUT_{name.upper()}": given for name in names}
    environ |= {"INPUT_STEP": "execute"} if known.name == "shard" else {}
    assert getattr(take(environ, {}), known.name) != getattr(take({}, {}), known.name)
    assert environ == {}
    documented = take({f"INPUT_{known.name.upper()}": known.default} if "{{" not in known.default else {}, {})
    assert documented == take({}, {}), "an input that is left out is as its documented default"


@pytest.mark.parametrize(("act", "expected"), [("true", True), ("false", False), ("", False)])
def test_under_act_a_dry_run_is_the_default(act: str, expected: bool) -> None:
    assert take({"ACT": act}, {}).dry_run is expected
    assert take({"ACT": act, "INPUT_DRY_RUN": "false"}, {}).dry_run is False


def test_the_marketplace_accepts_the_metadata() -> None:
    assert len(ACTION["description"]) <= 125
    assert set(ACTION["branding"]) == {"icon", "color"}
    assert ACTION["author"]
    assert all(re.fullmatch(r"[a-z_]+", name) for name in ACTION["inputs"]), "a hyphen stays in INPUT_…'s name"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: str(path.relative_to(ROOT)))
def test_workflows_pin_every_action_and_ask_for_little(path: Path) -> None:
    text = path.read_text()
    workflow: dict[Any, Any] = yaml.safe_load(text)
    for match in PINNED.finditer(text):
        if match["action"] != "OWNER/skillgrad-action":
            assert re.fullmatch(r"[0-9a-f]{40}", match["ref"]), match[0]
            assert re.search(r"# v\d+", match["comment"]), match[0]
    assert workflow["permissions"] == {}
    assert "pull_request_target" not in text
    for job in workflow["jobs"].values():
        assert "permissions" in job
        assert "timeout-minutes" in job
    assert text.count("actions/checkout@") == text.count("persist-credentials: false")
    assert "concurrency" in text or "workflow_call" in workflow[True]  # a group of both would end the run


def test_the_ten_lines_of_the_page_are_a_workflow_of_ten_lines() -> None:
    block = re.search(r"```yaml\n(?P<text>   on: .*?)```", PAGE, re.DOTALL)
    assert block is not None
    lines = block["text"].rstrip().splitlines()
    assert len(lines) == 10
    workflow = yaml.safe_load("\n".join(lines))
    whole = yaml.safe_load((ROOT / "examples/xlsx/.github/workflows/skillgrad.yml").read_text())
    needed = [job["permissions"] for job in whole["jobs"].values()]
    assert workflow["permissions"] == {
        name: "write" for job in needed for name, level in job.items() if level == "write"
    }
    assert set(workflow[True]) <= set(whole[True])


def test_the_action_passes_every_input_on_and_every_output_back() -> None:
    decide, run = ACTION["runs"]["steps"]
    given = {f"INPUT_{known.name.upper()}": f"${{{{ inputs.{known.name} }}}}" for known in INPUTS}
    assert {name: value for name, value in run["env"].items() if name != "IMAGE"} == given
    assert run["env"]["IMAGE"] == "${{ inputs.image }}"
    assert decide["env"].items() <= given.items()
    assert run["if"] == "steps.decide.outputs.go == 'true'"
    for known in OUTPUTS:
        assert f"steps.run.outputs.{known.name}" in ACTION["outputs"][known.name]["value"]
    for name in ("status", *NOTHING):  # what is known where no image ran
        assert f"|| steps.decide.outputs.{name} " in ACTION["outputs"][name]["value"]
    assert not any("${{" in step["run"] for step in ACTION["runs"]["steps"])  # no input becomes a command


def test_a_release_puts_its_images_in_place(tmp_path: Path) -> None:
    entry = Path(shutil.copytree(ROOT / "entry", tmp_path / "entry"))
    images = ["ghcr.io/owner/action@sha256:aa", "ghcr.io/owner/action@sha256:bb"]
    subprocess.run([entry / "pin.sh", *images], check=True, timeout=30)
    known = [line for line in (entry / "images").read_text().splitlines() if not line.startswith("#")]
    assert known == [f"slim={images[0]}", f"libreoffice={images[1]}"]
    again = subprocess.run([entry / "pin.sh", "other@sha256:cc", images[1]], check=False, timeout=30)
    assert again.returncode != 0
    assert "entry/pin.sh" in (ROOT / ".github/workflows/release.yml").read_text()


SHARDED = yaml.safe_load((ROOT / ".github/workflows/sharded.yml").read_text())
EXAMPLE = yaml.safe_load((ROOT / "examples/xlsx/.github/workflows/skillgrad.yml").read_text())


def test_no_job_of_the_example_that_optimizes_holds_both_key_and_write_access() -> None:
    """A command measures and pushes in one: it is the exception, and people with write access alone start it."""
    for name, job in EXAMPLE["jobs"].items():
        writes = "write" in job["permissions"].values()
        keyed = any("OPENAI_API_KEY" in (step.get("env") or {}) for step in job["steps"])
        assert not (writes and keyed) or name == "command", name
        assert "env" not in job
    assert "env" not in EXAMPLE


def test_what_the_reusable_workflow_asks_for_is_what_its_page_lets_the_caller_give() -> None:
    """A called workflow that asks for more than its caller has fails before it starts, whatever its `if:` says."""
    block = re.search(r"```yaml\n(?P<text>on:\n.*?)```", (ROOT / "docs/scale.md").read_text(), re.DOTALL)
    assert block is not None
    caller = yaml.safe_load(block["text"])["jobs"]["skillgrad"]
    needed = {(name, level) for job in SHARDED["jobs"].values() for name, level in job["permissions"].items()}
    assert {pair for pair in needed if pair[1] == "write"} == set(caller["permissions"].items())
    assert {name for name, level in needed if level == "read"} <= set(caller["permissions"])
    inputs, secrets = SHARDED[True]["workflow_call"]["inputs"], SHARDED[True]["workflow_call"]["secrets"]
    assert set(caller["with"]) <= set(inputs)
    assert set(caller["secrets"]) <= set(secrets)


def test_the_reusable_workflow_gives_keys_to_steps_that_write_nothing_and_passes_no_result_by_a_matrix() -> None:
    for name, job in SHARDED["jobs"].items():
        keyed = any("OPENAI_API_KEY" in (step.get("env") or {}) for step in job["steps"])
        assert keyed == (name in ("execute", "optimize"))
        assert not (keyed and "write" in job["permissions"].values())
        assert "env" not in job
        assert not ("outputs" in job and "strategy" in job)
        assert "concurrency" not in job
    assert SHARDED["jobs"]["execute"]["strategy"]["fail-fast"] is False


def test_the_events_to_rehearse_name_the_examples_skill() -> None:
    events = {path.name: json.loads(path.read_text()) for path in ROOT.glob("examples/xlsx/.github/events/*.json")}
    assert "skill: workbook-reports" in events["labeled.json"]["issue"]["body"]
    assert (ROOT / "examples/xlsx/skills/workbook-reports/SKILL.md").is_file()
    assert all(f".github/events/{name}" in (ROOT / "docs/act.md").read_text() for name in events)


def test_no_workflow_tests_the_sandbox_where_it_cannot_start() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    testing = [
        job for job in jobs.values() if any(re.search("make test|ci/run", s.get("run", "")) for s in job["steps"])
    ]
    assert len(testing) == 2
    for job in testing:
        assert "container" not in job
        assert any(step.get("run", "").startswith("sudo ") for step in job["steps"])
