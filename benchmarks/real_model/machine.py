"""The model's packages in an environment of their own, and its server on loopback with the server's own count."""

import re
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOCK = HERE / "requirements.lock"
INSTALL_SECONDS = 900
START_SECONDS = 300
_COUNTED = re.compile(r"^llamacpp:(prompt_tokens|prompt_tokens_cached|tokens_predicted)_total (\d+)", re.MULTILINE)


class Unavailable(Exception):
    """The packages cannot be installed here."""


@dataclass(frozen=True)
class Count:
    """Tokens, as one side counts them."""

    prompt: int
    completion: int

    def __sub__(self, other: "Count") -> "Count":
        return Count(self.prompt - other.prompt, self.completion - other.completion)


@dataclass(frozen=True)
class Server:
    """The model's server; `url` without `/v1`."""

    url: str

    def count(self) -> Count:
        """All tokens since its start, those that its cache spared included."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=60) as answer:
            found = {name: int(number) for name, number in _COUNTED.findall(answer.read().decode())}
        return Count(found["prompt_tokens"] + found["prompt_tokens_cached"], found["tokens_predicted"])


def installed(environment: Path) -> Path:
    """The Python of an environment that holds the pinned packages. Raises Unavailable."""
    python, stamp = environment / "bin" / "python", environment / "installed"
    if stamp.is_file() and stamp.read_bytes() == LOCK.read_bytes():
        return python
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
    for command in ([sys.executable, "-m", "venv", environment], [*pip, "--only-binary", ":all:", "-r", LOCK]):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise Unavailable(f"not installed within {INSTALL_SECONDS} s") from None
        if done.returncode != 0:
            raise Unavailable((done.stderr.strip().splitlines() or ["no reason was given"])[-1])
    stamp.write_bytes(LOCK.read_bytes())
    return python


@contextmanager
def served(python: Path) -> Iterator[Server]:
    """The server, from when it answers until the end of the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [python, HERE / "serve.py", port], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            if not url:
                log.seek(0)
                sys.exit(f"the model's server did not start: {log.read().decode('utf-8', 'replace')[-500:]}")
            yield Server(url)
        finally:
            process.stdin.close()
            process.wait(START_SECONDS)
