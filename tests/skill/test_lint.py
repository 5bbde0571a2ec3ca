"""Each rule finds what it says, where it is, and nothing in a sound skill; the rules are documented."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.skill.lint import NOT_TO_BE_ADDED, RULES, Finding, estimate_tokens, lint, new_errors
from skillgrad_ci.skill.skill import MAIN, Skill
from tests.support.skills import FIELDS, skill_of

DOCS = Path(__file__).parents[2] / "docs" / "lint.md"


def found(skill: Skill) -> list[tuple[str, str, int]]:
    return [(item.rule, item.file, item.line) for item in lint(skill)]


def test_a_sound_skill_has_no_findings() -> None:
    fields = (
        f"{FIELDS}\nlicense: MIT\ncompatibility: Python 3\nmetadata: {{author: me}}\nallowed-tools: Bash(git:*) Read"
    )
    body = (
        "# Demo\n\nRead `references/a.md` when stuck.\n\n```\n# no heading\n# no heading\npython scripts/none.py\n```\n"
    )
    files: dict[str, str | bytes] = {
        "references/a.md": "# A\n",
        "assets/logo.png": b"\x89PNG\0",
        "scripts/x.py": "print()\n",
    }
    assert lint(skill_of(body, files, fields=fields)) == []


@pytest.mark.parametrize(
    ("fields", "rule", "line"),
    [
        ("description: d", "H001", 2),
        ("description: d\nname: 5", "H001", 3),
        ("description: d\nname: Demo", "H001", 3),
        ("description: d\nname: -demo", "H001", 3),
        ("description: d\nname: demo-", "H001", 3),
        ("description: d\nname: de--mo", "H001", 3),
        (f"description: d\nname: {'a' * 65}", "H001", 3),
        ('description: d\nname: "demo\\n"', "H001", 3),
        ("description: d\n'name': other", "H002", 3),
        ("name: demo", "H003", 2),
        ("name: demo\ndescription: ''", "H003", 3),
        ("name: demo\ndescription: [a]", "H003", 3),
        (f"name: demo\ndescription: {'x' * 1025}", "H003", 3),
        (f"name: demo\ndescription: {'x ' * 51}", "H004", 3),
        (f"{FIELDS}\nversion: 1", "H005", 4),
        (f"{FIELDS}\nlicense: [MIT]", "H006", 4),
        (f"{FIELDS}\nlicense: 2.0", "H011", 4),
        (f"{FIELDS}\ncompatibility: 2026-01-31", "H011", 4),
        (f"{FIELDS}\ncompatibility: ''", "H007", 4),
        (f"{FIELDS}\ncompatibility: {'x' * 501}", "H007", 4),
        (f"{FIELDS}\nmetadata: {{version: 1.0, date: 2026-01-31}}", "H011", 4),
        (f"{FIELDS}\nmetadata: {{tags: [a]}}", "H008", 4),
        ("name: demo\ndescription: on", "H003", 3),
        (f"{FIELDS}\nmetadata: text", "H008", 4),
        (f"{FIELDS}\nallowed-tools: [Bash, Read]", "H009", 4),
    ],
)
def test_the_frontmatter_follows_the_specification(fields: str, rule: str, line: int) -> None:
    assert found(skill_of(fields=fields)) == [(rule, MAIN, line)]


@pytest.mark.parametrize(
    ("body", "rule", "line"),
    [
        ("x\n" * 501, "B001", 5),
        ("word " * 4_001, "B002", 5),
        ("# A\n\nx\n\n## b\n\n## B ##\n", "B003", 11),
        (" \n\n", "B004", 5),
        ("# A\n\n```python\nx\n", "B005", 7),
        ("# A\n\n<!-- hidden\n# B\n", "B005", 7),
        ("See references/none.md.\n", "Q001", 5),
        ("\n[form](FORM.md#top)\n", "Q001", 6),
    ],
)
def test_the_body_is_for_everybody(body: str, rule: str, line: int) -> None:
    assert found(skill_of(body=body)) == [(rule, MAIN, line)]


@pytest.mark.parametrize(
    ("files", "rule", "file", "line"),
    [
        ({"references/a.md": "x"}, "Q002", "references/a.md", 1),
        ({"references/b/a.md": "x"}, "Q003", "references/b/a.md", 1),
        ({"assets/a.txt": b"\xff"}, "Q004", "assets/a.txt", 1),
        ({"scripts/a.py": b"x\0"}, "Q004", "scripts/a.py", 1),
        ({"NOTES.md": "a\n\nscripts/gone.py\n"}, "Q001", "NOTES.md", 3),
        ({"NOTES.md": "a\n\n~~~\n"}, "B005", "NOTES.md", 3),
    ],
)
def test_resources_can_be_found_and_read(files: dict[str, str | bytes], rule: str, file: str, line: int) -> None:
    body = "# Demo\n\nRead `references/b/a.md`.\n" if "references/b/a.md" in files else "# Demo\n"
    assert found(skill_of(body=body, files=files)) == [(rule, file, line)]


def test_a_patch_may_not_add_an_error_and_may_keep_old_ones() -> None:
    broken = skill_of(
        "See references/none.md\n", {"references/a.md": "x"}, fields="name: Wrong\ndescription: ''\nextra: 1"
    )
    assert new_errors(broken, broken) == []
    moved = broken.with_file(MAIN, broken.text.replace("See", "# New\n\nMore.\n\nSee"))
    assert new_errors(broken, moved) == []
    twice = broken.with_file(MAIN, f"{broken.text}\nreferences/none.md again\n")
    assert [(item.rule, item.line) for item in new_errors(broken, twice)] == [("Q001", 8)]


def test_warnings_may_be_added_but_not_those_that_make_a_file_or_the_body_useless() -> None:
    before = skill_of(body="# A\n\nRun `scripts/x.py`.\n", files={"scripts/x.py": "x"})
    longer = before.with_file(MAIN, before.text + "x\n" * 600)
    assert new_errors(before, longer) == []
    for after, rule in [
        (before.with_file("references/a.md", "x"), "Q002"),
        (before.with_file("assets/a.csv", "x"), "Q002"),
        (before.with_file(MAIN, before.text.replace("Run `scripts/x.py`.", "Run.")), "Q002"),
        (before.with_file("references/b/c.md", "x").with_file(MAIN, before.text + "`references/b/c.md`\n"), "Q003"),
        (before.with_file(MAIN, f"---\n{FIELDS}\n---\n"), "B004"),
    ]:
        assert rule in [item.rule for item in new_errors(before, after)]


@given(st.lists(st.sampled_from(["# A\n", "text\n", "```\n", "references/x.md\n", "- # b\n", "<!--\n", "-->\n"])))
def test_findings_lie_on_lines_that_exist_and_have_known_rules(lines: list[str]) -> None:
    skill = skill_of(body="".join(lines))
    for item in lint(skill):
        assert item.severity == RULES[item.rule][0]
        assert 1 <= item.line <= skill.text.count("\n") + 1
    assert new_errors(skill, skill) == []


def test_the_rules_are_documented_as_they_are() -> None:
    table = re.findall(r"^\| ([A-Z]\d+) \| (\w+) \| (.+) \|$", DOCS.read_text(), re.MULTILINE)
    assert table == [(rule, severity, text) for rule, (severity, text) in RULES.items()]
    assert {rule for rule in NOT_TO_BE_ADDED if RULES[rule][0] == "warning"} == NOT_TO_BE_ADDED
    for rule in NOT_TO_BE_ADDED:
        assert rule in DOCS.read_text().split("| rule |")[0]


def test_a_finding_names_its_severity() -> None:
    assert lint(skill_of(fields="name: other\ndescription: d")) == [
        Finding("H002", "error", MAIN, 2, "name: 'other' is not the folder's name 'demo'; make them equal")
    ]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_tokens_are_a_quarter_of_the_bytes_rounded_up(text: str) -> None:
    assert 0 <= 4 * estimate_tokens(text) - len(text.encode()) < 4
