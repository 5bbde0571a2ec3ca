"""What a command says at its end keeps its words whole."""

import pytest

from skillgrad_ci.commands.terminal import say_table

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
