"""The XOAUTH2 codec, held against the vendor's own samples."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exosp.errors import UsageError
from exosp.mail import xoauth2

# learn.microsoft.com, "Authenticate an IMAP, POP or SMTP connection using OAuth": the two samples of the page.
VENDOR = [
    (
        "test@contoso.onmicrosoft.com",
        "EwBAAl3BAAUFFpUAo7J3Ve0bjLBWZWCclRC3EoAA",
        "dXNlcj10ZXN0QGNvbnRvc28ub25taWNyb3NvZnQuY29tAWF1dGg9QmVhcmVy"
        "IEV3QkFBbDNCQUFVRkZwVUFvN0ozVmUwYmpMQldaV0NjbFJDM0VvQUEBAQ==",
    ),
    (
        "someuser@example.com",
        "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg",
        "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ==",
    ),
]
# The page's failing POP exchange: the same text, cut one character short.
VENDOR_TRUNCATED = VENDOR[1][2][:-1]

users = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1)
tokens = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1)
ENDS_A_FIELD = ["\x01", "\r", "\n", "\r\n", "\x00"]


@pytest.mark.parametrize(("user", "token", "text"), VENDOR)
def test_the_vendors_samples_are_what_we_make(user, token, text):
    """Encoding the page's user and token gives the page's base64, and decoding gives them back."""
    assert xoauth2.encode(user, token) == text
    assert xoauth2.decode(text) == (user, token)


@given(users, tokens)
def test_what_is_encoded_decodes_to_the_same(user, token):
    """For every user and token that can be sent, decode undoes encode; the text is one line of ASCII."""
    text = xoauth2.encode(user, token)
    assert text.isascii()
    assert not set(text) & set("\r\n ")
    assert xoauth2.decode(text) == (user, token)
    assert base64.b64decode(text) == b"user=" + user.encode() + b"\x01auth=Bearer " + token.encode() + b"\x01\x01"


def _refusal(user: str, token: str) -> UsageError:
    with pytest.raises(UsageError) as refused:
        xoauth2.encode(user, token)
    return refused.value


@given(st.sampled_from(ENDS_A_FIELD), users, tokens, st.booleans(), st.integers(0, 50))
def test_nothing_breaks_out_of_its_field(end, user, token, in_user, place):
    """0x01, CR, LF and NUL are refused in user and token alike, and the refusal repeats no token."""
    if in_user:
        user = user[:place] + end + user[place:]
    else:
        token = token[:place] + end + token[place:]
    with pytest.raises(UsageError) as refused:
        xoauth2.encode(user, token)
    if not in_user:
        assert str(refused.value) == str(_refusal("a@b", "\x01"))  # the same words whatever the token


@pytest.mark.parametrize(("user", "token"), [("", "abc"), ("a@b", ""), ("a@b", "a b"), ("a@b", "ä"), ("\ud800", "abc")])
def test_empty_or_odd_input_is_refused(user, token):
    """No user, no token, a space or a letter beyond ASCII in the token, half a character in the user: refused."""
    with pytest.raises(UsageError):
        xoauth2.encode(user, token)


def _b64(text: bytes) -> str:
    return base64.b64encode(text).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ä",
        VENDOR_TRUNCATED,
        VENDOR[0][2][:60] + "\n" + VENDOR[0][2][60:],  # the page breaks it "for readability"; the wire does not
        VENDOR[0][2].rstrip("=") + "==" + "AAAA",
        VENDOR[0][2][:-3] + "R==",  # the same bytes, but not how base64 writes them
        _b64(b"user=a@b\x01auth=Bearer tok\x01"),
        _b64(b"user=\x01auth=Bearer tok\x01\x01"),  # an early edition of the page drops the user
        _b64(b"user=a@b\x01auth=Bearer \x01\x01"),
        _b64(b"user=a@b\x01auth=bearer tok\x01\x01"),
        _b64(b"user=a@b^Aauth=Bearer tok^A^A"),
        _b64(b"user=a@b\x01auth=Bearer tok\x01\x01\n"),
        _b64(b"user=a@b\x01host=x\x01auth=Bearer tok\x01\x01"),  # RFC 7628's OAUTHBEARER is another mechanism
        _b64(b"user=a\nb\x01auth=Bearer tok\x01\x01"),
        _b64(b"user=a\xff\x01auth=Bearer tok\x01\x01"),
    ],
)
def test_decoding_is_strict(text):
    """Whatever is not exactly the vendor's form is refused, without repeating it."""
    with pytest.raises(UsageError) as refused:
        xoauth2.decode(text)
    assert not text or text not in f"{refused.value}{refused.value.hint}"
