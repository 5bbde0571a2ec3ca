"""A small agent that speaks the Agent Client Protocol, in plain Python: a real loop over a real shell.

It asks the address in GATEWAY with the key in KEY, in the form of chat completions. Words in the
prompt have it misbehave: CRASH, HANG, SLOW, EARLY, ERROR; the variable SHOUT has it write what is not a message.
"""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

SKILLS = Path(os.environ["HOME"]) / ".agents" / "skills"
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in ("shell", "skill")
]


def write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def send(**message: Any) -> None:
    write(json.dumps({"jsonrpc": "2.0", **message}))


def ask(messages: list[dict[str, Any]]) -> dict[str, Any]:
    body = {"model": os.environ["MODEL"], "messages": messages, "tools": TOOLS, "max_tokens": 500}
    headers = {"authorization": f"Bearer {os.environ['KEY']}", "content-type": "application/json"}
    url = f"{os.environ['GATEWAY']}/v1/chat/completions"
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)) as reply:
        message: dict[str, Any] = json.load(reply)["choices"][0]["message"]
    return message


def permitted() -> bool:
    options = [{"optionId": kind, "name": kind, "kind": kind} for kind in ("reject_once", "allow_once")]
    send(id="p1", method="session/request_permission", params={
        "sessionId": "s1", "options": options, "toolCall": {"toolCallId": "t1"},
    })  # fmt: skip
    answer = json.loads(sys.stdin.readline())
    return bool(answer["result"]["outcome"].get("optionId") == "allow_once")


def use(call: dict[str, Any]) -> str:
    arguments = json.loads(call["function"]["arguments"])
    if call["function"]["name"] == "skill":
        return str((SKILLS / arguments["name"] / "SKILL.md").read_text())
    if not permitted():
        return "not permitted"
    done = subprocess.run(["bash", "-c", arguments["command"]], capture_output=True, text=True)
    return f"{done.stdout}{done.stderr}\nexit code: {done.returncode}"


def work(prompt: str) -> str:
    if "HANG" in prompt:
        time.sleep(600)
    if "SLOW" in prompt:
        time.sleep(1.5)
    names = sorted(path.name for path in SKILLS.iterdir()) if SKILLS.exists() else []
    messages = [{"role": "system", "content": f"Skills: {names}"}, {"role": "user", "content": prompt}]
    while "EARLY" not in prompt:
        try:
            said = ask(messages)
        except urllib.error.HTTPError as error:
            if "ERROR" in prompt:
                raise
            send(method="session/update", params={"sessionId": "s1", "update": {
                "sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": str(error)},
            }})  # fmt: skip
            return "end_turn"  # as some agents do after an outage
        messages.append({key: value for key, value in said.items() if value is not None})
        if "CRASH" in prompt:
            sys.exit("a crash on purpose")
        if not said.get("tool_calls"):
            break
        messages += [{"role": "tool", "tool_call_id": call["id"], "content": use(call)} for call in said["tool_calls"]]
    return "end_turn"


def main() -> None:
    for line in sys.stdin:
        message = json.loads(line)
        method, number = message.get("method"), message.get("id")
        if method == "initialize":
            if os.environ.get("SHOUT"):
                write("this is no message of the protocol")
            send(id=number, result={"protocolVersion": 1, "agentCapabilities": {}})
        elif method == "authenticate":
            gateway = message["params"]["_meta"]["gateway"]
            os.environ |= {"GATEWAY": gateway["baseUrl"], "KEY": gateway["headers"]["authorization"][7:]}
            send(id=number, result={})
        elif method == "session/new":
            os.chdir(message["params"]["cwd"])
            send(id=number, result={"sessionId": "s1"})
        elif method == "session/prompt":
            try:
                send(id=number, result={"stopReason": work(message["params"]["prompt"][0]["text"])})
            except urllib.error.HTTPError as error:
                send(id=number, error={"code": -32603, "message": f"Internal error: {error}"})


if __name__ == "__main__":
    main()
