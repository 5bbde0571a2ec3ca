"""What must not get from a recording or an issue into a suite: secrets by their form, and personal data.

A scan is not a review: names, customers and passwords in prose have no form, so a person reads every task.
"""

import codecs
import io
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address

from skillgrad_ci.secrets import IN_ADDRESS, MASK, SECRET_NAME

MOST_BYTES = 20_000_000  # of what a file unpacks to, with the archives in it; more is not looked at, nor admitted
UNREAD = "an archive that cannot be looked into"
# How gzip, bzip2, xz, 7-Zip, RAR and zstd start.
PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", b"\x28\xb5\x2f\xfd")
# What zipfile raises for a damaged or an encrypted archive.
BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, RuntimeError, ValueError)


@dataclass(frozen=True)
class Sensitive:
    """What was found, in words, and where it is in the text. The value itself is never shown."""

    what: str
    start: int
    end: int


_TOKENS = {
    "an Anthropic key": r"sk-ant-[\w-]{16,}",
    "an OpenAI key": r"sk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{20,}",
    "a GitHub token": r"(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,})",
    "a GitLab token": r"gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent)-[\w-]{16,}",
    "an AWS key id": r"\b(?:AKIA|ASIA|ABIA|ACCA|AIDA|AROA)[A-Z0-9]{16}\b",
    "a Google key": r"\bAIza[\w-]{30,}|\bGOCSPX-[\w-]{20,}|\bya29\.[\w-]{20,}",
    "a Slack token": r"\bxox[abeoprs]-[\w-]{10,}|\bxapp-\d-[\w-]{10,}|hooks\.slack\.com/services/[\w/]{16,}",
    "a Hugging Face token": r"\bhf_[A-Za-z0-9]{20,}",
    "a package registry's token": r"\bnpm_[A-Za-z0-9]{30,}|\bpypi-AgE[\w-]{20,}|\brubygems_[0-9a-f]{40,}",
    "a payment key": r"\b[srp]k_(?:live|test)_[A-Za-z0-9]{10,}|\bwhsec_[A-Za-z0-9+/=]{20,}|\bsq0[a-z]{3}-[\w-]{20,}",
    "a mail service's key": r"\bSG\.[\w-]{16,}\.[\w-]{16,}|\bkey-[0-9a-f]{32}\b|\bxkeysib-[0-9a-f]{40,}",
    "a Telegram token": r"\b\d{8,10}:AA[\w-]{30,}",
    "a cloud token": r"\bdo[opr]_v1_[0-9a-f]{40,}|\bdapi[0-9a-f]{32}|\bdp\.(?:pt|st|ct)\.\w{30,}|\bhv[sb]\.[\w-]{20,}",
    "an Azure key": r"\b(?:AccountKey|SharedAccessKey)=[A-Za-z0-9+/]{40,}={0,2}|[?&]sig=[A-Za-z0-9%+/]{30,}",
    "a JSON web token": r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY[A-Z ]*-----|\bAGE-SECRET-KEY-1[A-Z0-9]{20,}|PuTTY-User-Key-File",
    "a Twilio key": r"\bSK[0-9a-f]{32}\b|\bAC[0-9a-f]{32}\b",
    "an authorization": r"(?i)\b(?:authorization\s*[:=]\s*)?(?:bearer|basic)\s+[A-Za-z0-9._~+/-]{16,}=*",
}
_NAMED = re.compile(r"""(?P<name>[A-Za-z][\w.-]{2,60})["']?\s*(?:=|:|=>)\s*["']?(?P<value>[^\s"',;<>{}()\[\]]{8,})""")
_NAMES = r"(?i:pass(?:word|wort|phrase|code)|kennwort|mot de passe|contrase\u00f1a|pwd?|pin code|api key)"
_TOLD = re.compile(
    rf"\b{_NAMES}\s+(?i:is|was|ist|war|lautet|est|es)\s*:?\s*[\"'`]?[^\s\"'`]{{6,}}"
    # with words between (the password for the depot is: …), or with no verb, only what has a password's signs
    rf"|\b{_NAMES}(?:[ \t]+[^\W\d]+){{1,5}}(?:\s*[:=]|(?i:(?<= is)|(?<= was)|(?<= ist)|(?<= lautet)|(?<= est)))\s*"
    r"[\"'`]?(?=[^\s\"'`]*\d)(?=[^\s\"'`]*[^\W\d])[^\s\"'`]{8,}"
    rf"|\b{_NAMES}[ \t]*[ \t/][ \t]*[\"'`]?(?=\w*[a-z])(?=\w*[A-Z])(?=\w*\d)\w{{8,}}(?![\w.(]*\w)"
)
_EMAIL = re.compile(r"[\w.+-]+@(?P<host>[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)")
_RESERVED = re.compile(r"(?:^|\.)(?:example(?:\.(?:com|net|org|edu))?|test|invalid|localhost)$", re.IGNORECASE)
_PHONE = re.compile(r"(?<![\w.,+/-])(?:\+|00)[1-9]\d{0,2}[ ./()-]{0,3}(?:\d[ ./()-]{0,2}){6,13}\d(?![\w-])")
_PHONE_HERE = re.compile(
    r"(?<![\w.,+/-])(?:\(\d{2,5}\)[ -]?\d{3,4}[ -]\d{3,5}|\d{3}[-.]\d{3}[-.]\d{4}|0\d{2,4}[ /-]\d{3,4}[ -]?\d{3,5})"
    r"(?![\w-])"
)
_PHONE_PAIRS = re.compile(r"(?<![\w.,+/-])(?<!\d )0\d{2,3}[-/ ]\d{2,3}(?: \d{2}){2}(?![\w-]|[ .,:]\d)")  # 070-123 45 67
_FICTION = re.compile(r"555\D{0,2}01\d\d$")  # numbers kept for stories
_HOME = re.compile(r"(?i)(?:(?:/home|/Users)/|\b[A-Z]:[\\/]+(?:Users|Documents and Settings)[\\/]+)(?P<user>[\w.-]*\w)")
_NOBODY = {"user", "username", "you", "me", "name", "runner", "shared", "public", "vscode", "ubuntu", "node", "work",
           "default", "example", "app", "agent", "somebody", "someone"}  # fmt: skip
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_CARD = re.compile(r"(?<![\d.,-])(?:3[47]|4\d|5[1-5]|2[2-7]|6[05])\d{2}(?:[ -]?\d{3,6}){2,4}(?![\d.,-])")
_SOCIAL = re.compile(r"(?<![\d-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])")
_ADDRESS = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
_DOCUMENTED = ("192.0.2.", "198.51.100.", "203.0.113.")
_NO_VALUE = re.compile(r"(?i)^(?:true|false|none|null|\$\{?\w+\}?|<.*>|\*+|x+|\.+|os\.environ.*|process\.env.*)$")


