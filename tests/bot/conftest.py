"""The stage that the bot's tests play on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bot_stage import Stage, stage


@pytest.fixture
def bot(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as made:
        yield made
