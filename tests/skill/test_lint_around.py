"""What a pointer may lead to beside the skill, what is not a pointer, what a host allows, and how much work lint is."""

import subprocess
from pathlib import Path
from typing import get_args

import pytest

from skillgrad_ci.errors import UserError
from skillgrad_ci.skill import markdown
from skillgrad_ci.skill.hosts import HOSTS, HostName, problems
from skillgrad_ci.skill.lint import lint, new_errors
from skillgrad_ci.skill.skill import MAIN, Skill
from skillgrad_ci.skill.surroundings import Surroundings
from skillgrad_ci.suites.kept_out import kept_out
from tests.support.skills import FIELDS, skill_of

HEAD = "---\nname: demo\ndescription: Sorts.\n---\n"


def lay(top: Path, **files: str) -> Path:
    for name, content in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(content)
    return top


def rules(skill: Path) -> list[str]:
    leave_out = kept_out(skill)
    found = lint(Skill.load(skill, leave_out, stray=True), Surroundings(skill, leave_out))
    return [item.rule for item in found if item.rule not in {"Q002", "Q003"}]


def of(body: str, **files: str) -> list[str]:
    return [item.rule for item in lint(skill_of(body, files)) if item.rule not in {"Q002", "Q003"}]


def test_a_link_is_read_from_its_own_file_first_and_then_from_the_skill() -> None:
    deep = {"references/a/GUIDE.md": "[x](references/b.md) [y](c.md)", "references/a/references/b.md": "", "c.md": ""}
    assert of("[g](references/a/GUIDE.md)", **deep) == []
    assert of("[g](references/a/GUIDE.md)", **{**deep, "c.md": "", "references/a/GUIDE.md": "[z](d.md)"}) == ["Q001"]


@pytest.mark.parametrize(
    "text",
    [
        "[run]({baseDir}/scripts/x.py)", "[a](references/{topic}.md)", "`scripts/your-script.py`", "[x](path/to/f.md)",
        "scripts/assets/references hold the rest", "keep references/etc apart", "`scripts/deploy` of the project",
        "[site](example.com/page.html)", "[www](www.example.org)", "[t](%SKILL_DIR%/a.md)", "[f](foo/bar.md)",
        "```\n[x](none.md)\nscripts/none.py\n```", "`[x](none.md)`",
    ],
)  # fmt: skip
def test_placeholders_and_prose_are_no_findings(text: str) -> None:
    assert of(f"# A\n\n{text}\n") == []


@pytest.mark.parametrize(
    "text", ["[x](none.md)", "Read `references/none.md`.", "[x](../none/none.md)", "scripts/none.py"]
)
def test_a_file_that_is_nowhere_is_an_error(tmp_path: Path, text: str) -> None:
    assert rules(lay(tmp_path / "demo", **{MAIN: f"{HEAD}{text}\n"})) == ["Q001"]


def test_templates_point_to_where_they_are_copied() -> None:
    assert of("# A\n\nFill `assets/t.md`.\n", **{"assets/t.md": "[logo](logo.png)"}) == []
    assert of("# A\n\nFill `other/t.md`.\n", **{"other/t.md": "[logo](logo.png)"}) == ["Q001"]


def test_what_lies_beside_the_skill_is_a_warning_of_its_own(tmp_path: Path) -> None:
    lay(tmp_path, **{"skills/demo/SKILL.md": f"{HEAD}[b](../b/SKILL.md) [r](../../README.md)\n"})
    lay(tmp_path, **{"skills/b/SKILL.md": HEAD, "README.md": "x"})
    assert rules(tmp_path / "skills/demo") == ["Q005", "Q005"]
    subprocess.run(["git", "init", "-q"], cwd=tmp_path / "skills", check=True)
    assert rules(tmp_path / "skills/demo") == ["Q001", "Q005"]  # the README lies outside of the repository now


def test_what_git_does_not_track_and_what_is_left_out(tmp_path: Path) -> None:
    body = "[d](drafts/a.md) [e](evals/README.md) [g](graders/check.md) [s](benchmarks/tasks.yaml)\n"
    suite = "version: 1\ntasks: [{id: a, instruction: b, grader: {type: text, exact: c}}]\n"
    skill = lay(tmp_path / "demo", **{
        MAIN: HEAD + body, "evals/README.md": "x", "benchmarks/tasks.yaml": suite, "graders/check.md": "x",
        "eval.yaml": "tasks: [{name: a, instruction: b, graders: [{type: llm_rubric, rubric: graders/check.md}]}]",
    })  # fmt: skip
    subprocess.run("git init -q && git add -A", shell=True, cwd=tmp_path, check=True)
    lay(skill, **{"drafts/a.md": "x"})
    assert rules(skill) == ["Q006"]


def test_a_stray_link_is_a_finding(tmp_path: Path) -> None:
    skill = lay(tmp_path / "demo", **{MAIN: HEAD + "# A\n"})
    (skill / "out").symlink_to("/etc")
    assert rules(skill) == ["Q007"]


