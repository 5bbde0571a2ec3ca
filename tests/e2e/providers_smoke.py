"""Run inside the image: one call to every provider's protocol, answered by a server on loopback.

Parts of the model library are left out of the image. A provider that needed one of them fails here.
"""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from skillgrad_ci.method.ports import ModelRequest
from skillgrad_ci.models.provider import LitellmModel

OPENAI = {
    "id": "1", "object": "chat.completion", "created": 1, "model": "m", "service_tier": "default",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "ready"}}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}  # fmt: skip
ANTHROPIC = {
    "id": "1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "ready"}],
    "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 1},
}  # fmt: skip
GEMINI = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "ready"}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2},
}
BEDROCK = {
    "output": {"message": {"role": "assistant", "content": [{"text": "ready"}]}}, "stopReason": "end_turn",
    "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}, "metrics": {"latencyMs": 1},
}  # fmt: skip
REPLIES = {"/converse": BEDROCK, "generateContent": GEMINI, "/messages": ANTHROPIC, "/completions": OPENAI}
MODELS = (
    "openai/m", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash", "azure/m", "mistral/m",
    "deepseek/m", "openrouter/m/m", "xai/m", "together_ai/m", "bedrock/anthropic.claude-3-5-sonnet-20240620-v1:0",
)  # fmt: skip
SECRETS = {
    "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION_NAME": "eu-central-1",
    "AZURE_API_VERSION": "2024-10-21", "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    **{f"{name}_API_KEY": "k" for name in
       ("OPENAI", "ANTHROPIC", "GEMINI", "AZURE", "MISTRAL", "DEEPSEEK", "OPENROUTER", "XAI", "TOGETHERAI")},
}  # fmt: skip


class Provider(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        reply: Any = next((reply for part, reply in REPLIES.items() if part in self.path), None)
        body = json.dumps(reply or {"error": self.path}).encode()
        self.send_response(200 if reply else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # the base class names it so
        """The test reads standard output."""


def main() -> int:
    os.environ.update(SECRETS)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    failed = 0
    for name in MODELS:
        base = f"http://127.0.0.1:{server.server_port}"
        request = ModelRequest([{"role": "user", "content": "Reply with the word ready."}], max_tokens=16)
        try:
            said = LitellmModel(name, api_base=base).complete(request).text
        except Exception as error:  # noqa: BLE001  # every provider is tried
            said = f"{type(error).__name__}: {error}"
        failed += said != "ready"
        sys.stdout.write(f"{name}: {said[:300]}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
