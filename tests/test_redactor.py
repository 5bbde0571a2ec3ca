"""A secret given to the process is in nothing that it writes."""

import base64
import json
import re
import sys
import tracemalloc
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.commands.progress import describe
from skillgrad_ci.commands.terminal import say, say_json, say_table
from skillgrad_ci.method.events import IterationDone, Replied
from skillgrad_ci.secrets import GAP, MASK, Redactor, secrets_in

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


KEY = "sk-Proj_0123456789abcDEF"
DRESSES = {
    "upper case": KEY.upper(),
    "hex": KEY.encode().hex(),
    "hex in upper case": KEY.encode().hex().upper(),
    "hex with colons": KEY.encode().hex(":"),
    "escaped bytes": "".join(f"\\x{byte:02x}" for byte in KEY.encode()),
    "escaped characters": "".join(f"\\u{ord(character):04x}" for character in KEY),
    "every byte quoted": "".join(f"%{byte:02X}" for byte in KEY.encode()),
    "broken over lines": "\n    ".join([KEY[:9], KEY[9:17], KEY[17:]]),
    "with spaces": " ".join(KEY),
    "in two strings": f'"{KEY[:10]}" + "{KEY[10:]}"',
}


@pytest.mark.parametrize("dress", DRESSES)
def test_a_key_is_known_in_other_dress(dress: str) -> None:
    cleaned = Redactor([KEY])(f"before {DRESSES[dress]} after")
    assert "***" in cleaned
    assert re.sub(r"[\W_]", "", cleaned) == "beforeafter"


keys = st.text(st.sampled_from("abcXYZ0189-_./"), min_size=16, max_size=40).filter(lambda key: key.strip("-_./") == key)
around = st.sampled_from([b"", b"Bearer ", b"me:", b'{"key": "', b"\n"]) | st.binary(max_size=9)


@given(keys, around, around, st.sampled_from([base64.b64encode, base64.urlsafe_b64encode]))
def test_base64_hides_a_key_whatever_stands_around_it(key: str, before: bytes, after: bytes, encode: Any) -> None:
    """A character at each end may be left, which shares a few bits of the key with its neighbours."""
    inside = encode(before + key.encode() + after).decode()
    for text in (inside, "\n".join(inside[at : at + 12] for at in range(0, len(inside), 12))):
        left = re.sub(r"[*=\n]", "", Redactor([key])(text))
        assert len(left) <= len(base64.b64encode(before)) + len(base64.b64encode(after)) + 2


def test_letters_far_apart_are_no_key() -> None:
    text = (" " * (GAP + 1)).join("0123456789")
    assert Redactor(["0123456789"])(text) == text
    assert Redactor([KEY])("nothing to hide: sk, proj, 0123456789") == "nothing to hide: sk, proj, 0123456789"


BETWEEN = "".join(chr(code) for code in range(128) if not chr(code).isalnum())


@st.composite
def in_pieces(draw: st.DrawFn, secret: str) -> str:
    gaps = st.just("") | st.text(BETWEEN, max_size=GAP)
    return "".join(draw(st.sampled_from([one, one.upper()])) + draw(gaps) for one in secret)


@given(st.data())
def test_no_letter_is_left_however_secrets_are_cut_and_overlap(data: st.DataObject) -> None:
    """The second begins inside the first or behind it; between any two letters stand up to GAP others."""
    letters = st.text("abc", min_size=10, max_size=24)
    first, second = data.draw(letters), data.draw(letters)
    at = data.draw(st.integers(0, len(first)))
    second = first[at:] + second[len(first) - at :]
    parts = [first[:at], first[at:], second[len(first) - at :]]
    whole = "".join(part if data.draw(st.booleans()) else data.draw(in_pieces(part)) for part in parts)
    around = data.draw(st.text("xyz é\n", max_size=40))
    cleaned = Redactor([first, second])(f"{around}{whole}{around}")
    assert re.sub(r"[\W_]", "", cleaned) == re.sub(r"[\W_]", "", around * 2)
    assert Redactor([first, second])(cleaned) == cleaned


@pytest.mark.parametrize("inside", ["{key}", "{pieces}", "{pieces}; " * 300, "{key}, {pieces}, " * 300, "none"])
@pytest.mark.parametrize("letter", ["a", "…", "\U0001f600"])  # one, two and four bytes a character
def test_a_page_is_cleaned_in_memory_of_few_pages(inside: str, letter: str) -> None:
    line = f"The agent said that cell A1 holds 12,345.67 and wrote it down{letter}\n"
    page = line * 3_000 + inside.format(key=KEY, pieces=" ".join(KEY)) + line * 3_000
    redact = Redactor([KEY])
    redact(page)  # what is made once, whatever the page is
    tracemalloc.start()
    try:
        assert (MASK in redact(page)) == (inside != "none")
        assert tracemalloc.get_traced_memory()[1] < 3.5 * sys.getsizeof(page)
    finally:
        tracemalloc.stop()


def test_passwords_inside_addresses_are_secrets_whatever_their_variable_is_called() -> None:
    environ = {
        "HTTPS_PROXY": "http://me:p%40ss-word%21@proxy:3128",
        "DATABASE": "postgres://user:short@host/db and https://user:with@sign-inside@host",
        "PLAIN": "https://example.com:8080/a@b",
    }
    found = secrets_in(environ)
    assert set(found) == {"p%40ss-word%21", "p@ss-word!", "user:short@", "with@sign-inside"}
    redact = Redactor(found)
    assert (
        redact("407 from http://me:p%40ss-word%21@proxy:3128 for p@ss-word!.")
        == "407 from http://me:***@proxy:3128 for ***."
    )
    assert redact("postgres://user:short@host, a short word") == "postgres://***host, a short word"


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


def test_what_stands_around_a_secret_may_be_another_one() -> None:
    assert Redactor([KEY, "hunter2-hunter2"])(f"hunter2-{KEY}hunter2") == "***"


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
