"""One call to every provider's protocol, and one with a tool, answered by a server on loopback: here, and in the image.

Parts of the model library are left out of the image. A provider that needed one of them fails here.
"""

import json
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from skillgrad_ci.method.ports import ModelReply, ModelRequest
from skillgrad_ci.models.provider import LitellmModel

PARAMETERS = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
SHELL = {"type": "function", "function": {"name": "shell", "description": "Run it.", "parameters": PARAMETERS}}
LIST = {"command": "ls"}
FUNCTION = {"id": "call_1", "type": "function", "function": {"name": "shell", "arguments": json.dumps(LIST)}}
CLAUDES_USE = {"type": "tool_use", "id": "call_1", "name": "shell", "input": LIST}
RESPONSES_CALL = {
    "type": "function_call",
    "id": "f",
    "call_id": "call_1",
    "name": "shell",
    "arguments": json.dumps(LIST),
}


def openai(*, called: bool) -> dict[str, Any]:
    said = {"content": None, "tool_calls": [FUNCTION]} if called else {"content": "ready"}
    return {
        "id": "1", "object": "chat.completion", "created": 1, "model": "m", "service_tier": "default",
        "choices": [{"index": 0, "finish_reason": "tool_calls" if called else "stop",
                     "message": {"role": "assistant", **said}}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8},
    }  # fmt: skip


def responses(*, called: bool) -> dict[str, Any]:
    words = {"type": "output_text", "text": "ready", "annotations": []}
    said = {"type": "message", "id": "m", "status": "completed", "role": "assistant", "content": [words]}
    return {
        "id": "1", "object": "response", "created_at": 1, "status": "completed", "model": "m",
        "output": [RESPONSES_CALL if called else said], "tools": [], "tool_choice": "auto", "parallel_tool_calls": True,
        "usage": {"input_tokens": 7, "output_tokens": 1, "total_tokens": 8},
    }  # fmt: skip


def anthropic(*, called: bool) -> dict[str, Any]:
    return {
        "id": "1", "type": "message", "role": "assistant", "model": "m",
        "content": [CLAUDES_USE if called else {"type": "text", "text": "ready"}],
        "stop_reason": "tool_use" if called else "end_turn", "usage": {"input_tokens": 7, "output_tokens": 1},
    }  # fmt: skip


def gemini(*, called: bool) -> dict[str, Any]:
    part = {"functionCall": {"name": "shell", "args": LIST}} if called else {"text": "ready"}
    return {
        "candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 1, "totalTokenCount": 8},
    }


def bedrock(*, called: bool) -> dict[str, Any]:
    use = {"toolUse": {"toolUseId": "call_1", "name": "shell", "input": LIST}}
    return {
        "output": {"message": {"role": "assistant", "content": [use if called else {"text": "ready"}]}},
        "stopReason": "tool_use" if called else "end_turn", "metrics": {"latencyMs": 1},
        "usage": {"inputTokens": 7, "outputTokens": 1, "totalTokens": 8},
    }  # fmt: skip


def cohere(*, called: bool) -> dict[str, Any]:
    said = {"tool_calls": [FUNCTION]} if called else {"content": [{"type": "text", "text": "ready"}]}
    return {
        "id": "1", "finish_reason": "TOOL_CALL" if called else "COMPLETE", "message": {"role": "assistant", **said},
        "usage": {"tokens": {"input_tokens": 7, "output_tokens": 1}},
    }  # fmt: skip


def ollama(*, called: bool) -> dict[str, Any]:
    said = {"content": "", "tool_calls": [{"function": {"name": "shell", "arguments": LIST}}]}
    return {
        "model": "m", "created_at": "2026-01-01T00:00:00Z", "done": True, "done_reason": "stop",
        "message": {"role": "assistant", **(said if called else {"content": "ready"})},
        "prompt_eval_count": 7, "eval_count": 1,
    }  # fmt: skip


def token(*, called: bool) -> dict[str, Any]:
    return {"access_token": "t", "expires_in": 3600, "token_type": "Bearer"}


def abilities(*, called: bool) -> dict[str, Any]:
    return {"template": "{{ .Tools }}", "capabilities": ["completion", "tools"], "model_info": {}}


