"""What a failed model call is called, and what its person is told to do."""

import os

from skillgrad_ci.errors import EnvironmentFailure, ReplyError, SkillGradError, UserError
from skillgrad_ci.models.faults import Fault, Kind
from skillgrad_ci.models.litellm_library import litellm


class RefusedRequest(EnvironmentFailure):
    """The provider cannot use the request as it is: asking again does not help."""


def provider_of(model: str) -> str:
    """litellm's name of a model's provider. Raises UserError where there is none."""
    library = litellm()
    try:
        return str(library.get_llm_provider(model)[1])
    except library.exceptions.BadRequestError:
        raise UserError(f"model {model!r}: no such provider; write provider/model, as openai/gpt-5.4") from None


def failure(model: str, fault: Fault, at: str | None = None) -> SkillGradError:
    """The error that a fault is raised as, once it is not waited out. `at` is the address that its person named."""
    match fault.kind:
        case Kind.NO_KEY if unset := _unset(model):  # the library's own words are about its arguments
            own = f" (to anything, where the server at {at} asks for none)" if at else ""
            return UserError(f"{model}: no key is set; set {unset}{own}")
        case Kind.KEY | Kind.NO_KEY:
            return UserError(f"{model}: no key that is accepted ({fault.said}); {_key_advice(model)}")
        case Kind.MODEL:
            wrong = f"its name, or the address {at} ({_ending(model)})" if at else "its name"
            return UserError(f"model {model!r}: the provider does not know it ({fault.said}); correct {wrong}")
        case Kind.QUOTA:
            return UserError(f"{model}: the account cannot pay for calls ({fault.said}); add credit at the provider")
        case Kind.PACKAGE:
            return UserError(f"{model}: litellm needs a further package for it ({fault.said}); install that")
        case Kind.TOO_LONG:
            return ReplyError(f"{model}: the conversation is longer than the model takes: {fault.said}")
        case Kind.REFUSED:
            return RefusedRequest(f"{model}: the provider refuses the request: {fault.said}")
        case Kind.NOBODY:
            return EnvironmentFailure(f"{model}: {fault.said}; start it there, or correct models.api_base (--api-base)")
        case Kind.LOST:
            return EnvironmentFailure(f"{model}: the reply was lost: {fault.said}; start the run again", billed=True)
        case _:
            where = (
                f" at {at}; does a server answer there?" if at else "; look at the network and the provider's status"
            )
            return EnvironmentFailure(f"{model}: {fault.said}{where}")


def _ending(model: str) -> str:
    """How an address ends that litellm is given: it adds `/v1/messages` to Anthropic's by itself."""
    return "without /v1 at its end" if provider_of(model) == "anthropic" else "it ends in /v1 mostly"


def _unset(model: str) -> str:
    """The environment variables that are missing, as far as the library knows them; of Google's file it does not."""
    if provider_of(model) == "vertex_ai" and "GOOGLE_APPLICATION_CREDENTIALS" not in os.environ:
        return "GOOGLE_APPLICATION_CREDENTIALS and VERTEXAI_PROJECT and VERTEXAI_LOCATION"
    missing = litellm().validate_environment(model)["missing_keys"]
    alternatives = all(name.endswith("API_KEY") for name in missing)  # GOOGLE_… or GEMINI_…; else an id and a secret
    return (" or " if alternatives else " and ").join(missing)


def _key_advice(model: str) -> str:
    """Which environment variable to set, or to check."""
    if unset := _unset(model):
        return f"set {unset}"
    provider = provider_of(model).upper()
    used = sorted(name for name in os.environ if name.startswith(provider) and "KEY" in name)
    return f"check {' or '.join(used) or f'{provider}_API_KEY'}"
