"""A secret given to the process is in nothing that it writes."""

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.commands.progress import describe
from skillgrad_ci.commands.terminal import say, say_json, say_table
from skillgrad_ci.method.events import IterationDone, Replied
from skillgrad_ci.secrets import Redactor

secrets = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Z"]), min_size=8, max_size=40)


@given(st.lists(secrets.filter(lambda s: s != "********"), min_size=1, max_size=3), st.data())
def test_no_form_of_a_secret_is_left(values: list[str], data: st.DataObject) -> None:
    forms = [f(value) for value in values for f in (str, lambda v: quote(v, safe=""), encoded, in_json)]
    text = "".join(data.draw(st.lists(st.sampled_from([*forms, " ", "\n"]))))
    cleaned = Redactor(values)(text)
    assert not [value for value in values if value in cleaned or json.dumps(value)[1:-1] in cleaned]


def in_json(value: str) -> str:
    return json.dumps(value)[1:-1]


def encoded(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def test_names_choose_what_is_secret() -> None:
    environ = {
        "OPENAI_API_KEY": "sk-aaaaaaaaaa",
        "AWS_SECRET_ACCESS_KEY": "bbbbbbbbbb",
        "INPUT_GITHUB_TOKEN": "cccccccccc",
        "GITHUB_REPOSITORY": "owner/repository",
        "MONKEYS": "dddddddddd",
        "GITHUB_PAT": "eeeeeeeeee",
        "HTTPS_PROXY": "http://name:ffffffffff@proxy:1",
        "X_TOKEN": "true",
    }
    redact = Redactor.from_environment(environ)
    text = " ".join(environ.values())
    assert redact(text) == "*** *** *** owner/repository dddddddddd *** http://name:***@proxy:1 true"


def test_a_longer_secret_is_not_cut_open_by_a_shorter_one() -> None:
    assert Redactor(["12345678", "1234567890"])("1234567890") == "***"


def test_every_line_of_a_secret_is_one() -> None:
    assert Redactor(["-----BEGIN\nabcdefghij\n"])("x abcdefghij") == "x ***"


def test_json_values_are_cleaned_through_and_through() -> None:
    value: Any = {"hunter2-hunter2": ["a hunter2-hunter2", {"n": 1, "t": ("hunter2-hunter2",)}], "x": None}
    assert "hunter2" not in json.dumps(Redactor(["hunter2-hunter2"]).clean(value))
    assert Redactor().clean("as it was") == "as it was"


def test_what_is_shown_is_redacted_as_what_is_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key := 'sk-a_b"c_0123456789')
    say(f"refused: {key}")
    say_json({"verdict": f"refused: {key}"})
    say_table(["why"], [[f"refused: {key}"]])
    shown = [describe(IterationDone(1, f"no patch: {key}"))]
    shown.append(describe(Replied("patcher", json.dumps({"why": key})), verbose=True))
    assert "0123456789" not in f"{capsys.readouterr().out} {shown}"
