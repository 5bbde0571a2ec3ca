"""The rehearsal's judge: a statement passes where the words that the script asks for are in the result.

Of two results it prefers the one in which more of those words are.
"""

import functools
import re
from typing import Any

from skillgrad_ci.models.rehearsal.script import PLACEHOLDER, Script

_RESULT = "## The result\n"
_ASKED = re.compile(r"^## The \d+ statements to grade[^\n]*$", re.M)
_PAIR = re.compile(
    r"^## What decides$(?P<decides>.*?)^## Result one$(?P<one>.*)^## Result two$(?P<two>.*)", re.M | re.S
)
_STATEMENT = re.compile(r"^(?P<number>\d+)\. (?P<text>.+)$", re.M)


def judge_reply(script: Script, prompt: str) -> dict[str, Any]:
    """A JudgeReply. What no rule of the script is about has failed, and so has what is not there."""
    titles = list(_ASKED.finditer(prompt))
    asked = prompt[titles[-1].end() :] if titles else ""
    result = prompt[: titles[-1].start()].partition(_RESULT)[2] if titles else ""
    return {"verdicts": [_verdict(script, row, result) for row in _STATEMENT.finditer(asked)]}


def preference_reply(script: Script, prompt: str) -> dict[str, Any]:
    """A PreferenceReply: every line of what decides is taken for a statement."""
    pair = _PAIR.search(prompt)
    wanted = [words for line in (pair["decides"] if pair else "").splitlines() if (words := _wanted(script, line))]
    found = {side: [words for words in wanted if pair and words in pair[side]] for side in ("one", "two")}
    more = len(found["one"]) - len(found["two"])
    return {
        "quote_one": "".join(found["one"][:1]),
        "quote_two": "".join(found["two"][:1]),
        "reason": f"{len(found['one'])} of the words asked for stand in one, {len(found['two'])} in two",
        "better": "one" if more > 0 else "two" if more < 0 else "neither",
        "holds": "neither",
    }


def _verdict(script: Script, asked: re.Match[str], result: str) -> dict[str, Any]:
    words = _wanted(script, asked["text"])
    there = bool(words) and words in result
    return {
        "statement": int(asked["number"]),
        "evidence": words if there else "",
        "reason": "the words stand there" if there else f"{words!r} does not stand there",
        "verdict": "passed" if there else "failed",
    }


def _wanted(script: Script, statement: str) -> str:
    """The evidence that the first fitting rule asks for; '' where none is about the statement."""
    for rule in script.judge:
        if found := rule.statement.search(statement):
            return PLACEHOLDER.sub(functools.partial(_group, found), rule.evidence)
    return ""


def _group(found: re.Match[str], name: re.Match[str]) -> str:
    return found[name[1]] or ""
