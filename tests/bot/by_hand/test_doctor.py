"""What `doctor` sees of a repository on GitHub by the real client: nothing is written, each lack has its remedy."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from skillgrad_ci.__main__ import main
from skillgrad_ci.bot.by_hand.doctor import on_github
from skillgrad_ci.commands.start.demo import example
from skillgrad_ci.config.config import load_config
from skillgrad_ci.session.doctor import Check
from tests.fake_github.description import description
from tests.fake_github.hub import MAIN, Token
from tests.support.bot_stage import Stage, stage

WORKFLOW = ".github/workflows/skillgrad.yml"
OWNER = Token("ann", {"administration": "read", "actions": "read", "contents": "write"})


@pytest.fixture
def bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A repository in which nothing is missing, and its owner's token."""
    description()  # where it is not here yet, it takes longer than a person's patience
    with stage(tmp_path) as made:
        file = made.checkout / WORKFLOW
        file.parent.mkdir(parents=True)
        file.write_text((example() / WORKFLOW).read_text().replace("OWNER/", "acme/"))
        settings = made.github.hub.settings
        settings.workflows[WORKFLOW] = "active"
        settings.secrets.add("OPENAI_API_KEY")
        made.github.hub.tokens["mine"] = OWNER
        monkeypatch.setenv("GITHUB_TOKEN", "mine")
        monkeypatch.setenv("GITHUB_REPOSITORY", "acme/skills")
        monkeypatch.setenv("GITHUB_API_URL", made.github.url)
        yield made
        assert made.github.writes == [], "a look writes nothing"


def seen(bot: Stage) -> dict[str, Check]:
    return {check.name: check for check in on_github(load_config(bot.checkout / ".skillgrad.yml"))}


def test_where_all_is_well_every_check_says_so(bot: Stage) -> None:
    found = seen(bot)
    assert list(found) == [
        "GitHub acme/skills",
        "label optimize-skill",
        "Actions",
        "pull requests by Actions",
        f"workflow {WORKFLOW}",
        "secret OPENAI_API_KEY",
        "branches skillgrad/*",
    ]
    assert {check.ok for check in found.values()} == {True}
    assert not any(check.remedy for check in found.values())


def setting(**values: Any) -> Callable[[Stage], None]:
    def change(bot: Stage) -> None:
        for name, value in values.items():
            setattr(bot.github.hub.settings, name, value)

    return change


def hub(**values: Any) -> Callable[[Stage], None]:
    def change(bot: Stage) -> None:
        for name, value in values.items():
            setattr(bot.github.hub, name, value)

    return change


def in_the_way(bot: Stage) -> None:
    bot.github.hub.git.refs["heads/skillgrad"] = bot.github.hub.git.refs[MAIN]


def placeholder(bot: Stage) -> None:
    (bot.checkout / WORKFLOW).write_text((example() / WORKFLOW).read_text())


SITUATIONS: list[tuple[Callable[[Stage], Any], str, bool | None, str]] = [
    (setting(labels=set()), "label optimize-skill", False, "gh label create optimize-skill"),
    (setting(issues=False), "label optimize-skill", None, "turn Issues on"),
    (setting(actions=False), "Actions", False, "Settings → Actions"),
    (setting(allowed_actions="local_only"), "Actions", False, "Actions permissions"),
    (setting(allowed_actions="selected"), "Actions", None, "skillgrad-action and actions/*"),
    (hub(actions_may_open_pulls=False), "pull requests by Actions", False, "Allow GitHub Actions to create"),
    (setting(secrets=set()), "secret OPENAI_API_KEY", False, "gh secret set OPENAI_API_KEY"),
    (setting(workflows={}), f"workflow {WORKFLOW}", None, f"commit and push {WORKFLOW}"),
    (setting(workflows={WORKFLOW: "disabled_inactivity"}), f"workflow {WORKFLOW}", False, "gh workflow enable"),
    (placeholder, f"workflow {WORKFLOW}", False, "sed -i"),
    (lambda bot: shutil.rmtree(bot.checkout / ".github"), "workflow", False, "docs/action.md"),
    (hub(restricted="heads/skillgrad/"), "branches skillgrad/*", None, "Rulesets"),
    (in_the_way, "branches skillgrad/*", False, "git push origin --delete skillgrad"),
    (hub(archived=True), "GitHub acme/skills", False, "unarchive it"),
    (hub(full_name="acme/other"), "GitHub acme/skills", False, "gh auth login"),
    (lambda bot: bot.github.hub.tokens.pop("mine"), "GitHub acme/skills", False, "gh auth token"),
]


@pytest.mark.parametrize(("change", "name", "ok", "remedy"), SITUATIONS)
def test_a_lack_has_its_remedy(
    bot: Stage, change: Callable[[Stage], Any], name: str, ok: bool | None, remedy: str
) -> None:
    change(bot)
    found = seen(bot)[name]
    assert found.ok is ok
    assert remedy in found.remedy


def test_an_organizations_secret_counts(bot: Stage) -> None:
    setting(secrets=set(), organization_secrets={"OPENAI_API_KEY"})(bot)
    assert seen(bot)["secret OPENAI_API_KEY"].ok


def test_what_a_token_may_not_see_is_said_with_the_place_to_look(bot: Stage) -> None:
    bot.github.hub.tokens["mine"] = Token("wes", {"contents": "write"})
    found = seen(bot)
    hidden = {name for name, check in found.items() if check.found == "this token may not see it"}
    assert hidden == {"Actions", "pull requests by Actions", f"workflow {WORKFLOW}", "secret OPENAI_API_KEY"}
    assert all(found[name].ok is None and found[name].remedy.startswith("look yourself: ") for name in hidden)
    assert found["label optimize-skill"].ok


def test_without_a_token_github_is_not_asked(bot: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_TOKEN")
    monkeypatch.delenv("GH_TOKEN", raising=False)
    (check,) = seen(bot).values()
    assert (check.ok, check.remedy) == (None, "export GITHUB_TOKEN=$(gh auth token)")
    assert bot.github.asked == []


def test_the_command_ends_with_what_is_missing(
    bot: Stage, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-present")
    (bot.checkout / ".skillgrad.yml").write_text(
        "skills: [{path: skills/writer, tasks: evals/writer}]\nmodels: {executor: openai/small}\nsandbox: none\n"
    )
    assert main(["doctor", str(bot.checkout)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("Nothing is missing. Next: skillgrad-ci optimize ")
    setting(labels=set(), secrets=set())(bot)
    assert main(["doctor", str(bot.checkout)]) == 2
    said = capsys.readouterr().out
    assert "MISSING secret OPENAI_API_KEY: not set, and the workflow hands it to the model\n" in said
    assert said.endswith("Missing: 2. Mend them as said above, and ask again.\n")
    assert main(["doctor", str(bot.checkout), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)[-1]["name"] == "branches skillgrad/*"
