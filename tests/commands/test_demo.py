"""The command `demo` starts from a folder that is its own, or from none."""

from pathlib import Path

import pytest

from skillgrad_ci.__main__ import main


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["demo", str(tmp_path)]) == 2
    assert "is no copy of the example; name another folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
