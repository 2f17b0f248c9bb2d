"""Servers, and men in the middle, that want the token before TLS is verified. What counts is what they received."""

import contextlib
import datetime
import ssl
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exosp.mail import PROBES
from hostile.rogue import GOOD, PROTOCOLS, TOKEN, USER, Rogue, Visit, check, has_token
from scripted import DAY, NOW, Authority, Peer

LOCALHOST = "localhost"


def forged(
    folder: Path, *, signer: Authority | None, name: str = LOCALHOST, start: datetime.datetime = NOW - DAY,
    until: datetime.datetime = NOW + DAY, use: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH, listed: bool = True,
) -> ssl.SSLContext:  # fmt: skip
    """A server's certificate, by ``signer`` or by itself. ``listed``: the name stands where names are looked for."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(signer.name if signer else subject)
        .public_key(key.public_key()).serial_number(x509.random_serial_number()).not_valid_before(start).not_valid_after(until)
        .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
    )  # fmt: skip
    if listed:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    path = folder / "forged.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + builder.sign(signer.key if signer else key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def _old(version: ssl.TLSVersion) -> Callable[[Path, Authority], ssl.SSLContext]:
    def make(folder: Path, authority: Authority) -> ssl.SSLContext:
        context = forged(folder, signer=authority)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
        return context

    return make


def _other_authority(folder: Path, authority: Authority) -> ssl.SSLContext:
    folder.joinpath("other").mkdir()
    return forged(folder, signer=Authority(folder / "other"))


# What is wrong with the server's TLS -> how it is made, and what the reading says of it.
BAD_TLS: Mapping[str, tuple[Callable[[Path, Authority], ssl.SSLContext], str]] = {
    "expired": (lambda f, a: forged(f, signer=a, start=NOW - 3 * DAY, until=NOW - DAY), "certificate has expired"),
    "not yet valid": (lambda f, a: forged(f, signer=a, start=NOW + DAY, until=NOW + 2 * DAY), "certificate is not yet valid"),
    "self-signed": (lambda f, a: forged(f, signer=None), "self-signed certificate"),
    "another authority's": (_other_authority, "unable to get local issuer certificate"),
    "another name's": (lambda f, a: forged(f, signer=a, name="mail.example.org"), "Hostname mismatch"),
    "a wildcard too wide": (lambda f, a: forged(f, signer=a, name="*"), "Hostname mismatch"),
    "a name in the wrong place": (lambda f, a: forged(f, signer=a, listed=False), "Hostname mismatch"),
    "a client's": (lambda f, a: forged(f, signer=a, use=ExtendedKeyUsageOID.CLIENT_AUTH), "certificate purpose"),
    "TLS 1.0": (_old(ssl.TLSVersion.TLSv1), "TLS failed"),
    "TLS 1.1": (_old(ssl.TLSVersion.TLSv1_1), "TLS failed"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")  # the old versions are the point
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("wrong", BAD_TLS)
def test_tls_that_does_not_verify_gets_nothing(rogue: Rogue, authority: Authority, tmp_path: Path, protocol: str, wrong: str) -> None:  # fmt: skip
    """The login ends at stage tls with the reason; not one byte follows under that TLS, nor in the clear but STARTTLS."""
    make, words = BAD_TLS[wrong]
    context = make(tmp_path, authority)
    reading, visit = rogue.meet(protocol, rogue.dialogue(protocol, GOOD[protocol], context=context))
    check(reading, visit)
    assert (reading.stage, reading.ok, reading.unreachable) == ("tls", False, True)
    assert words in reading.server
    assert visit.under_tls == b""
    assert visit.steps == (["EHLO", "STARTTLS"] if protocol == "smtp" else [])


def _bytes(data: bytes) -> Callable[[Peer, Visit], None]:
    def play(peer: Peer, visit: Visit) -> None:
        peer.send(data)
        while True:
            peer.hear()

    return play


# Where a handshake is due -> what comes instead.
NO_TLS = {
    "the protocol in the clear": b"* OK no TLS here\r\n",
    "a challenge": b"+ \r\n",
    "HTTP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "an alert": b"\x15\x03\x03\x00\x02\x02\x28",
    "a record too long": b"\x16\x03\x03\xff\xff" + b"A" * 20000,
    "a record that is none": b"\x16\x03\x03\x00\x04\x02\x00\x00\x00",
    "zeros": b"\0" * 4096,
}


@pytest.mark.parametrize("protocol", ["imap", "pop"])
@pytest.mark.parametrize("instead", NO_TLS)
def test_no_handshake_no_token(rogue: Rogue, protocol: str, instead: str) -> None:
    """Whatever answers a ClientHello that is no TLS: stage tls, and the server has a ClientHello and nothing else."""

    def play(peer: Peer, visit: Visit) -> None:
        peer.send(NO_TLS[instead])
        visit.plain.append(peer.socket.recv(65536))
        raise EOFError

    reading, visit = rogue.meet(protocol, play)
    assert (reading.stage, reading.ok) == ("tls", False)
    assert not has_token(visit.in_the_clear)
    assert visit.in_the_clear[:1] == b"\x16"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_handshake_that_drips_meets_the_deadline(rogue: Rogue, protocol: str) -> None:
    """A byte of a handshake now and then does not renew the time: it is the whole probe's."""

    def drip(peer: Peer) -> None:
        peer.socket.recv(4096)
        for byte in b"\x16\x03\x03\x3f\xff" + b"\x02" * 4000:
            peer.socket.sendall(bytes([byte]))
            peer.socket.settimeout(0.02)
            try:
                if not peer.socket.recv(4096):
                    return
            except TimeoutError:
                pass

    def play(peer: Peer, visit: Visit) -> None:
        if protocol == "smtp":
            for step in ("greeting", "EHLO", "STARTTLS"):
                peer.send(GOOD["smtp"][step])
                if step != "STARTTLS":
                    peer.hear()
        drip(peer)

    reading, visit = rogue.meet(protocol, play, timeout=0.5)
    check(reading, visit)
    assert (reading.stage, reading.unreachable) == ("tls", True)
    assert reading.server.endswith("no answer within 0.5 s")


