"""What the commands print with `--json` is what the published schema says."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from skillgrad_ci.__main__ import main
from skillgrad_ci.session.json_documents import DOCUMENTS, output_schema
from tests.support import small_repository

OPEN = ["--sandbox", "none", "--json"]
COMMANDS = {
    "optimize": ["skills/greeter", *OPEN, "--iterations", "1"],
    "evaluate": ["skills/greeter", *OPEN, "--no-skill", "--trials", "2"],
    "blame": ["skills/greeter", "--json"],
    "compare": ["skills/greeter", *OPEN, "--optimizers", "shrink"],
    "transfer": ["skills/greeter", *OPEN, "--agents", "loop"],
    "grade": ["evals", "--outputs", "outputs", "--json"],
    "suite": ["evals", *OPEN, "--check", "--split", "--write"],
    "agree": ["evals", *OPEN, "--official", "while read -r row; do echo null; done", "--ways", "1"],
    "suite, with --triggers": ["--triggers", "skills/*", *OPEN, "--model", "rehearsal"],
    "suite, with --grow": ["evals", *OPEN, "--grow", "1", "--model", "rehearsal", "--skill", "skills/greeter"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_printed_fits_the_schema(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = small_repository.make(tmp_path / "repository")
    if "--triggers" in COMMANDS[command]:
        small_repository.add_neighbour(root)
        (root / "skills/parting/triggers.json").write_text('[{"query": "Say goodbye to Ada.", "should_trigger": true}]')
    (root / "outputs/greet-ada").mkdir(parents=True)
    monkeypatch.chdir(root)
    main([command.partition(",")[0], *COMMANDS[command]])
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    schema = output_schema()
    Draft202012Validator({"$defs": schema["$defs"], **schema["commands"][command]}).validate(printed)
    missing = set(DOCUMENTS[command].model_fields) - set(printed) - {"trials"}
    assert not missing, f"{command} leaves out {missing}"
