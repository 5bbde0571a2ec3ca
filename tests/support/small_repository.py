"""A small repository with a skill, a suite of text tasks and a rehearsal: whole runs in a second or two."""

import json
from collections.abc import Mapping
from pathlib import Path

import yaml

UNSPLIT = 7
CONFIG = """\
skills:
  - {path: skills/greeter, tasks: evals}
models: {executor: MODEL}
iterations: 3
batch_size: 2
concurrency: 2
"""

SKILL = """\
---
name: greeter
description: Use it to write greetings.
---

# Greetings

Write the greeting to the file that is asked for.
"""

MECHANISMS = """\
version: 1
mechanisms:
  shouted:
    match: "Greet (?P<name>[A-Z][a-z]+) loudly"
    needs: [{layer: body, text: capital letters}]
    weak: be loud
    with: {commands: ["printf '%s' '{{name}}' | tr a-z A-Z > greeting.txt"], answer: Done.}
    without: {commands: ["printf '%s' '{{name}}' > greeting.txt"], answer: Done.}
    finding:
      {summary: It was not loud., cause: The name was copied as it is., difference: Capitals., quote: greeting.txt}
    pattern: {line: Loud means capitals., anchor: writing, description: A loud greeting is in capitals.}
    remedies:
      - note: ""
        why: say that it be loud
        edits: [{op: append, file: SKILL.md, target: heading, address: Greetings, content: "- Loud ones: be loud."}]
      - note: The hint was too weak.
        why: say how
        edits:
          - {op: replace, file: SKILL.md, target: text, address: "be loud", content: "use capital letters"}
  polite:
    match: "Greet (?P<name>[A-Z][a-z]+) politely"
    needs: [{layer: reference, text: starts with Dear, pointer: polite}]
    with: {commands: ["printf 'Dear %s' '{{name}}' > greeting.txt"], answer: Done.}
    without: {commands: ["printf 'Hi %s' '{{name}}' > greeting.txt"], answer: Done.}
    finding: {summary: It was not polite., cause: Hi., difference: Dear., quote: greeting.txt}
    pattern: {line: Polite forms are unknown., anchor: writing, description: A polite greeting has a form.}
    remedies:
      - note: ""
        why: keep the polite forms in a chapter
        edits:
          - op: append
            file: references/forms.md
            target: file
            content: "A polite greeting starts with Dear and the name."
          - op: append
            file: SKILL.md
            target: heading
            address: Greetings
            content: "- Read `references/forms.md` when a polite greeting is asked for. Skip when it is not."
"""

PARTING = """\
---
name: parting
description: Use it to write farewells.
---

# Farewells

Say goodbye.
"""

THIEF = {  # an edit that the first remedy gets besides: it claims what the other skill is for
    "op": "replace", "file": "SKILL.md", "target": "description", "content": "Use it to write greetings and farewells.",
}  # fmt: skip

GOODBYE = {
    "match": "Say goodbye to (?P<name>[A-Z][a-z]+)",
    "needs": [{"layer": "description", "text": "farewells"}],
    "with": {"answer": "Goodbye, {{name}}."},
    "without": {"answer": "Hm."},
    "finding": {"summary": "", "cause": "", "difference": ""},
    "pattern": {"line": "", "anchor": "", "description": ""},
}

TRIGGERS = [
    {"query": "Greet Zoe loudly in greeting.txt.", "should_trigger": True},
    {"query": "Say goodbye to Zoe.", "should_trigger": False},
    {"query": "Sing a song.", "should_trigger": False},
]

NAMES = ["Ada", "Bela", "Cora", "Dora", "Edda", "Fred", "Gina", "Hugo", "Ines", "Jack", "Kira", "Lars"]
SPLITS = ["train", "train", "train", "validation", "heldout", "heldout"]


def task(number: int, name: str) -> str:
    loud = number % 2 == 0
    split = SPLITS[number // 2 % 6]
    wanted = name.upper() if loud else f"Dear {name}"
    return (
        f"  - id: greet-{name.lower()}\n"
        f"    instruction: Greet {name} {'loudly' if loud else 'politely'} in greeting.txt.\n"
        f"    outputs: [greeting.txt]\n"
        f"    grader: {{type: text, output: greeting.txt, exact: '{wanted}'}}\n"
        f"    split: {split}\n"
        f"    reference: {{files: {{greeting.txt: references/{name.lower()}.txt}}}}\n"
    )


def make(folder: Path, model: str = "rehearsal") -> Path:
    """Write the repository below `folder`; returns `folder`. Every task's name is its own."""
    (folder / "skills/greeter").mkdir(parents=True)
    (folder / "evals/references").mkdir(parents=True)
    (folder / ".skillgrad.yml").write_text(CONFIG.replace("MODEL", model))
    (folder / "skills/greeter/SKILL.md").write_text(SKILL)
    (folder / "evals/rehearsal.yaml").write_text(MECHANISMS)
    names = [*NAMES, *(f"{name}lene" for name in NAMES[:12])]
    (folder / "evals/tasks.yaml").write_text("version: 1\ntasks:\n" + "".join(map(task, range(24), names)))
    for number, name in enumerate(names):
        wanted = name.upper() if number % 2 == 0 else f"Dear {name}"
        (folder / f"evals/references/{name.lower()}.txt").write_text(wanted)
    return folder


def add_neighbour(
    folder: Path, settings: str = "with_skills: [skills/parting]\ntrigger: evals/triggers.json\n"
) -> None:
    """Put a second skill beside the first, and a trigger set; the first remedy steals the second skill's queries."""
    (folder / "skills/parting").mkdir()
    (folder / "skills/parting/SKILL.md").write_text(PARTING)
    (folder / "evals/triggers.json").write_text(json.dumps(TRIGGERS))
    script = yaml.safe_load(MECHANISMS)
    script["mechanisms"]["shouted"]["remedies"][0]["edits"].insert(0, THIEF)
    script["mechanisms"]["goodbye"] = GOODBYE
    (folder / "evals/rehearsal.yaml").write_text(yaml.safe_dump(script, sort_keys=False))
    config = folder / ".skillgrad.yml"
    config.write_text(config.read_text() + settings)


def unsplit(root: Path, model: str = "rehearsal", extra: Mapping[str, str] | None = None) -> Path:
    """The repository with `UNSPLIT` tasks, none with a split; `extra` is given to the first task."""
    make(root, model)
    suite = root / "evals/tasks.yaml"
    content = yaml.safe_load(suite.read_text())
    content["tasks"] = [{key: task[key] for key in task if key != "split"} for task in content["tasks"][:UNSPLIT]]
    content["tasks"][0].update(extra or {})
    suite.write_text(yaml.safe_dump(content, sort_keys=False))
    return root