def findings(text: str) -> list[Sensitive]:
    """Everything in `text` that has the form of a secret or of personal data, in its order."""
    found = [
        Sensitive(what, *match.span()) for what, pattern in _TOKENS.items() for match in re.finditer(pattern, text)
    ]
    for match in _NAMED.finditer(text):
        if SECRET_NAME.search(match["name"]) and not _NO_VALUE.match(match["value"]):
            found.append(Sensitive("a value under a secret's name", *match.span("value")))
    found += [Sensitive("a password", *match.span()) for match in _TOLD.finditer(text)]
    found += [Sensitive("a password in an address", *match.span(2)) for match in IN_ADDRESS.finditer(text)]
    for what, pattern, counts in _PERSONAL:
        found += [Sensitive(what, *match.span()) for match in pattern.finditer(text) if counts(match)]
    return sorted(found, key=lambda finding: (finding.start, -finding.end))


def findings_in(content: bytes) -> list[str]:
    """What a file holds, in words. The members of an archive (a workbook, a document) are looked at one by one."""
    found: list[str] = []
    waiting, left = [content], MOST_BYTES
    while waiting:
        one = waiting.pop()
        if one.startswith(PACKED):
            found.append(UNREAD)
            continue
        if not zipfile.is_zipfile(io.BytesIO(one)):
            found += [finding.what for finding in findings(_text_of(one))]
            continue
        try:
            with zipfile.ZipFile(io.BytesIO(one)) as archive:
                left -= sum(member.file_size for member in archive.infolist())
                if left < 0:
                    return [*found, UNREAD]
                waiting += map(archive.read, archive.infolist())
        except BROKEN:
            found.append(UNREAD)
    return found


def _text_of(content: bytes) -> str:
    """A file's text. What spreadsheets call Unicode text is UTF-16, with a mark at its start."""
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if wide else "utf-8", "replace")


def masked(text: str) -> str:
    """`text` with what was found replaced, for a model that is shown a recording."""
    parts, kept = [], 0
    for finding in findings(text):
        if finding.start >= kept:
            parts += [text[kept : finding.start], f"{MASK}({finding.what.split(' ', 1)[-1]})"]
        kept = max(kept, finding.end)
    return "".join([*parts, text[kept:]])


def _is_someones_mail(match: re.Match[str]) -> bool:
    return not _RESERVED.search(match["host"]) and not match[0].lower().startswith(("noreply@", "no-reply@", "git@"))


def _is_phone(match: re.Match[str]) -> bool:
    return not _FICTION.search(match[0])


def _is_someones_home(match: re.Match[str]) -> bool:
    return match["user"].lower() not in _NOBODY


def _is_iban(match: re.Match[str]) -> bool:
    """ISO 13616: moved by four, letters as 10 to 35, the number leaves 1 when divided by 97."""
    code = match[0].replace(" ", "")
    return 15 <= len(code) <= 34 and int("".join(str(int(sign, 36)) for sign in code[4:] + code[:4])) % 97 == 1


def _is_card(match: re.Match[str]) -> bool:
    """ISO/IEC 7812: Luhn's sum over 13 to 19 digits."""
    digits = [int(sign) for sign in match[0] if sign.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) if place % 2 else digit for place, digit in enumerate(reversed(digits))]
    return 13 <= len(digits) <= 19 and sum(doubled) % 10 == 0


def _is_public(match: re.Match[str]) -> bool:
    try:
        return IPv4Address(match[0]).is_global and not match[0].startswith(_DOCUMENTED)
    except AddressValueError:
        return False


_PERSONAL: tuple[tuple[str, re.Pattern[str], Callable[[re.Match[str]], bool]], ...] = (
    ("an email address", _EMAIL, _is_someones_mail),
    ("a phone number", _PHONE, _is_phone),
    ("a phone number", _PHONE_HERE, _is_phone),
    ("a phone number", _PHONE_PAIRS, _is_phone),
    ("a home folder with its owner's name", _HOME, _is_someones_home),
    ("a bank account", _IBAN, _is_iban),
    ("a payment card", _CARD, _is_card),
    ("a social security number", _SOCIAL, lambda _: True),
    ("an internet address", _ADDRESS, _is_public),
)
