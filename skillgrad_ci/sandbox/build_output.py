"""What a command that fails while an image is built says for itself: Docker says only that it failed."""

import re

from skillgrad_ci.sandbox.container import last_line

LINES, LENGTH = 8, 700  # npm's longest complaint, about the network, has eight lines
_STYLE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_BUILDKIT = re.compile(r"#\d+ \d+\.\d+ (.*)")  # the step's number and the seconds since its start
_CLASSIC = re.compile(r"\s*---> Running in [0-9a-f]+")
_OF_DOCKER = ("The command '", "DEPRECATED: ", "Install the buildx component", "https://docs.docker.com/")
_IDLE = re.compile(r"npm (notice|error A complete log|ERR! A complete log|warn )|[|/\\-]$")


def why(output: str) -> str:
    """The command's own last lines, in one line; Docker's last line where no command said anything.

    Both builders are read: BuildKit numbers what a command prints, the classic one prints it after the step's head.
    """
    plain = _STYLE.sub("", output)
    lines = plain.splitlines()
    numbered = [found[1] for line in lines if (found := _BUILDKIT.fullmatch(line))]
    heads = [at for at, line in enumerate(lines) if _CLASSIC.fullmatch(line)]
    own = numbered or (lines[heads[-1] + 1 :] if heads else [])
    told = [line.strip() for line in own if line.strip() and not line.strip().startswith(_OF_DOCKER)]
    told = [re.sub(r"^npm (error|ERR!) ", "", line) for line in told if not _IDLE.match(line)]
    return "; ".join(told[-LINES:])[:LENGTH] or last_line(plain)
