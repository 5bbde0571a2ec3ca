"""A suite in Harbor's form: count the lines of a file that the task's image holds."""

from pathlib import Path

from tests.support.docker_image import TAG

CONFIG = """\
version = "1.0"

[metadata]
tags = ["counting"]

[agent]
timeout_sec = 120

[verifier]
timeout_sec = 60.0

[environment]
build_timeout_sec = 300.0
cpus = 1
memory = "512M"
network_mode = "no-network"
"""
DOCKERFILE = f"FROM {TAG}\nWORKDIR /app\nCOPY data /app/data\n"
TESTS = """\
#!/bin/bash
# Hidden from whoever does the task.
expected=$(wc -l < /tests/WORD.txt)
if [ "$(cat /app/count.txt)" = "$expected lines" ]; then echo 1 > /logs/verifier/reward.txt
else echo "expected $expected lines, got $(cat /app/count.txt)"; echo 0 > /logs/verifier/reward.txt; fi
"""
SOLUTION = '#!/bin/bash\necho "$(wc -l < data/WORD.txt) lines" > /app/count.txt\n'
LINES = {"alpha": 3, "beta": 5, "gamma": 2}
REHEARSAL = """\
version: 1
mechanisms:
  unit-left-out:
    match: "Count the lines of /app/data/(?P<word>[a-z]+)\\\\.txt"
    needs: [{layer: body, text: with its unit}]
    with: {commands: ["COMMANDS; printf '%s lines' $(wc -l < data/{{word}}.txt) > count.txt"], answer: Done.}
    without: {commands: ["COMMANDS; wc -l < data/{{word}}.txt > count.txt"], answer: Done.}
    finding: {summary: s, cause: c, difference: d}
    pattern: {line: l, anchor: a, description: d}
"""


def write(root: Path, config: str = CONFIG, commands: str = "true") -> Path:
    """The suite below `root`, with a rehearsal that also runs `commands` in each task; returns its path."""
    suite = root / "suite"
    for word, lines in LINES.items():
        folder, text = suite / f"count-{word}", "line\n" * lines
        files = {
            "task.toml": config,
            "instruction.md": f"Count the lines of /app/data/{word}.txt and write the number to /app/count.txt.\n",
            "environment/Dockerfile": DOCKERFILE,
            f"environment/data/{word}.txt": text,
            "tests/test.sh": TESTS.replace("WORD", word),
            f"tests/{word}.txt": text,
            "solution/solve.sh": SOLUTION.replace("WORD", word),
        }
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
    (suite / "rehearsal.yaml").write_text(REHEARSAL.replace("COMMANDS", commands))
    return suite


def write_skill(root: Path, body: str) -> Path:
    folder = root / "skills" / "counting"
    folder.mkdir(parents=True)
    (folder / "SKILL.md").write_text(f"---\nname: counting\ndescription: Count things.\n---\n\n# Counting\n\n{body}\n")
    return folder
