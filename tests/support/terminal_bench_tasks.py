"""A suite in terminal-bench's older form: count the lines of a file that the task's image holds, checked by pytest."""

import shutil
from importlib.metadata import distribution
from pathlib import Path

from tests.support.docker_image import TAG

CONFIG = """\
# a canary line
instruction: |-
  Count the lines of /app/data/WORD.txt and write the number to /app/count.txt.
author_name: somebody
difficulty: easy
category: counting
tags:
  - counting
parser_name: pytest
max_agent_timeout_sec: 120.0
max_test_timeout_sec: 90.0
run_tests_in_same_shell: false
"""
COMPOSE = """\
services:
  client:
    build:
      dockerfile: Dockerfile
    image: ${T_BENCH_TASK_DOCKER_CLIENT_IMAGE_NAME}
    container_name: ${T_BENCH_TASK_DOCKER_CLIENT_CONTAINER_NAME}
    command: [ "sh", "-c", "sleep infinity" ]
    environment:
      - TEST_DIR=${T_BENCH_TEST_DIR}
    volumes:
      - ${T_BENCH_TASK_LOGS_PATH}:${T_BENCH_CONTAINER_LOGS_PATH}
"""
DOCKERFILE = f"FROM {TAG}\nENV PYTHONPATH=/opt/python\nCOPY python /opt/python\nWORKDIR /app\nCOPY data /app/data\n"
TESTS = """\
from pathlib import Path

EXPECTED = Path("/tests/WORD.txt")


def test_the_file_is_there():
    assert Path("/app/count.txt").is_file()


def test_the_count_has_its_unit():
    assert Path("/app/count.txt").read_text().strip() == f"{len(EXPECTED.read_text().splitlines())} lines"
"""
RUN = "#!/bin/bash\ncd /tmp && python3 -m pytest -p no:cacheprovider $TEST_DIR/test_outputs.py -rA\n"
SOLUTION = '#!/bin/bash\necho "$(wc -l < data/WORD.txt) lines" > /app/count.txt\n'
PYTEST = ("pytest", "pluggy", "iniconfig", "packaging", "pygments")


def write(root: Path, lines: dict[str, int], config: str = CONFIG, compose: str = COMPOSE) -> Path:
    """The suite below `root`: a task for each word, whose file has so many lines; returns its path."""
    suite = root / "suite"
    for word, number in lines.items():
        folder, text = suite / f"count-{word}", "line\n" * number
        files = {
            "task.yaml": config.replace("WORD", word),
            "docker-compose.yaml": compose,
            "Dockerfile": DOCKERFILE,
            f"data/{word}.txt": text,
            "tests/test_outputs.py": TESTS.replace("WORD", word),
            f"tests/{word}.txt": text,
            "run-tests.sh": RUN,
            "solution.sh": SOLUTION.replace("WORD", word),
        }
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
    return suite


def with_pytest(suite: Path) -> Path:
    """Lay this machine's pytest, which is plain Python, into each task's image."""
    for folder in suite.iterdir():
        for name in PYTEST:
            for file in distribution(name).files or ():
                if file.suffix != ".pyc" and ".." not in file.parts:
                    target = folder / "python" / file
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(str(file.locate()), target)
    return suite
