"""Secrets in foreign text, blotted out: tokens, credentials, keys, whole, wrapped over lines or escaped. Pure.

It errs towards blotting: a long run of letters and digits that looks like a key is taken for one. Line breaks stay, so
that a place in the text can still be named. Never relied upon for our own secrets: those are not put into texts.
"""

import re

BLOT = "[redacted]"

# Inside a secret, a line may end: as such, with a backslash, as quoted-printable's =, quoted by a mail program, or
# escaped; \u2028 is what ``diagnosis.reading`` makes of an escaped one.
_BREAK = r"(?:\\?=?(?:\r?\n|\u2028|\\[rn])+[ \t>|]*(?=[A-Za-z0-9+/_.~%=-]{8}))"
_RUN = rf"(?:[A-Za-z0-9+/_.~%=-]|\\[/+=]|\\u00[0-9a-fA-F]{{2}}|{_BREAK})"
_VALUE = r"(?:\"(?:[^\"\\]|\\.){1,8000}\"|'[^'\n]{1,8000}'|\\\"(?:[^\"\\]|\\[^\"]){1,8000}\\\"|[^\s\"'&,;<>\\]{1,8000})"
_NAMES = (
    r"client_?secrets?|secret_?text|secret_?value|app_?secret|secret|pass(?:word|wd|phrase)?|pwd|kennwort|refresh_?token|access_?token|id_?token|auth_?token|"
    r"client_?assertion|assertion|device_?code|api_?key|x-api-key|shared_?access_?(?:key|signature)|account_?key|sig|signature|session(?:_?id|_?key)?|cookie|token|"
    r"xoauth2_?string|oauth2?_?token|bearer_?token|credential|user_?pass|smtp_?pass\w*|imap_?pass\w*|private_?key|code_verifier"
)

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, flags), kept)
    for pattern, kept, flags in (
        (r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]{0,20000}?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", "", 0),
        (r"(?:MII|MIG)[A-Za-z0-9+/=\s]{120,}", "", 0),
        (rf"\beyJ{_RUN}{{8,}}", "", 0),
        (rf"\b[01]\.A[A-Za-z0-9_-]{_RUN}{{16,}}", "", 0),
        (rf"\bM\.[A-Z]\d{{3}}_{_RUN}{{10,}}(?:[!*$]{_RUN}*)*", "", 0),
        (rf"\bEw[A-Z]{_RUN}{{20,}}", "", 0),
        (rf"\bdXNlc[jk]{_RUN}{{8,}}|\bbixhPX{_RUN}{{8,}}", "", 0),
        (rf"(\bBearer(?:\s|%20|\+|=20|\\u0020)+){_RUN}{{4,}}", r"\1", re.I),
        (r"(\bBasic\s+)[A-Za-z0-9+/=]{8,}", r"\1", re.I),
        (
            rf"(\b(?:AUTH|AUTHENTICATE)\s+(?:XOAUTH2|PLAIN|LOGIN|OAUTHBEARER|NTLM|CRAM-MD5)\s+)(?!failed|unsuc){_RUN}{{4,}}",
            r"\1",
            re.I,
        ),
        (r"(\bLOGIN\s+(?:\"[^\"\n]*\"|\S+@\S+)\s+)(?:\"[^\"\n]*\"|\S+)", r"\1", re.I),
        (r"(?m)(^[^\n]{0,60}\b\w{1,12} LOGIN \S+ )\S+$", r"\1", 0),
        (r"(\bPASS )\S{4,}", r"\1", 0),
        (r"(://[^\s/:@\"']{0,200}:)[^\s/@\"']{1,300}(?=@)", r"\1", 0),
        (r"(://[^\s/:@\"']{1,200}:)(?!\d{1,5}(?:\D|$))[^\s/@\"']{8,}", r"\1", 0),
        (rf"((?<![A-Za-z])(?:{_NAMES})(?:\\?[\"'])?\s{{0,3}}(?:=>|:=|=3D|%3[Dd]|[:=])\s{{0,3}}){_VALUE}", r"\1", re.I),
        (
            rf"((?<![A-Za-z])(?:{_NAMES})(?:\\?[\"'])?\s{{0,3}}(?:=>|:=|=3D|%3[Dd]|[:=])\s{{0,3}}(?:\\?[\"'])?){_RUN}{{20,}}",
            r"\1",
            re.I,
        ),
        (
            r"(\s-{1,2}(?:password|passwd|clientsecret|client-secret|accesstoken|access-token|oauth2-bearer|token|secret|certificatepassword)[ =:]+)(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s-]\S*)",
            r"\1",
            re.I,
        ),
        (r"(ConvertTo-SecureString\s+(?:-String\s+)?)(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s-]\S*)", r"\1", re.I),
        (r"((?:^|[\s\"'])(?:Set-)?Cookie\\?[\"']?\s*[:=]\s*)[^\r\n]{1,8000}", r"\1", re.I),
        (r"([?&;](?:sig|code|state|session_state|nonce|t)=)[^&\s\"'<>]{12,}", r"\1", re.I),
        (r"[A-Za-z0-9_.~-]{3}\dQ(?:~|%7[Ee]|=7E)[A-Za-z0-9_.~%=-]{20,60}", "", 0),
    )
)
_LONG = re.compile(r"[A-Za-z0-9+/_=~%-]{20,}(?:\.[A-Za-z0-9+/_=~%-]{16,})*")
_GUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_WORDS = re.compile(r"[A-Z]?[a-z]{2,}|[A-Z]{2,}(?![a-z])")
_SECRET_LIKE = re.compile(r"[A-Za-z0-9._~!@#$%^&*()+-]*~[A-Za-z0-9._~-]{8,}")
# What stands first on the line after a secret that ran to its line's end: as a rule the secret's own end.
_TAIL = re.compile(
    r"\[redacted\](?:\\?=?[ \t]*(?:\\?=?(?:[\n\u2028]|\\[rn]))+[ \t>|]*(?!AADSTS\d)[A-Za-z0-9+/_.~%=-]{4,})+"
)
_SEPARATOR = re.compile(r"((?:[\n\u2028]|\\[rn])+)")
_MIXED = re.compile(r"\d.*[A-Za-z]|[A-Za-z].*\d|[a-z].*[A-Z]|[A-Z]{2}.*[a-z]|[+/~=]")


