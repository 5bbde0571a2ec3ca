"""What a workflow says wrongly is named with the input, or the variable, and costs nothing: nobody is asked first."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from skillgrad_ci.bot.action import action
from tests.support.bot_stage import Stage, stage

WRONG = [
    ({"step": "prefligt"}, "input step: expected preflight, execute, optimize or deliver, not 'prefligt'"),
    ({"step": "execute"}, "inputs step and shard: step: execute needs a shard"),
    ({"shard": "1/2"}, "inputs step and shard: step: execute needs a shard"),
    ({"tasks": "evals/writer"}, "input tasks: give skill with it"),
    ({"skills": "[writer, reader]"}, "input skills: expected names, or a JSON list of names, not '[writer, reader]'"),
    ({"skills": "[1]"}, "input skills: expected names, or a JSON list of names, not '[1]'"),
    ({"budget_usd": "five"}, "input budget_usd: expected a number above 0, not 'five'"),
    ({"minutes": "0"}, "input minutes: expected a number above 0, not '0'"),
    ({"budget_usd": "inf"}, "input budget_usd: expected a number above 0, not 'inf'"),
    ({"dry_run": "yes"}, "input dry_run: expected true or false, not 'yes'"),
    ({"draft": "1"}, "input draft: expected true or false, not '1'"),
    ({"iterations": "2.5"}, "input iterations: expected a whole number from 1, not '2.5'"),
    ({"shards": "0"}, "input shards: expected a whole number from 1, not '0'"),
    ({"threshold": "80%"}, "input threshold: expected a number from 0 to 1, not '80%'"),
    ({"threshold": "nan"}, "input threshold: expected a number from 0 to 1, not 'nan'"),
]


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("stage")) as made:
        yield made


@pytest.mark.parametrize(("inputs", "said"), WRONG, ids=[f"{inputs}" for inputs, _ in WRONG])
def test_an_input_that_cannot_be_read_is_named(bot: Stage, inputs: dict[str, str], said: str) -> None:
    ended = bot.run("schedule", {}, **inputs)
    assert ended.code == 2
    assert f"::error::{said.replace('%', '%25')}" in ended.log
    assert bot.github.asked == []


def acted(**environ: str) -> tuple[int, str]:
    log = io.StringIO()
    return action(dict(environ), log), log.getvalue()


def test_outside_of_a_workflow_the_guide_is_named() -> None:
    code, log = acted(INPUT_TOKEN="x")
    assert code == 2
    assert "GITHUB_EVENT_NAME: not set; this command runs inside a workflow (docs/action.md: by hand)" in log


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read as JSON ([Errno 2] No such file or directory"),
        (b"{", "cannot be read as JSON (Expecting property name"),
        (b"\xff\xfe", "cannot be read as JSON ('utf-8' codec can't decode"),
        (b"[]", "expected a JSON object, the webhook's event"),
    ],
)
def test_an_event_that_is_none_is_named(tmp_path: Path, content: bytes | None, said: str) -> None:
    event = tmp_path / "event.json"
    if content is not None:
        event.write_bytes(content)
    code, log = acted(GITHUB_EVENT_NAME="schedule", GITHUB_EVENT_PATH=str(event))
    assert code == 2
    assert f"GITHUB_EVENT_PATH: {event}: {said}" in log
