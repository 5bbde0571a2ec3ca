"""An image with a foreign agent in it: a base with one more layer, made once and kept under its content's name."""

import hashlib
import json
from collections.abc import Callable

from skillgrad_ci.errors import EnvironmentFailure, UserError
from skillgrad_ci.sandbox.build_output import why
from skillgrad_ci.sandbox.container import docker, fetched

BUILD = 1800.0  # seconds: an agent is a few hundred megabytes
ASK = 30.0  # seconds: whether a registry has an image
NAME = "skillgrad-agent"


def agent_image(base: str, install: str, tell: Callable[[str], None], *, network: str = "default") -> str:
    """The name of the image `base` in which the shell line `install` was run. Raises UserError where it fails.

    The name is a digest of both, so another version of the agent, or of the base, is another image.
    """
    name = _name(fetched(base), install)
    try:
        docker(["image", "inspect", "--format", "{{.Id}}", name])
        return name
    except EnvironmentFailure:
        tell(f"sandbox: the image of the agent is made, once: {install} (on {base})")
    layer = f"FROM {base}\nUSER root\nRUN {json.dumps(['/bin/sh', '-c', install])}\n"
    try:
        docker(["build", "--network", network, "--tag", name, "-"], timeout=BUILD, text=layer, why=why)
    except EnvironmentFailure as failure:
        raise UserError(
            f"agent: it cannot be installed on the image {base} by {install} ({failure}); mend what it says, or give "
            "another image"
        ) from None
    return name


def _name(base: str, install: str) -> str:
    content = json.dumps([base, install])
    return f"{NAME}:{hashlib.sha256(content.encode()).hexdigest()[:16]}"


def prospect(base: str, install: str) -> tuple[bool, str]:
    """Whether the agent's image is here or can be made, as far as that is known without making it; and why."""
    try:
        known = docker(["image", "inspect", "--format", "{{.Id}}", base])
    except EnvironmentFailure:
        try:
            docker(["manifest", "inspect", base], timeout=ASK)
        except EnvironmentFailure as failure:
            return False, f"the image {base} is not here and cannot be fetched ({failure})"
        return True, f"its image is made at the first run, on {base}, which is fetched then"
    try:
        docker(["image", "inspect", "--format", "{{.Id}}", name := _name(known, install)])
    except EnvironmentFailure:
        return True, f"its image is made at the first run, on {base}, which is here"
    return True, f"its image is here: {name}"
