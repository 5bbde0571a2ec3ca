"""The rehearsal as litellm sees it: a custom provider. Imported with litellm, at the first model call."""

from collections.abc import Callable, Mapping
from typing import Any

import litellm
from litellm.exceptions import NotFoundError
from litellm.llms.custom_llm import CustomLLM

from skillgrad_ci.errors import UserError


class RehearsalProvider(CustomLLM):
    """Answers litellm's completions. `answer` gives a reply to a request of a model, both in the OpenAI form."""

    def __init__(self, name: str, answer: Callable[[str, Mapping[str, Any]], Mapping[str, Any]]) -> None:
        super().__init__()
        self._name, self._answer = name, answer

    def completion(self, *_: Any, **kwargs: Any) -> litellm.ModelResponse:
        """litellm passes everything by name. What the script does not hold is "not found": a person must add it."""
        model = str(kwargs["model"])
        request = {"model": f"{self._name}/{model}", "messages": kwargs["messages"], **kwargs["optional_params"]}
        try:
            return litellm.ModelResponse(**self._answer(model, request))
        except UserError as error:
            raise NotFoundError(str(error), model, self._name) from None