def redact(text: str) -> str:
    """The text with every secret it shows replaced; line breaks inside one stay."""
    for pattern, kept in _PATTERNS:
        text = pattern.sub(lambda found, kept=kept: _blotted(found, kept), text)  # type: ignore[misc]  # mypy cannot infer a lambda with a default
    text = _SECRET_LIKE.sub(lambda found: BLOT if len(found[0]) >= 24 else found[0], text)
    text = _LONG.sub(lambda found: BLOT if _looks_random(found[0]) else found[0], text)
    return _TAIL.sub(_cut_off, text)


def _blotted(found: re.Match[str], kept: str) -> str:
    before = found.expand(kept) if kept else ""
    rest = found[0][len(before) :]
    return before + BLOT + "\n" * rest.count("\n")


def _cut_off(found: re.Match[str]) -> str:
    kept, *rest = _SEPARATOR.split(found[0])
    for number in range(1, len(rest), 2):
        if not _MIXED.search(rest[number].strip(" \t>|")):
            return kept + "".join(rest[number - 1 :])
        kept += rest[number - 1] + BLOT
    return kept


def _looks_random(run: str) -> bool:
    """A run that no name, path or class has: letters of both cases and digits, mixed, and few whole words."""
    bare = _GUID.sub("", run)
    if len(bare) < 20:
        return False
    kinds = sum(any(test(char) for char in bare) for test in (str.isupper, str.islower, str.isdigit))
    worded = sum(len(word) for word in _WORDS.findall(bare) if len(word) >= 4)
    if kinds == 3:
        return worded < 0.6 * len(bare)
    return kinds == 2 and len(bare) >= 32 and worded < 0.4 * len(bare) and "/" not in bare[:1]
