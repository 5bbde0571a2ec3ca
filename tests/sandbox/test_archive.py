"""Tar streams from a container are hostile."""

import io
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillgrad_ci.sandbox.archive import TooMuch, pack, unpack
from skillgrad_ci.sandbox.supervise import Limits

SMALL = Limits(disk=10_000, files=50, depth=6)
NAMES = st.sampled_from(
    ["a", "b", "a/b", "c/d/e", ".", "", "..", "../out", "/etc/x", "a/../../out", "-rf", "new\nline", "..a"]
)
KINDS = st.sampled_from(
    [
        tarfile.REGTYPE,
        tarfile.DIRTYPE,
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.FIFOTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
    ]
)


def stream(members: list[tuple[str, bytes, str, bytes]]) -> io.BytesIO:
    """A tar of (name, type, link's target, content)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w|") as tar:
        for name, kind, target, content in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.mode = kind, target, 0o6777
            member.size = len(content) if kind == tarfile.REGTYPE else 0
            tar.addfile(member, io.BytesIO(content))
    return io.BytesIO(buffer.getvalue())


@settings(deadline=None)
@given(st.lists(st.tuples(NAMES, KINDS, NAMES, st.binary(max_size=20)), max_size=12))
def test_nothing_leaves_the_folder_and_only_files_and_folders_are_made(
    members: list[tuple[str, bytes, str, bytes]],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "work"
        folder.mkdir()
        (Path(name) / "out").write_text("before")
        with suppress(OSError, tarfile.TarError):  # a file where a folder is needed: the result is emptied then
            unpack(stream(members), folder, SMALL)
        assert {path.name for path in Path(name).iterdir()} == {"work", "out"}
        assert (Path(name) / "out").read_text() == "before"
        for path in folder.rglob("*"):
            assert not path.is_symlink()
            assert path.is_file() or path.is_dir()
            assert path.stat().st_mode & 0o7000 == 0


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["a", "b", "c/d", "c/e f", "né\nw"]), st.binary(max_size=50), max_size=5))
def test_what_is_packed_comes_out_again(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name) / "source", Path(name) / "target"
        source.mkdir()
        target.mkdir()
        for path, content in files.items():
            (source / path).parent.mkdir(exist_ok=True)
            (source / path).write_bytes(content)
        (source / "link").symlink_to("/etc/passwd")
        buffer = io.BytesIO()
        pack({".": source}, buffer)
        assert unpack(io.BytesIO(buffer.getvalue()), target, SMALL) == []
        assert {p.relative_to(target).as_posix(): p.read_bytes() for p in target.rglob("*") if p.is_file()} == files


def test_hard_links_inside_become_files_of_their_own(tmp_path: Path) -> None:
    members = [("a", tarfile.REGTYPE, "", b"one"), ("b", tarfile.LNKTYPE, "a", b"")]
    assert unpack(stream(members), tmp_path, SMALL) == []
    (tmp_path / "b").write_text("two")
    assert (tmp_path / "a").read_text() == "one"


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    members = [
        ("l", tarfile.SYMTYPE, "/etc/passwd", b""),
        ("p", tarfile.FIFOTYPE, "", b""),
        ("../x", tarfile.REGTYPE, "", b""),
        ("h", tarfile.LNKTYPE, "/etc/passwd", b""),
        ("a", tarfile.REGTYPE, "", b"1"),
        ("a", tarfile.REGTYPE, "", b"2"),
    ]
    assert unpack(stream(members), tmp_path, SMALL) == [
        "'l': a symbolic link",
        "'p': no regular file",
        "'../x': a name that leads out of the folder",
        "'h': a name that leads out of the folder",
        "'a': a second file of that name",
    ]
    assert (tmp_path / "a").read_text() == "1"


@pytest.mark.parametrize(
    "members",
    [
        [("big", tarfile.REGTYPE, "", b"x" * 20_000)],
        [("a", tarfile.REGTYPE, "", b"x" * 4000), *((f"l{n}", tarfile.LNKTYPE, "a", b"") for n in range(5))],
        [(str(n), tarfile.REGTYPE, "", b"") for n in range(60)],
        [("/".join("d" * 8), tarfile.DIRTYPE, "", b"")],
        [("/".join(["é" * 120] * 5), tarfile.REGTYPE, "", b"")],
    ],
    ids=["size", "links", "count", "depth", "path"],
)
def test_too_much_is_refused(tmp_path: Path, members: list[tuple[str, bytes, str, bytes]]) -> None:
    with pytest.raises(TooMuch):
        unpack(stream(members), tmp_path, SMALL)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= SMALL.disk


def test_a_torn_stream_is_an_error(tmp_path: Path) -> None:
    whole = stream([("a", tarfile.REGTYPE, "", b"x" * 5000)]).getvalue()
    with pytest.raises((tarfile.TarError, OSError)):
        unpack(io.BytesIO(whole[:2000]), tmp_path, SMALL)