# -- STARTTLS ---------------------------------------------------------------------------------------------------------

# What a man in the middle makes of the dialogue in the clear: changed answers, the stage where the login ends.
STRIPPED: Mapping[str, tuple[Mapping[str, bytes], str]] = {
    "not offered": ({"EHLO": b"250-hello\r\n250 SIZE 1\r\n"}, "capability"),
    "AUTH offered instead": ({"EHLO": b"250-hello\r\n250 AUTH XOAUTH2\r\n"}, "capability"),
    "spelled otherwise": ({"EHLO": b"250-hello\r\n250-AUTH XOAUTH2\r\n250 STARTTLSX\r\n"}, "capability"),
    "EHLO refused": ({"EHLO": b"502 no\r\n"}, "capability"),
    "refused": ({"STARTTLS": b"454 not now\r\n"}, "tls"),
    "answered as if done": ({"STARTTLS": b"250 fine\r\n"}, "tls"),
    "answered with a challenge": ({"STARTTLS": b"334 \r\n"}, "tls"),
    "answered with a success": ({"STARTTLS": b"235 you are in\r\n"}, "tls"),
    "answered with nothing": ({"STARTTLS": b"\r\n"}, "tls"),
    "greeting refused": ({"greeting": b"554 no\r\n"}, "greeting"),
    "greeting that asks for the token": ({"greeting": b"334 \r\n"}, "greeting"),
}  # fmt: skip


@pytest.mark.parametrize("how", STRIPPED)
def test_starttls_stripped_gets_no_token(rogue: Rogue, how: str) -> None:
    """Without TLS there is no AUTH, however the clear-text dialogue is bent."""
    changes, stage = STRIPPED[how]
    reading, visit = rogue.meet("smtp", rogue.dialogue("smtp", GOOD["smtp"] | changes, patience=0.2))
    check(reading, visit)
    assert (reading.stage, reading.ok) == (stage, False)
    assert not visit.secured


