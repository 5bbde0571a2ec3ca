"""Run the attempts against one way: `python -m tests.redteam WAY [--network] [--weaken DEFENCE] [NAME …]` (see --help).

Prints one JSON line per attempt: {"name", "harm": [what it got], "alive": whether a plain command still
works, "seconds"}. Ends with 1 when any did harm.
"""

import argparse
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from queue import SimpleQueue

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.method.ports import Session
from skillgrad_ci.sandbox import Limits, choose
from skillgrad_ci.sandbox.choose import StoppableSandbox
from skillgrad_ci.sandbox.sandlock_sandbox import SandlockSandbox
from skillgrad_ci.sandbox.selftest import weakness
from skillgrad_ci.sandbox.supervise import MIB
from tests.redteam.attempts import ATTEMPTS, Attempt
from tests.redteam.machine import KEYS, Machine, keys_with_canary, machine

LIMITS = Limits(memory=512 * MIB, processes=64, flood=64 * MIB, disk=128 * MIB, files=2_000)


def still_works(session: Session) -> str:
    """What a plain command says after the attempt."""
    try:
        return session.run("echo alive && cat ../skill/x/SKILL.md && ../skill/x/scripts/run.sh", timeout=30).output
    except EnvironmentFailure as failure:
        return str(failure)


def run(attempt: Attempt, sandbox: StoppableSandbox, target: Machine, *, network: bool) -> dict[str, object]:
    target.reset()
    target.before = target.fingerprint()
    started = time.monotonic()
    with sandbox.open(target.workspace, network=network) as session:
        result = session.run(target.prelude() + attempt.script(), timeout=attempt.timeout)
        plain = still_works(session)
    seconds = time.monotonic() - started
    harm = target.harm(result.output)
    if seconds > attempt.timeout + 20:
        harm.append(f"it took {seconds:.0f} s, its limit was {attempt.timeout} s")
    if len(result.output) > LIMITS.output + 500:
        harm.append(f"it wrote {len(result.output)} characters of output")
    return {
        "name": attempt.name,
        "harm": harm,
        "alive": plain == "alive\nguidance\nran\n",
        "seconds": round(seconds, 2),
        "output": result.output[-600:],
        "plain": plain[-200:],
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.redteam")
    parser.add_argument("way", choices=["sandlock", "docker", "none"])
    parser.add_argument("--image")
    parser.add_argument("--network", action="store_true", help="as for a task with network: true")
    parser.add_argument("--weaken", metavar="DEFENCE", help="take a defence of sandlock away first")
    parser.add_argument("--self-test", action="store_true", help="print what the self-test says, and attempt nothing")
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("names", nargs="*")
    options = parser.parse_intermixed_args()
    if KEYS[0] not in os.environ or not os.environ[KEYS[0]].startswith("canary-"):
        os.execve(
            sys.executable, [sys.executable, "-m", "tests.redteam", *sys.argv[1:]], os.environ | keys_with_canary()
        )
    if options.weaken:
        from tests.redteam.weaken import WEAKNESSES

        WEAKNESSES[options.weaken].apply()
        sandbox: StoppableSandbox = SandlockSandbox(LIMITS)  # past the self-test, which would refuse it
    else:
        sandbox = choose(options.way, options.image, LIMITS)
    if options.self_test:
        sys.stdout.write(json.dumps({"name": "self-test", "harm": [weakness(sandbox)]}) + "\n")
        return 0
    chosen = [a for a in ATTEMPTS if a.name in options.names or not options.names]
    if options.way == "none":
        chosen = [a for a in chosen if a.open]
    with ExitStack() as stack:
        idle: SimpleQueue[Machine] = SimpleQueue()
        for _ in range(options.jobs):
            idle.put(stack.enter_context(machine()))

        def attack(attempt: Attempt) -> bool:
            target = idle.get()
            try:
                record = run(attempt, sandbox, target, network=options.network)
            finally:
                idle.put(target)
            sys.stdout.write(json.dumps(record) + "\n")
            sys.stdout.flush()
            return not record["harm"] and record["alive"] is True

        with ThreadPoolExecutor(options.jobs) as pool:
            return 0 if all(list(pool.map(attack, chosen))) else 1


if __name__ == "__main__":
    sys.exit(main())
