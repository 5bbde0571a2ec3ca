"""What counts as a pointer from one file of a skill to another, and what does not."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.skill.pointers import mentions, pointers


def paths(text: str, folder: str = "") -> list[str]:
    return [pointer.path for pointer in pointers(text, folder)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Read `references/a.md` when stuck. Skip when not.", ["references/a.md"]),
        (
            "Read references/a.md. Then ./scripts/b.py, and (assets/c-d.csv)!",
            ["references/a.md", "scripts/b.py", "assets/c-d.csv"],
        ),
        (
            "[a](references/a.md#part) and [b](<FORMS.md>) ![c](img/c%20d.png)",
            ["references/a.md", "FORMS.md", "img/c d.png"],
        ),
        ("[a](references/a.md), references/a.md", ["references/a.md"]),
        ("[up](../other/x.md)", ["../other/x.md"]),
        ("see references/ for more", []),
        ("`references/<topic>.md`, references/*.md, references/{n}.md, references/x-$N.md", []),
        ("https://example.org/references/a.md [web](https://example.org/x.md) [top](#a) [root](/a.md)", []),
        ("write links as `[text](file.md)`", []),
        ("[text](url)", []),
        ("my-references/a.md and data/references/b.md", []),
    ],
)
def test_paths_and_relative_links_are_pointers(text: str, expected: list[str]) -> None:
    assert paths(text) == expected


def test_links_are_relative_to_their_file_and_paths_to_the_skill() -> None:
    assert paths("[a](a.md) [b](../b.md) [c](references/c.md)", "references") == [
        "references/references/c.md",
        "references/a.md",
        "b.md",
    ]
    [last] = list(pointers("[c](references/c.md)", "references"))
    assert last.candidates == ("references/references/c.md", "references/c.md")


def test_code_blocks_are_told_apart() -> None:
    text = "x\n\n```\npython scripts/a.py [x](y.md)\n```\n\nscripts/b.py\n"
    assert [(p.path, p.line, p.in_code) for p in pointers(text)] == [
        ("scripts/a.py", 3, True),
        ("scripts/b.py", 6, False),
    ]


def test_a_file_is_mentioned_by_its_whole_path() -> None:
    assert mentions("run ${ROOT}/scripts/a.py now", "scripts/a.py")
    assert mentions("(references/a.md).", "references/a.md")
    for other in ("references/a.md.bak", "references/a.mdx", "xreferences/a.md", "references/b-a.md"):
        assert not mentions(other, "references/a.md")


def test_a_line_of_backticks_is_read_in_no_time() -> None:
    line = "".join("`" * length + "a" for length in range(1, 190)) + "[b](b.md)"
    start = time.thread_time()
    assert paths(line) == ["b.md"]
    assert time.thread_time() - start < 1


@given(st.text("a.-/ é", max_size=12), st.text("a./-", min_size=1, max_size=3))
def test_a_path_is_named_where_it_is_no_part_of_a_longer_name(text: str, path: str) -> None:
    pattern = rf"(?<![\w.-]){re.escape(path)}(?![\w-]|\.\w)"
    assert mentions(text, path) is (re.search(pattern, text) is not None)