def test_a_host_adds_fields_and_limits() -> None:
    def found(fields: str, *hosts: str) -> list[str]:
        return [item.rule for item in lint(skill_of(fields=fields), hosts=hosts)]

    assert found(f"{FIELDS}\nmodel: large") == ["H005"]
    assert found(f"{FIELDS}\nmodel: large", "codex") == ["H005"]
    assert found(f"{FIELDS}\nmodel: large\nargument-hint: [file]\nallowed-tools: [Read]", "codex", "claude-code") == []
    assert found(f"{FIELDS}\nuser-invocable: 'no'", "claude-code") == ["H012"]
    assert found("name: demo\ndescription: Reads <b>tags</b>.", "claude-api") == ["H012"]
    assert found("name: demo\ndescription: Reads <b>tags</b>.", "claude-code") == []


@pytest.mark.parametrize(
    ("host", "fields", "said"),
    [
        ("claude-api", {"name": "my-Claude-skill"}, ("name", "claude-api refuses names with 'claude'; choose another")),
        ("claude-code", {"model": 5}, ("model", "claude-code expects a text, got '5'")),
        ("cursor", {"disable-model-invocation": "yes"},
         ("disable-model-invocation", "cursor expects true or false, got 'yes'")),
        ("claude-api", {"description": "Use <b> and </b>."},
         ("description", "claude-api refuses descriptions with XML tags; take < and > out")),
    ],
)  # fmt: skip
def test_a_host_says_what_it_expects_of_a_field(host: str, fields: dict[str, object], said: tuple[str, str]) -> None:
    assert problems(host, fields) == [said]


@pytest.mark.parametrize("host", sorted(HOSTS))
def test_a_host_asks_nothing_of_what_is_not_there(host: str) -> None:
    assert problems(host, {}) == []


def test_the_hosts_that_a_configuration_may_name_are_those_that_are_known() -> None:
    assert get_args(HostName) == tuple(HOSTS)


def test_a_name_in_other_letters_is_a_warning() -> None:
    for name, expected in {"données": ["H010"], "данные-2": ["H010"], "Données": ["H001"], "a_b": ["H001"]}.items():
        skill = skill_of(fields=f"name: {name}\ndescription: d")
        rules = [item.rule for item in lint(Skill(name, skill.files))]
        assert rules == expected
    composed, decomposed = "donn\u00e9es", "donne\u0301es"
    skill = skill_of(fields=f"name: {composed}\ndescription: d")
    assert [item.rule for item in lint(Skill(decomposed, skill.files))] == ["H010"]


@pytest.mark.parametrize(
    ("fields", "remedy"),
    [
        ("description: Use it for: sums.", "put the description in quotes"),
        ("description: Adds.\n  Use it for: sums.", "put the description in quotes"),
        ("description: @mention people", "put the description in quotes"),
        ("description: `code` first", "put the description in quotes"),
        ("description: [a, b", "put the description in quotes"),
        ('description: "Sum" of all', "put the whole description in one pair of quotes"),
        ("metadata:\n\ta: b", "indent with spaces instead of tabs"),
    ],
)
def test_what_yaml_cannot_read_is_told_with_its_remedy(fields: str, remedy: str) -> None:
    with pytest.raises(UserError, match=remedy):
        _ = skill_of(fields=f"name: demo\n{fields}").metadata


def test_yaml_s_own_words_are_told_as_what_they_are() -> None:
    [finding] = lint(skill_of(fields="name: demo\ndescription: on"))
    assert finding.message == "description: YAML reads it as true or false (true); put it in quotes"
    [finding] = lint(skill_of(fields="name: 2048\ndescription: d"))
    assert "YAML reads it as a number (2048); put it in quotes" in finding.message


def test_seven_hundred_files_are_parsed_once_at_most_where_a_look_leaves_a_question(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parsed: list[int] = []
    outline = markdown.outline.__wrapped__

    def counting(text: str) -> markdown.Outline:
        parsed.append(len(text))
        return outline(text)

    for module in ("lint", "lint_files", "pointers"):
        monkeypatch.setattr(f"skillgrad_ci.skill.{module}.outline", counting)
    chapter = (
        "# {n}\n\nSee [next](c{m}.md).\n\n```python\nrun()\n```\n\n<!-- seen -->\n" + "Words and more words.\n" * 200
    )
    files = {f"references/c{n}.md": chapter.format(n=n, m=(n + 1) % 700) for n in range(700)}
    body = "# All\n\n" + " ".join(f"`{name}`" for name in files)
    skill = skill_of(body, files)
    assert lint(skill) == []
    assert len(parsed) == 1  # SKILL.md, for its headings
    after = skill.with_file("references/c1.md", files["references/c1.md"] + "\n[gone](gone.md)\n")
    assert [item.rule for item in new_errors(skill, after)] == ["Q001"]
    assert len(parsed) <= 6
