"""A GitHub App in place of a token: minted when needed, and again before it dies."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.bot_stage import Stage, stage


@pytest.fixture(scope="module")
def keys() -> tuple[str, str]:
    """A private key and its public one, in PEM form."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    private = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


@pytest.fixture
def bot(tmp_path: Path, keys: tuple[str, str]) -> Iterator[Stage]:
    with stage(tmp_path) as made:
        made.github.hub.app_key = keys[1]
        made.environ |= {"INPUT_TOKEN": "", "INPUT_APP_ID": "1", "INPUT_PRIVATE_KEY": keys[0]}
        yield made


def test_an_app_opens_the_pull_request_in_its_own_name(bot: Stage) -> None:
    number = bot.opened()
    assert bot.github.hub.issues[number].author == "robot[bot]"
    assert bot.github.hub.minted == ["minted-1"], "one token is enough for an hour"
    assert "GitHub starts no workflows" not in bot.github.hub.issues[number].body
    assert bot.opened() == number, "the commits are known as its own"


def test_a_token_that_is_about_to_die_is_replaced(bot: Stage) -> None:
    """A run takes longer than a token lives: what was minted before it is dead at delivery."""
    bot.github.hub.minutes_a_token_lives = 0
    bot.engine.before = lambda: bot.github.hub.tokens.clear()
    bot.opened()
    assert len(bot.github.hub.minted) > 1


def test_an_app_with_another_key_is_refused_before_anything_is_spent(bot: Stage, keys: tuple[str, str]) -> None:
    bot.github.hub.app_key = keys[1].replace("M", "N", 1)
    ended = bot.label(bot.github.hub.issue("x", "skill: writer").number)
    assert ended.code != 0
    assert bot.engine.optimized == []


def test_the_private_key_is_shown_nowhere(bot: Stage, keys: tuple[str, str]) -> None:
    line = keys[0].splitlines()[3]
    bot.engine.before = lambda: bot.github.hub.tokens.clear()
    ended = bot.label(bot.github.hub.issue(f"Use {line}", "skill: writer").number)
    assert line not in ended.log.replace(f"::add-mask::{line}", "")
    assert not any(line in str(asked.body) for asked in bot.github.asked)


@pytest.mark.parametrize("alone", ["app_id", "private_key"])
def test_half_an_app_is_named_so(tmp_path: Path, alone: str) -> None:
    with stage(tmp_path) as bot:
        ended = bot.schedule(**{alone: "1"})
        assert ended.code == 2
        assert "inputs app_id and private_key: give both, or neither" in ended.log
