"""A folder that commands wrote to is safe to read afterwards."""

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skillgrad_ci.sandbox.supervise import Limits
from skillgrad_ci.sandbox.work_folder import DiskUse, discard, excess, sanitize, scarce, usage

SMALL = Limits(disk=10_000, files=20, depth=5)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    (tmp_path / "outside.txt").write_text("secret")
    return tmp_path / "work"


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_only_regular_files_and_folders_stay(work: Path) -> None:
    (work / "a").mkdir()
    (work / "a" / "result.txt").write_text("42")
    (work / "out").symlink_to(work.parent / "outside.txt")
    (work / "inside").symlink_to("a/result.txt")
    (work / "all").symlink_to("/")
    os.mkfifo(work / "a" / "pipe")
    with socket.socket(socket.AF_UNIX) as ear:
        ear.bind(os.path.relpath(work / "sock"))
    removed = sanitize(work)
    assert names(work) == {"a", "a/result.txt"}
    assert sorted(removed) == [
        "'a/pipe': a pipe",
        "'all': a symbolic link",
        "'inside': a symbolic link",
        "'out': a symbolic link",
        "'sock': a socket",
    ]
    assert (work.parent / "outside.txt").read_text() == "secret"


def test_locked_folders_are_opened_and_special_bits_cleared(work: Path) -> None:
    (work / "a" / "b").mkdir(parents=True)
    (work / "a" / "b" / "tool").write_text("x")
    (work / "a" / "b" / "tool").chmod(0o6755)
    (work / "a" / "b").chmod(0)
    (work / "a").chmod(0)
    assert sanitize(work) == []
    assert (work / "a" / "b" / "tool").stat().st_mode & 0o7000 == 0
    assert (work / "a" / "b" / "tool").read_text() == "x"


@pytest.mark.parametrize("what", ["size", "sparse", "count", "deep", "very deep", "long", "very long"])
def test_a_folder_past_the_limits_is_emptied(work: Path, what: str) -> None:
    if what == "size":
        (work / "big").write_bytes(b"x" * 20_000)
    elif what == "sparse":
        os.truncate(os.open(work / "sparse", os.O_CREAT | os.O_WRONLY), 1 << 40)
    elif what == "count":
        for number in range(30):
            (work / str(number)).touch()
    else:
        here = os.open(work, os.O_RDONLY)
        name = "d" * (250 if "long" in what else 1)
        for _ in range({"deep": 8, "very deep": 3000, "long": 5, "very long": 40}[what]):
            os.mkdir(name, dir_fd=here)
            below = os.open(name, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        os.close(here)
    [line] = sanitize(work, replace(SMALL, depth=99) if "long" in what else SMALL)
    assert line.startswith("everything: ")
    assert names(work) == set()


def test_a_folder_that_was_replaced_by_a_link_is_a_folder_again(work: Path) -> None:
    work.rmdir()
    work.symlink_to(work.parent)
    sanitize(work)
    assert work.is_dir()
    assert not work.is_symlink()
    assert (work.parent / "outside.txt").read_text() == "secret"


def test_links_are_not_followed_when_counting(work: Path) -> None:
    (work / "a").write_bytes(b"x" * 100)
    (work / "loop").symlink_to(".")
    (work / "root").symlink_to("/")
    assert usage([work]).files == 3
    assert usage([work]).depth == 1


def test_a_command_that_adds_nothing_may_run_in_a_full_folder(work: Path) -> None:
    (work / "big").write_bytes(b"x" * 20_000)
    full = usage([work])
    assert excess([work], SMALL) == "its files grew past 0 MiB"
    assert excess([work], SMALL, full) == ""
    (work / "more").write_bytes(b"x" * 2_000_000)
    assert excess([work], SMALL, full) != ""


def test_a_full_disk_is_said_and_costs_no_result(work: Path) -> None:
    (work / "kept").touch()
    full = replace(SMALL, free=1 << 60)
    assert "free on the disk" in scarce(work, full)
    assert scarce(work, replace(SMALL, free=0)) == ""
    assert sanitize(work, full) == []
    assert names(work) == {"kept"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 3000)), unique_by=lambda f: f[0]))
def test_usage_counts_every_file(work: Path, files: list[tuple[str, int]]) -> None:
    discard(work)
    work.mkdir()
    for name, size in files:
        (work / name).write_bytes(b"x" * size)
    found = usage([work])
    assert found.files == len(files)
    assert found.depth == (1 if files else 0)
    assert found.size >= sum(size for _, size in files)
    assert usage([work / "missing"]) == DiskUse()
