"""What a command says at its end keeps its words whole."""

import pytest

from skillgrad_ci.commands.terminal import say_table, say_text

HEADERS = ["edit", "layer", "file", "patterns", "why"]
EDIT = ["E8", "Q", "references/accounting-exports.md", "heading-below-a-long-title", "Credits are read as debits. " * 5]


@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_no_table_breaks_a_path_or_a_name(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skillgrad_ci.commands.terminal.WIDTH", width)
    say_table(HEADERS, [EDIT])
    said = capsys.readouterr().out
    assert all(cell in said for cell in EDIT[:-1])
    assert sorted(word for word in said.split() if word in EDIT[-1].split()) == sorted(EDIT[-1].split())
    assert max(map(len, said.splitlines())) <= width


def test_a_table_without_rows_or_texts_is_its_headers(capsys: pytest.CaptureFixture[str]) -> None:
    say_table(["task", "why"], [])
    assert capsys.readouterr().out.split()[:2] == ["task", "why"]
    say_table(["", ""], [["", ""]])


@pytest.mark.parametrize("columns", ["60", "0", "wide"])
def test_columns_are_honoured_in_a_pipe(
    columns: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    say_table(HEADERS, [EDIT])
    widest = max(map(len, capfd.readouterr().out.splitlines()))
    assert widest <= 60 if columns == "60" else 100 < widest <= 160


def test_a_table_that_just_fits_breaks_no_word_of_a_header(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = ["", "accuracy", "95% interval", "passed", "unmeasured", "tokens per task", "cost per task", "turns"]
    row = ["with skill", "not measured", "0.0% to 13.8%", "0 of 24", 0, "12,220", "$0.0004", "30.0"]
    monkeypatch.setenv("COLUMNS", "80")
    say_table(headers, [row])
    said = capsys.readouterr().out
    wanted = sorted(word for cell in [*headers, *map(str, row)] for word in cell.split())
    assert sorted(word for word in said.split() if "─" not in word) == wanted
    assert max(map(len, said.splitlines())) <= 80


def test_a_sentence_is_broken_between_words_and_a_pipe_gets_it_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    remark = "  The suite is too small to tell a change of this size: budget.tokens, " + "x-y " * 20 + "/" + "p" * 90
    monkeypatch.delenv("COLUMNS", raising=False)
    say_text("", remark)
    assert capsys.readouterr().out == f"\n{remark}\n"
    monkeypatch.setenv("COLUMNS", "80")
    say_text(remark)
    said = capsys.readouterr().out
    assert said.split() == remark.split(), "no word is broken, a path neither"
    assert all(line.startswith("  ") for line in said.splitlines())
    assert max(map(len, said.splitlines()[:-1])) <= 80 < len(said.splitlines()[-1])
    assert said.count("\n") == 3
