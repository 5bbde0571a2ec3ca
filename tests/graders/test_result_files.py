"""Files that agents left are hostile: links, pipes, sizes and bytes are met before any grader sees them."""

import os
from pathlib import Path

import pytest

from skillgrad_ci.graders.result_files import MAX_LISTED, Unusable, files_of, read_bytes, read_output
from skillgrad_ci.method.ports import Result


def refused(work: Path, name: str, bound: int = 1000) -> str:
    with pytest.raises(Unusable) as error:
        read_bytes(work, name, bound)
    return str(error.value)


def test_links_are_not_followed_anywhere_on_the_way(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "golden.txt").write_text("42")
    work = tmp_path / "work"
    work.mkdir()
    (work / "out.txt").symlink_to(secret / "golden.txt")
    (work / "dir").symlink_to(secret)
    (work / "broken").symlink_to("nowhere")
    assert "a link" in refused(work, "out.txt")
    assert "a link" in refused(work, "dir/golden.txt")
    assert "a link" in refused(work, "broken")
    assert [left.name for left in files_of(work)] == []


@pytest.mark.parametrize("name", ["/etc/passwd", "../golden.txt", "a/../../golden.txt", "a\0b"])
def test_names_that_lead_out_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "golden.txt").write_text("42")
    (tmp_path / "work" / "a").mkdir(parents=True)
    assert "not inside the work folder" in refused(tmp_path / "work", name)


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    assert "not a regular file" in refused(tmp_path, "pipe")
    assert "not a regular file" in refused(tmp_path, "folder")


def test_a_missing_file_is_told_with_what_is_there(tmp_path: Path) -> None:
    assert "holds nothing" in refused(tmp_path, "out.txt")
    (tmp_path / "Out.txt").write_text("x")
    assert "this file was not written. The work folder holds 'Out.txt'" in refused(tmp_path, "out.txt")


def test_sizes_are_bounded(tmp_path: Path) -> None:
    with (tmp_path / "big").open("wb") as file:
        file.truncate(10**12)
    assert "1,000,000,000,000 bytes, more than the 1,000" in refused(tmp_path, "big")
    (tmp_path / "fits").write_bytes(b"x" * 1000)
    assert len(read_bytes(tmp_path, "fits", 1000)) == 1000


def test_text_is_utf8_with_one_kind_of_line_end(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfa\r\nb")
    assert read_output(Result(tmp_path), "a.txt") == "a\nb"
    (tmp_path / "b.txt").write_bytes(b"ab\xff")
    with pytest.raises(Unusable, match="not UTF-8 text \\(byte 2\\)"):
        read_output(Result(tmp_path), "b.txt")
    assert read_output(Result(tmp_path, "x\r\ny"), "answer") == "x\ny"


def test_a_listing_ends(tmp_path: Path) -> None:
    for number in range(MAX_LISTED + 5):
        (tmp_path / str(number)).touch()
    assert len(list(files_of(tmp_path))) == MAX_LISTED
