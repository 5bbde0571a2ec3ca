"""The rehearsal model: a provider of litellm that plays every agent from a script, deterministically.

`respond` is a pure function of a request in the OpenAI form: what an agent says next follows from
the messages, so resumed runs, threads and repeated runs agree. It also serves any HTTP server that
speaks that protocol. Token counts are a quarter of the characters; the prices are the script's own.
"""

import hashlib
import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from skillgrad_ci.errors import UserError
from skillgrad_ci.method.ports import PART
from skillgrad_ci.models.rehearsal import judge as rehearsal_judge
from skillgrad_ci.models.rehearsal import optimizer, other_optimizers
from skillgrad_ci.models.rehearsal.chat import next_reply
from skillgrad_ci.models.rehearsal.executor import Turn, next_turn, text_of
from skillgrad_ci.models.rehearsal.proposer import proposal_reply
from skillgrad_ci.models.rehearsal.script import Script

PROVIDER = "rehearsal"
FILE = "rehearsal.yaml"
CHARACTERS_PER_TOKEN = 4
READY = "This is a rehearsal, and it is ready."  # to a request without tools and schema, as of a check of access
_TITLE = re.compile(r'"title":\s*"(\w+Reply)"')
_ROLES: Mapping[str, Callable[[Script, str], dict[str, Any]]] = {
    "DiagnosisReply": optimizer.diagnosis_reply,
    "MomentumReply": optimizer.momentum_reply,
    "PatchReply": optimizer.patch,
    "ReflectionReply": other_optimizers.reflect,
    "MergeReply": other_optimizers.merge_reply,
    "SlowReply": other_optimizers.slow,
    "PlainReply": other_optimizers.plain,
    "JudgeReply": rehearsal_judge.judge_reply,
    "PreferenceReply": rehearsal_judge.preference_reply,
    "ProposalReply": proposal_reply,
}
_scripts: dict[str, Script] = {}
_lock = threading.Lock()


def register(path: Path) -> str:
    """`register_script` for the script at `path`. Raises UserError for one that cannot be used."""
    return register_script(Script.load(path), path.resolve().parent.name)


def register_script(script: Script, name: str) -> str:
    """Make a script a model of litellm; returns the model's name for litellm.

    It holds a digest of the script: another script is another model, also for a journal.
    """
    from skillgrad_ci.models.litellm_library import litellm

    library, model = litellm(), f"{name}-{script.digest[:8]}"
    with _lock:
        _scripts[model] = script
        if not any(entry["provider"] == PROVIDER for entry in library.custom_provider_map):
            from skillgrad_ci.models.rehearsal.provider import RehearsalProvider

            library.custom_provider_map.append(
                {"provider": PROVIDER, "custom_handler": RehearsalProvider(PROVIDER, _answer)}
            )
        library.register_model({f"{PROVIDER}/{model}": _model_facts(script)})
    return f"{PROVIDER}/{model}"


def _answer(model: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
    return respond(script_of(model), request)


def _model_facts(script: Script) -> dict[str, Any]:
    million = 1_000_000
    return {
        "litellm_provider": PROVIDER,
        "mode": "chat",
        "max_input_tokens": 200_000,
        "max_output_tokens": 8_192,
        "input_cost_per_token": script.prices.input / million,
        "cache_read_input_token_cost": script.prices.cached / million,
        "output_cost_per_token": script.prices.output / million,
        "supports_function_calling": True,
        "supports_response_schema": True,
    }


def script_of(model: str) -> Script:
    """The registered script of a model's name, with or without the provider's prefix."""
    try:
        return _scripts[model.removeprefix(f"{PROVIDER}/")]
    except KeyError:
        raise UserError(f"model {model}: no such rehearsal; write --model {PROVIDER}, with a {FILE} for it") from None


def respond(script: Script, request: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a chat completion request, both as JSON values of the OpenAI protocol."""
    messages: Sequence[Mapping[str, Any]] = request["messages"]
    tools = request.get("tools") or []
    number = sum(len(message.get("tool_calls") or ()) for message in messages) + 1
    if any(tool["function"]["name"] == "shell" for tool in tools):
        message = _message(next_turn(script, messages, tools), number)
    elif schema := _schema_name(request):
        text = json.dumps(_structured(script, schema, messages), ensure_ascii=False)
        message = {"role": "assistant", "content": text}
    elif any(message["role"] == "system" for message in messages):
        message = {"role": "assistant", "content": next_reply(script, messages)}
    else:
        message = {"role": "assistant", "content": READY}
    usage = _usage(request, message)
    fingerprint = hashlib.sha256(json.dumps([messages, message], sort_keys=True, default=str).encode()).hexdigest()
    return {
        "id": f"chatcmpl-{fingerprint[:24]}",
        "object": "chat.completion",
        "created": 0,
        "model": str(request.get("model", PROVIDER)),
        "choices": [
            {"index": 0, "message": message, "finish_reason": "tool_calls" if "tool_calls" in message else "stop"}
        ],
        "usage": usage,
    }


def _message(turn: Turn, number: int) -> dict[str, Any]:
    if not turn.tool:
        return {"role": "assistant", "content": turn.text}
    function = {"name": turn.tool, "arguments": json.dumps(turn.arguments, ensure_ascii=False)}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": f"call_{number}", "type": "function", "function": function}],
    }


def _structured(script: Script, schema: str, messages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A structured reply, by the schema's name. A repair is answered like the first request.

    It reads what a prompt is about, and no agent's own instructions.
    """
    system, user = (next((text_of(m) for m in messages if m["role"] == role), "") for role in ("system", "user"))
    prompt = "\n\n".join(filter(None, [system.rpartition(f"\n\n{PART}\n\n")[0], user]))
    if schema in _ROLES:
        return _ROLES[schema](script, prompt)
    for fixed in script.replies:
        if fixed.schema_name == schema and fixed.match.search(prompt):
            return fixed.reply
    raise UserError(f"the rehearsal script has no {schema} for this prompt: add one under replies")


def _schema_name(request: Mapping[str, Any]) -> str:
    asked = (request.get("response_format") or {}).get("json_schema") or {}
    name = (asked.get("schema") or {}).get("title") or asked.get("name")
    if name:
        return str(name)
    system = "\n".join(text_of(message) for message in request["messages"] if message["role"] == "system")
    titles = _TITLE.findall(system)
    return titles[-1] if titles else ""


def _usage(request: Mapping[str, Any], message: Mapping[str, Any]) -> dict[str, Any]:
    """Estimated tokens. Cached is what an earlier turn of the same conversation has sent already."""
    messages = request["messages"]
    fixed = _tokens([request.get("tools") or [], request.get("response_format") or {}])
    before = max((i for i, row in enumerate(messages) if row["role"] == "assistant"), default=0)
    prompt = fixed + _tokens(messages)
    completion = _tokens(message)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": fixed + _tokens(messages[:before]) if before else 0},
    }


def _tokens(value: object) -> int:
    return -(-len(json.dumps(value, ensure_ascii=False, default=str)) // CHARACTERS_PER_TOKEN)