def test_a_server_that_says_go_and_goes_on_in_the_clear_gets_no_token(rogue: Rogue) -> None:
    """STARTTLS is offered and taken, and no TLS comes: the rest of a good dialogue in the clear draws nothing out."""

    def play(peer: Peer, visit: Visit) -> None:
        for said in GOOD["smtp"].values():
            peer.send(said)
            peer.socket.settimeout(5)
            visit.plain.append(peer.socket.recv(65536))

    reading, visit = rogue.meet("smtp", play)
    check(reading, visit)
    assert (reading.stage, reading.ok) == ("tls", False)
    assert visit.plain[1] == b"STARTTLS\r\n"


# CVE-2011-0411 the other way round: answers that stand behind STARTTLS's own in the clear.
INJECTED = {
    "a forged EHLO": b"250 AUTH XOAUTH2\r\n",
    "a challenge": b"250-x\r\n250 AUTH XOAUTH2\r\n334 \r\n",
    "a whole login": b"250 AUTH XOAUTH2\r\n334 \r\n235 in\r\n250 sent\r\n",
    "half a line": b"250-AUTH XOAU",
    "a line's end": b"\r\n",
}


@pytest.mark.parametrize("what", INJECTED)
def test_what_is_injected_behind_starttls_is_forgotten(rogue: Rogue, what: str) -> None:
    """A server that offers no XOAUTH2 under TLS gets no token, whatever was slipped in before; one that does is asked."""
    injected = {"STARTTLS": GOOD["smtp"]["STARTTLS"] + INJECTED[what]}
    bare = {"EHLO+": b"250 nothing to offer\r\n"}
    reading, visit = rogue.meet("smtp", rogue.dialogue("smtp", GOOD["smtp"] | injected | bare))
    check(reading, visit)
    assert (reading.stage, reading.server) == ("capability", "250 nothing to offer")
    assert b"AUTH" not in visit.under_tls
    reading, visit = rogue.meet("smtp", rogue.dialogue("smtp", GOOD["smtp"] | injected))
    check(reading, visit)
    assert reading.ok
    assert visit.steps == [step for step in GOOD["smtp"] if step != "greeting"]


def _clear(slow: bool) -> Callable[..., None]:
    pieces = st.sampled_from(
        [b"220 ", b"220-", b"250 ", b"250-", b"334 ", b"235 ", b"AUTH XOAUTH2", b"STARTTLS", b"\r\n", b"\n", b"\r", b"\0", b"\xff",
         b"* OK ", b"+ ", b"+OK ", b"-ERR ", b"999 ", b"454 ", b"AUTH=XOAUTH2"]
    )  # fmt: skip

    @given(answers=st.lists(st.lists(pieces | st.binary(max_size=8), max_size=8).map(b"".join), max_size=6))
    @settings(
        max_examples=250 if slow else 30, deadline=None, derandomize=not slow, database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )  # fmt: skip
    def run(rogue: Rogue, record_property: Callable[[str, object], None], answers: list[bytes]) -> None:
        """Whatever is said in the clear on the submission port: no AUTH and no token goes out."""

        def play(peer: Peer, visit: Visit) -> None:
            for answer in [b"220 hello\r\n", b"250 STARTTLS\r\n"][: len(answers) % 3] + answers:
                peer.send(answer)
                peer.socket.settimeout(0.01)
                with contextlib.suppress(TimeoutError):
                    visit.plain.append(peer.socket.recv(65536))

        reading, visit = rogue.meet("smtp", play)
        check(reading, visit)
        assert not reading.ok
        assert not has_token(visit.in_the_clear)

    return run


test_nothing_said_in_the_clear_gets_the_token = _clear(slow=False)
test_nothing_said_in_the_clear_gets_the_token_at_length = pytest.mark.slow(_clear(slow=True))


def test_a_resolver_that_is_silent_meets_the_deadline(rogue: Rogue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking up a name counts against the probe's time, and is told apart from a name that does not exist."""
    asked = threading.Event()

    def silent(*_: object, **__: object) -> None:
        asked.wait(20)
        raise OSError

    monkeypatch.setattr("socket.getaddrinfo", silent)
    reading = PROBES["imap"](rogue.endpoint, USER, TOKEN, ca=rogue.ca, timeout=0.1)
    asked.set()
    assert (reading.stage, reading.unreachable) == ("connect", True)
    assert reading.server == "no host named localhost was found within 0.1 s"
