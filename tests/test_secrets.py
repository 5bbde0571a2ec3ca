"""A key that a provider quotes, in errors and in replies, is in nothing that a whole run writes or shows."""

import json
from pathlib import Path
from typing import Any

import pytest

from skillgrad_ci.__main__ import main
from skillgrad_ci.errors import UserError
from skillgrad_ci.models.faults import classify
from skillgrad_ci.models.provider import LitellmModel
from skillgrad_ci.models.rehearsal.register import respond
from skillgrad_ci.models.rehearsal.script import Script
from tests.support import small_repository
from tests.support.scripted_answers import Answer, Raw, Reply, error
from tests.support.scripted_server import serve

PART = "0123456789"
KEY = f'sk-a_b*c"d<e&{PART}'  # what Markdown, JSON and HTML write in another way
OPTIMIZE = ["optimize", "skills/greeter", "--sandbox", "none", "--budget-tokens", "5000000", "-v"]


def quoting(reply: dict[str, Any]) -> dict[str, Any]:
    """An agent's reply with the key in its free texts."""
    message = reply["choices"][0]["message"]
    if (message["content"] or "").startswith("{"):
        said = json.loads(message["content"])
        if "cause" in said:
            said["cause"] += f" {KEY}"
        for edit in said.get("edits", []):
            edit["why"] += f" {KEY}"
        message["content"] = json.dumps(said)
    return reply


def test_a_provider_that_quotes_the_key_does_not_spread_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = small_repository.make(tmp_path / "repository", "openai/scripted")
    script = Script.load(root / "evals/rehearsal.yaml")
    refused: list[str] = []

    def answer(request: dict[str, Any]) -> Answer:
        system = request["messages"][0]["content"]
        if "Reply with the word ready." in system:
            return Reply("ready")
        if '"title":"PatchReply"' in system and len(refused) < 2:  # what is refused is asked once more
            refused.append(system)
            return error(400, f"no such key: {KEY}")
        return Raw(body=json.dumps(quoting(respond(script, request))).encode())

    monkeypatch.chdir(root)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serve(answer) as server:
        code = main([*OPTIMIZE, "--api-base", server.url, "--out", "run"])
    shown = capsys.readouterr()
    assert code == 0, shown.err
    report = json.loads((root / "run/report.json").read_text())
    assert "no such key: ***" in report["iterations"][0]["verdict"]
    assert "***" in json.dumps(report["iterations"][1]["edits"])
    assert "no such key: ***" in shown.err
    assert not [path for path in (root / "run").rglob("*") if path.is_file() and PART in path.read_text()]
    assert PART not in shown.out + shown.err


def test_a_proxys_password_that_a_provider_quotes_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = small_repository.make(tmp_path / "repository", "openai/scripted")
    monkeypatch.chdir(root)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:hunter{PART}@proxy:3128")
    quoted = error(400, f"refused by http://me:hunter{PART}@proxy:3128 (HUNTER{PART})")
    with serve(lambda _: quoted) as server:
        code = main([*OPTIMIZE, "--api-base", server.url, "--out", "run"])
    shown = capsys.readouterr()
    assert code == 2
    assert "refused by http://me:***@proxy:3128 (***)" in shown.err
    assert PART not in shown.out + shown.err


def test_a_providers_words_are_never_cut_inside_a_key() -> None:
    said = classify(ValueError(f"{'word ' * 38}key: {KEY} is refused")).said
    assert len(said) <= 200
    assert "sk-a" not in said
    assert said.startswith("word word")


@pytest.mark.parametrize(
    "settings", [{"parameters": {"api_key": KEY}}, {"api_base": f"https://name:{PART}@example.com/v1"}]
)
def test_a_key_in_the_configuration_is_refused_and_not_repeated(settings: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="set it in the environment") as caught:
        LitellmModel("openai/x", **settings)
    assert PART not in str(caught.value)
