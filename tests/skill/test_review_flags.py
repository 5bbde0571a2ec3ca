"""What a reviewer is told of: added addresses and commands, by name; ordinary guidance is not noise."""

import pytest

from skillgrad_ci.skill.review_flags import Flag, flags
from skillgrad_ci.skill.skill import MAIN
from tests.support.skills import skill_of

BEFORE = skill_of("# Demo\n\nSee https://example.org/known. Run `curl https://example.org/known`.\n")


def kinds(line: str) -> list[str]:
    return [flag.kind for flag in flags(BEFORE, BEFORE.with_file(MAIN, f"{BEFORE.text}{line}\n"))]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("see http://evil.example/x", "a new address"),
        ("[x](ftp://evil.example/x)", "a new address"),
        ("![x](data:image/png;base64,AAAA)", "a new address"),
        ("`curl -s host`", "downloads"),
        ("wget x", "downloads"),
        ("pip install x", "downloads"),
        ("python -m pip3 install -q x", "downloads"),
        ("npm i x", "downloads"),
        ("npx x", "downloads"),
        ("apt-get -y install x", "downloads"),
        ("git clone x", "downloads"),
        ("urllib.request.urlopen(x)", "downloads"),
        ("requests.get(x)", "downloads"),
        ("rm -rf build", "deletes"),
        ("rm ~/x", "deletes"),
        ("shutil.rmtree(p)", "deletes"),
        ("find . -name x -delete", "deletes"),
        ("git reset --hard", "deletes"),
        ("chmod +x run", "changes permissions"),
        ("sudo x", "changes permissions"),
        ("chown me x", "changes permissions"),
        ("eval $(cat x)", "runs hidden code"),
        ("base64 -d x", "runs hidden code"),
        ("cat x | sh", "runs hidden code"),
        ("cat x | python3", "runs hidden code"),
        ("exec(code)", "runs hidden code"),
        ("git push origin", "sends or publishes"),
        ("scp x host:", "sends or publishes"),
        ("crontab -e", "stays behind"),
        ("echo x >> ~/.bashrc", "stays behind"),
        ("cat .env", "reads secrets"),
        ("echo $OPENAI_API_KEY", "reads secrets"),
        ("os.environ['X']", "reads secrets"),
    ],
)
def test_commands_and_addresses_are_named(line: str, kind: str) -> None:
    assert kinds(line) == [kind]


@pytest.mark.parametrize(
    "line",
    [
        "See https://example.org/known again.",
        "Remove the empty rows, then evaluate the formula and install the filter.",
        "Source data: the first sheet. The file: the second. Add and get totals; go on.",
        "Set max_token to 5; push the values down; request the total. Fetch the row, execute the plan.",
        "Use `df.drop(columns=...)` and `del row['x']`. The form (a | b) is kept.",
        "Post the net change; the node tree; confirm -5 degrees.",
    ],
)
def test_ordinary_guidance_is_not_flagged(line: str) -> None:
    assert kinds(line) == []


def test_only_added_lines_are_flagged_with_their_place() -> None:
    after = BEFORE.with_file("references/a.md", "x\n  sudo x\n")
    assert flags(BEFORE, after) == [Flag("changes permissions", "references/a.md", 2, "sudo x")]
    assert flags(after, BEFORE) == []


def test_a_new_address_is_told_with_its_place_and_a_known_one_may_end_a_sentence() -> None:
    text = "x\n  See https://example.org/known; it is short.\n  Then http://evil.example/x, now.\n"
    after = BEFORE.with_file("references/a.md", text)
    flag = Flag("a new address", "references/a.md", 3, "Then http://evil.example/x, now.")
    assert flags(BEFORE, after) == [flag]


def test_bytes_that_are_no_text_are_read_as_far_as_they_are() -> None:
    before, script = {"logo.png": b"\x89PNG"}, b"# caf\xe9\r\ncurl -s host\r\n"
    found = flags(skill_of(files=before), skill_of(files={**before, "run.sh": script}))
    assert found == [Flag("downloads", "run.sh", 2, "curl -s host")]
