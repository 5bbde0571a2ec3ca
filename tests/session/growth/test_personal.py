"""What has the form of a secret or of personal data is found; what only looks a little like it is left alone."""

import bz2
import codecs
import gzip
import io
import lzma
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.session.growth import personal
from skillgrad_ci.session.growth.personal import UNREAD, findings, findings_in, masked

BODY = "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5bC7d"  # of no service: no token is real
HEX = "0123456789abcdef0123456789abcdef"
FOUND = [
    f"sk-ant-api03-{BODY}",
    f"sk-proj-{BODY}",
    f"ghp_{BODY}",
    f"ghs_{BODY}",
    f"github_pat_{BODY}",
    f"glpat-{BODY[:20]}",
    "AKIA" + "ABCDEFGHIJKLMNOP",
    f"AIza{BODY[:35]}",
    f"xoxb-{BODY[:24]}",
    f"hf_{BODY[:34]}",
    f"npm_{BODY[:36]}",
    f"sk_live_{BODY[:24]}",
    f"SG.{BODY[:22]}.{BODY}",
    f"dapi{HEX}",
    f"AccountKey={BODY}{BODY}==",
    f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.{BODY}",
    "-----BEGIN OPENSSH PRIVATE KEY-----",
    f"Authorization: Bearer {BODY}",
    "https://deploy:hunter2hunter2@git.firm.se/x.git",
    'DB_PASSWORD="correct-horse-battery"',
    "the password is Tr0ub4dor3",
    "the password for the shared drive is: Heron-31-Gate",
    "Passwort ist Reiher31!",
    "login admin / password Heron31Gate",
    "the pw is heron-3-gate",
    "ida.holm@northwind-cables.se",
    "+46 70 174 06 35",
    "call 020 7946 0018",
    "call 070-174 06 35",
    "/home/idaholm/reports/q3.xlsx",
    r"C:\Users\ida.holm\Desktop",
    "DE89 3704 0044 0532 0130 00",
    "4539 1488 0343 6467",
    "078-05-1120",
    "10.0.0.1 and 81.236.12.9",
]
CLEAN = [
    "Write the sum of column B to E2 and save it as result.xlsx; 1,234.56 EUR in 2025-03-14.",
    "See user@example.com, a@b.test, or /home/user/work and C:\\Users\\runner.",
    "The invoice R-700 of order PO-2041-a costs 4200.00; call +1 202 555 0123 in a story.",
    "192.168.0.1, 127.0.0.1 and 203.0.113.9 are no one's; version 3.11.4 is out.",
    "api_key = ${API_KEY}, password: <your password>, token=None",
    "rows 10-20-3000 and 12:30:45 and sha 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
    "The password policy is on page 12; a password check (RFC-2617) hashes with sha256-crypt.",
    "See the password list password Users2List.csv.",
    "rows 01 02 03 04, 05-11-2026 12:30 and 09 30 15 00",
    "Spalte: 0,25; 12 345 678,90; 1234 5678 9012 3456",
]


@pytest.mark.parametrize("text", FOUND)
def test_each_form_is_found_and_masked(text: str) -> None:
    sentence = f"Before it, {text} and after."
    assert findings(sentence), text
    assert masked(sentence) != sentence
    assert not findings(masked(sentence))
    assert masked(sentence).startswith("Before it, ")
    assert masked(sentence).endswith("and after.")


@pytest.mark.parametrize("text", CLEAN)
def test_what_is_nobodys_is_left_alone(text: str) -> None:
    assert findings(text) == []


def test_a_workbook_is_looked_into() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sharedStrings.xml", "<t>ida.holm@northwind-cables.se</t>" * 50)
    assert "an email address" in findings_in(packed.getvalue())
    assert findings_in(b"plain") == []


def test_a_file_in_utf_16_is_read_and_a_compressed_one_is_a_finding() -> None:
    for kind in ("utf-16", "utf-16-be"):
        mark = codecs.BOM_UTF16_BE if kind == "utf-16-be" else b""
        assert findings_in(mark + "mail\tida.holm@northwind-cables.se".encode(kind)) == ["an email address"]
    for pack in (gzip.compress, bz2.compress, lzma.compress):
        assert findings_in(pack(b"nothing of anybody's")) == [UNREAD]


def packed(*contents: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for number, content in enumerate(contents):
            opened.writestr(f"member {number}", content)
    return archive.getvalue()


def test_an_archive_that_cannot_be_looked_into_is_a_finding() -> None:
    whole = packed(b"nothing of anybody's " * 50)
    assert findings_in(whole) == []
    damaged = bytearray(whole)
    damaged[45] ^= 0xFF
    encrypted = bytearray(whole)
    encrypted[whole.index(b"PK\x01\x02") + 8] |= 1
    for content in (bytes(damaged), bytes(encrypted), packed(bytes(21_000_000)), whole[50:]):
        assert findings_in(content) == [UNREAD]


def test_archives_in_archives_share_one_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(personal, "MOST_BYTES", 2000)
    assert findings_in(packed(packed(b"mail ida.holm@northwind-cables.se"))) == ["an email address"]
    assert findings_in(packed(packed(bytes(900)))) == []
    assert findings_in(packed(packed(bytes(900)), packed(bytes(900)))) == [UNREAD]
    content = b"deep"
    for _ in range(15):
        content = packed(content)
    assert findings_in(content) == [UNREAD]


@given(st.text(max_size=200))
def test_masking_is_done_when_it_is_done(text: str) -> None:
    once = masked(text)
    assert masked(once) == once
    assert (once == text) is not bool(findings(text))