FORMS = {  # by a part of the address, the first that fits
    "/api/chat": ollama, "/api/show": abilities, "/token": token, "/v2/chat": cohere, "/converse": bedrock,
    "generateContent": gemini, "rawPredict": anthropic, "/messages": anthropic, "/responses": responses,
    "/chat/completions": openai,
}  # fmt: skip
MODELS = {  # each with what its address is to end in
    "openai/m": "", "openai/gpt-5.3-codex": "/v1", "openai/o3": "", "azure/m": "", "azure/gpt-5.3-codex": "",
    "anthropic/claude-sonnet-4-5": "", "gemini/gemini-2.5-flash": "", "groq/m": "", "mistral/m": "", "deepseek/m": "",
    "openrouter/m/m": "", "xai/m": "", "together_ai/m": "", "fireworks_ai/m": "", "hosted_vllm/m": "",
    "huggingface/m/m": "/v1", "databricks/m": "", "minimax/m": "", "cohere/command-a": "/v2/chat", "ollama_chat/m": "",
    "bedrock/anthropic.claude-3-5-sonnet-20240620-v1:0": "", "vertex_ai/gemini-2.5-flash": "",
    "vertex_ai/claude-sonnet-4-5": "",
}  # fmt: skip
VARIABLES = {
    "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION_NAME": "eu-central-1",
    "AZURE_API_VERSION": "2024-10-21", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "DATABRICKS_API_KEY": "k",
    "VERTEXAI_PROJECT": "p", "VERTEXAI_LOCATION": "europe-west1", "HF_TOKEN": "k",
    **{f"{name}_API_KEY": "k" for name in
       ("OPENAI", "ANTHROPIC", "GEMINI", "AZURE", "MISTRAL", "DEEPSEEK", "OPENROUTER", "XAI", "TOGETHERAI", "GROQ",
        "FIREWORKS", "MINIMAX", "COHERE")},
}  # fmt: skip


class Provider(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        form = next((form for part, form in FORMS.items() if part in self.path), None)
        body = json.dumps(form(called=b"shell" in asked) if form else {"error": self.path}).encode()
        self.send_response(200 if form else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # the base class names it so
        """The test reads standard output."""


@contextmanager
def providers() -> Iterator[str]:
    """The address of all of them, with the keys that they want in the environment."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    before = dict(os.environ)
    with server, tempfile.TemporaryDirectory() as folder:
        account = Path(folder, "account.json")
        account.write_text(json.dumps(service_account(f"{url}/token")))
        os.environ.update(VARIABLES, GOOGLE_APPLICATION_CREDENTIALS=str(account))
        try:
            yield url
        finally:
            os.environ.clear()
            os.environ.update(before)
            server.shutdown()


def service_account(token_uri: str) -> dict[str, str]:
    """Google's file of somebody who gets tokens there."""
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(*form).decode()
    who = {"project_id": "p", "private_key_id": "k", "client_email": "somebody@p.iam.gserviceaccount.com"}
    return {"type": "service_account", "private_key": key, "token_uri": token_uri, **who}


def asked(name: str, url: str) -> list[str]:
    """What a model says to a word, and to a word with a tool; or what went wrong."""
    model = LitellmModel(name, api_base=url + MODELS[name], retries=0)
    heard = []
    for tools in ([], [SHELL]):
        request = ModelRequest([{"role": "user", "content": "Reply with the word ready."}], tools, max_tokens=16)
        try:
            heard.append(in_short(model.complete(request)))
        except Exception as error:  # noqa: BLE001  # every provider is tried
            heard.append(f"{type(error).__name__}: {error}"[:300])
    return heard


def in_short(reply: ModelReply) -> str:
    calls = [f"{call.name} {json.loads(call.arguments)['command']}" for call in reply.tool_calls]
    return f"{reply.text}{''.join(calls)} for {reply.usage.prompt_tokens}"


EXPECTED = ["ready for 7", "shell ls for 7"]


def main() -> int:
    failed = 0
    with providers() as url:
        for name in MODELS:
            heard = asked(name, url)
            failed += heard != EXPECTED
            sys.stdout.write(f"{name}: {heard}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
