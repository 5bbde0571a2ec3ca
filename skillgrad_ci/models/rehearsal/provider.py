"""The rehearsal as litellm sees it: a custom provider. Imported with litellm, at the first model call."""

from typing import Any

import litellm
from litellm.exceptions import NotFoundError
from litellm.llms.custom_llm import CustomLLM

from skillgrad_ci.errors import UserError
from skillgrad_ci.models.rehearsal.register import PROVIDER, respond, script_of


class RehearsalProvider(CustomLLM):
    """Answers litellm's completions from the registered script of the model that is asked for."""

    def completion(self, *_: Any, **kwargs: Any) -> litellm.ModelResponse:
        """litellm passes everything by name. What the script does not hold is "not found": a person must add it."""
        model = str(kwargs["model"])
        request = {"model": f"{PROVIDER}/{model}", "messages": kwargs["messages"], **kwargs["optional_params"]}
        try:
            return litellm.ModelResponse(**respond(script_of(model), request))
        except UserError as error:
            raise NotFoundError(str(error), model, PROVIDER) from None
