"""What a call costs: at a price that a person gave, else at litellm's, else unknown."""

from dataclasses import dataclass, replace
from typing import Any

MILLION = 1_000_000


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens. Without `cached`, cached prompt tokens cost as much as others."""

    prompt: float
    completion: float
    cached: float | None = None


@dataclass(frozen=True)
class Tokens:
    """What one call took; `prompt` counts all of it, `cached` and `written` (to the cache) are parts of it."""

    prompt: int
    completion: int
    cached: int = 0
    written: int = 0

    @property
    def apart(self) -> bool:
        """Whether cached tokens were counted beside the prompt's: as parts of it they cannot be more."""
        return self.cached + self.written > self.prompt

    def joined(self) -> "Tokens":
        """The same call with the tokens that were counted apart made part of the prompt."""
        return replace(self, prompt=self.prompt + self.cached + self.written)


def dollars(
    library: Any, model: str, tokens: Tokens, price: Price | None, service_tier: str | None = None
) -> float | None:
    """The cost of a call; None where no price is known. `library` is litellm.

    litellm's table gives many models it knows little about (whole gateways) a price of zero. That is
    taken as unknown: what is really free can be said with a price of 0. Counts that contradict each other
    are read so that no call costs less than nothing: the cap would never come.
    """
    tokens = tokens.joined() if tokens.apart else tokens
    if price is not None:
        cached = price.prompt if price.cached is None else price.cached
        prompt = (tokens.prompt - tokens.cached) * price.prompt + tokens.cached * cached
        return (prompt + tokens.completion * price.completion) / MILLION
    try:
        facts = library.get_model_info(model)
        if not facts.get("input_cost_per_token") and not facts.get("output_cost_per_token"):
            return None
        usage = _usage(library, tokens)
        return float(sum(library.cost_per_token(model=model, usage_object=usage, service_tier=service_tier)))
    except library.exceptions.ModelNotMappedError:
        return None


def _usage(library: Any, tokens: Tokens) -> Any:
    details = {"cached_tokens": tokens.cached, "cache_creation_tokens": tokens.written}
    return library.Usage(
        prompt_tokens=tokens.prompt,
        completion_tokens=tokens.completion,
        total_tokens=tokens.prompt + tokens.completion,
        prompt_tokens_details=details,
    )
