"""Every provider's own protocol, through the real litellm, over a real socket: a text, and a tool call."""

import gc
from collections.abc import Iterator

import pytest

from skillgrad_ci.models.litellm_library import litellm
from tests.e2e.providers_smoke import EXPECTED, MODELS, asked, providers


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with providers() as url:
        yield url


@pytest.mark.parametrize("name", MODELS)
def test_a_provider_is_understood(name: str, url: str) -> None:
    assert asked(name, url) == EXPECTED


@pytest.mark.parametrize(
    "name", ["anthropic/claude-sonnet-4-5", "openai/m", "bedrock/anthropic.claude-3-5-sonnet-20240620-v1:0"]
)
def test_a_provider_is_understood_when_litellm_has_closed_its_clients(name: str, url: str) -> None:
    """It does so when they are an hour old."""
    assert asked(name, url) == EXPECTED
    litellm().in_memory_llm_clients_cache.flush_cache()
    gc.collect()
    assert asked(name, url) == EXPECTED
