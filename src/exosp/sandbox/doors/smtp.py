"""SMTP client submission as smtp.office365.com serves it on 587: STARTTLS, then XOAUTH2 in one step or two.

A message for a mailbox of the tenant is put into it; everything else is accepted and goes nowhere. Nothing is relayed.
Sources: RFC 5321, RFC 4954, RFC 3207; FACTS §4a and §13; vendor page, SMTP protocol exchange; transcripts in ``wording``.
Not imitated: BDAT (CHUNKING, BINARYMIME), delivery status notifications asked for by NOTIFY, Sent Items, the token's end
within a session, the seconds that Exchange waits before it refuses.
"""

import asyncio
import base64
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from weakref import WeakKeyDictionary

from ..exchange import Exchange
from ..tenant import Tenant
from . import access, submission, wording
from .lines import Connection, HungUp, Limits, LineTooLong, TimedOut, place
from .submission import Answer, Envelope

LIMITS = Limits(idle=300.0)
MAX_MESSAGE = 35 * 1024 * 1024  # bytes; Exchange Online's default MaxSendSize
IN_MEMORY = 1024 * 1024  # bytes of a message that is still coming in
MAX_RECIPIENTS = 1000  # Exchange Online's largest RecipientLimits
MAX_SENDING = 3  # connections that may send at once for one mailbox (FACTS §4a, §13)

VERBS = frozenset({"EHLO", "HELO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "RSET", "NOOP", "QUIT", "HELP", "VRFY"})

_OFF = {
    access.Reason.SMTP_OFF_TENANT: wording.SMTP_OFF.replace("{where}", "Tenant"),
    access.Reason.SMTP_OFF_MAILBOX: wording.SMTP_OFF.replace("{where}", "Mailbox"),
}

# Who sends for which mailbox just now, by its Guid. A reset makes a new Exchange and so forgets them all.
_sending: WeakKeyDictionary[Exchange, dict[str, set[int]]] = WeakKeyDictionary()


class _Close(Exception):
    """The session is over; the last line has been sent."""


async def serve(tenant: Tenant, tls: ssl.SSLContext, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:  # fmt: skip
    """Serve one client, in the clear until STARTTLS, to its end."""
    connection = Connection(reader, writer, LIMITS)
    with place(tenant, "smtp", LIMITS.connections) as placed:
        session = _Session(tenant, tls, connection)
        try:
            if placed:
                await session.run()
            else:
                await connection.send(wording.SMTP_TOO_MANY)
        except (HungUp, _Close):
            pass
        finally:
            session.end_transaction()
            await connection.close()


class _Session:
    def __init__(self, tenant: Tenant, tls: ssl.SSLContext, connection: Connection) -> None:
        self.tenant = tenant
        self.exchange = tenant.exchange
        self.tls = tls
        self.connection = connection
        self.secure = False
        self.failures = 0
        self.helo = ""
        self.extended = False
        self.admission: access.Opened | access.NotConnected | None = None
        self.envelope: Envelope | None = None
        self.handlers: dict[str, Callable[[str], Awaitable[None]]] = {
            "EHLO": self._ehlo, "HELO": self._hello, "STARTTLS": self._starttls, "AUTH": self._auth, "MAIL": self._mail,
            "RCPT": self._rcpt, "DATA": self._data, "RSET": self._rset, "NOOP": self._noop, "QUIT": self._quit,
            "HELP": self._help, "VRFY": self._vrfy,
        }  # fmt: skip

    async def run(self) -> None:
        host, now = wording.smtp_host(self.tenant), wording.date(self.tenant)
        await self.connection.send(f"220 {host} Microsoft ESMTP MAIL Service ready at {now}")
        while True:
            line = (await self._line()).decode("utf-8", "replace")
            if self.tenant.exchange is not self.exchange:  # the tenant has been reset: this login is no more
                await self._close("421 4.3.2 Service not available")
            verb, _, rest = line.partition(" ")
            verb = verb.upper()
            self.tenant.count("smtp", verb if verb in VERBS else "OTHER")
            if self.tenant.options.latency:
                await asyncio.sleep(self.tenant.options.latency)
            handler = self.handlers.get(verb)
            if handler is None:
                await self._failure(self._stamped(wording.SMTP_UNKNOWN))
            else:
                await handler(rest.strip())

    async def _line(self) -> bytes:
        try:
            return await self.connection.line()
        except LineTooLong:
            await self._close("500 5.5.2 Line too long")
        except TimedOut:
            await self._close(wording.SMTP_TIMED_OUT)
        raise AssertionError("closed above")

    async def _close(self, last: str) -> None:
        await self.connection.send(last)
        raise _Close

    async def _failure(self, text: str) -> None:
        await self.connection.send(text)
        self.failures += 1
        if self.failures >= LIMITS.failures:
            await self._close(wording.SMTP_TOO_MANY_ERRORS)

    def _stamped(self, text: str, **values: str) -> str:
        return text.format(stamp=wording.stamp(self.tenant), backend=wording.back_end(self.tenant), **values)

    # -- greeting and TLS --------------------------------------------------------------------------------------------

    async def _ehlo(self, argument: str) -> None:
        if not await self._greeted(argument, extended=True):
            return
        offers = wording.SMTP_AFTER_TLS if self.secure else wording.SMTP_BEFORE_TLS
        first = f"250-{wording.smtp_host(self.tenant)} Hello [{self.connection.peer}]"
        await self.connection.send(first, *(f"250-{offer}" for offer in offers[:-1]), f"250 {offers[-1]}")

    async def _hello(self, argument: str) -> None:
        if await self._greeted(argument, extended=False):
            await self.connection.send(f"250 {wording.smtp_host(self.tenant)} Hello [{self.connection.peer}]")

    async def _greeted(self, argument: str, *, extended: bool) -> bool:
        if not argument or any(c.isspace() for c in argument):
            await self._failure("501 5.5.4 Invalid domain name")
            return False
        self.helo, self.extended = argument, extended
        self.end_transaction()
        return True

    async def _starttls(self, argument: str) -> None:
        if self.secure:
            await self._failure("503 5.5.2 Only one STARTTLS command can be issued in a session")
            return
        if argument:
            await self._failure("501 5.5.4 Unrecognized parameter")
            return
        await self.connection.start_tls(self.tls, wording.SMTP_READY_TLS)
        # All that was said in the clear is forgotten (RFC 3207 §4.2).
        self.secure, self.helo = True, ""
        self.end_transaction()

    # -- logging in --------------------------------------------------------------------------------------------------

    async def _auth(self, argument: str) -> None:
        mechanism, _, initial = argument.partition(" ")
        mechanism = mechanism.upper()
        if not self.secure or not self.extended or not self.helo or mechanism not in {"XOAUTH2", "LOGIN"}:
            await self._failure(self._stamped(wording.SMTP_MECHANISM))
        elif self.admission is not None or self.envelope is not None:
            await self._failure("503 5.5.2 Bad sequence of commands")
        elif mechanism == "LOGIN":
            await self._password(initial)
        else:
            response = initial.encode() or await self._response("334 ")
            if response is not None:
                await self._xoauth2(response)

    async def _password(self, initial: str) -> None:
        """AUTH LOGIN is still offered and no password is taken (FACTS §4a, §11). Where SMTP AUTH is off, that is the
        reason given, as for a token (nodemailer#1484)."""
        user = initial.encode() or await self._response("334 VXNlcm5hbWU6")
        if user is None or await self._response("334 UGFzc3dvcmQ6") is None:
            return
        try:
            mailbox = self.exchange.by_address(base64.b64decode(user).decode())
        except ValueError:
            mailbox = None
        off = access.switched_off(self.exchange, "smtp", mailbox) if mailbox else None
        await self._failure(self._stamped(_OFF[off] if off else wording.SMTP_BASIC))

    async def _response(self, challenge: str) -> bytes | None:
        """The client's answer to a challenge; None when it cancels with an asterisk (RFC 4954 §4), which is answered here."""
        await self.connection.send(challenge)
        line = await self._line()
        if line != b"*":
            return line
        await self._failure(wording.SMTP_AUTH_CANCELLED)
        return None

    async def _xoauth2(self, response: bytes) -> None:
        admission = access.log_in(self.tenant, "smtp", response)
        if not isinstance(admission, access.Opened) and admission.waiting:
            self.tenant.faults.note(admission.waiting)
        match admission:
            case access.AuthRefused(reason=reason):
                await self._failure(self._stamped(_OFF.get(reason, wording.SMTP_AUTH_REFUSED)))
            case access.Opened() | access.NotConnected():
                self.admission = admission
                await self.connection.send(wording.SMTP_AUTH_DONE)

    # -- a message ---------------------------------------------------------------------------------------------------

    async def _mail(self, argument: str) -> None:
        if not self.helo:
            await self._failure("503 5.5.2 Send hello first")
        elif self.admission is None:
            # Before STARTTLS too: there is no AUTH to have done.
            await self._failure(self._stamped(wording.SMTP_NOT_AUTHENTICATED))
        elif self.envelope is not None:
            await self._failure("503 5.5.2 Sender already specified")
        else:
            path = submission.mail_from(argument)
            if isinstance(path, str):
                await self._failure(path)
            elif path.size > submission.ADVERTISED_SIZE or path.size > MAX_MESSAGE:
                await self.connection.send(wording.SMTP_TOO_LARGE)
            else:
                self.envelope = Envelope(path.address)
                self._crowd().add(id(self))
                await self.connection.send("250 2.1.0 Sender OK")

    async def _rcpt(self, argument: str) -> None:
        if self.envelope is None:
            await self._failure("503 5.5.2 Need mail command")
            return
        path = submission.rcpt_to(argument)
        if isinstance(path, str):
            await self._failure(path)
        elif len(self.envelope.recipients) >= MAX_RECIPIENTS:
            await self.connection.send("452 4.5.3 Too many recipients")
        else:
            self.envelope.recipients.append(path.address)
            await self.connection.send("250 2.1.5 Recipient OK")

    async def _data(self, argument: str) -> None:
        if self.envelope is None:
            await self._failure("503 5.5.2 Need mail command")
            return
        if not self.envelope.recipients:
            await self._failure("503 5.5.2 Need rcpt command")
            return
        await self.connection.send(wording.SMTP_GO_AHEAD)
        data = await self._body()
        envelope, crowded = self.envelope, len(self._crowd()) > MAX_SENDING
        self.end_transaction()
        if data is None:
            await self.connection.send(wording.SMTP_TOO_LARGE)
        elif crowded:
            await self.connection.send(self._stamped(wording.SMTP_CONCURRENCY))
        else:
            answer = self._submit(envelope, data)
            if answer.text:
                await self.connection.send(answer.text)
            if answer.close:
                raise _Close

    async def _body(self) -> bytes | None:
        """The message up to the lone dot, unstuffed; None when it is larger than allowed (it is read all the same).

        Until it is whole, what is larger than a letter waits on disk: a client that never ends costs no memory."""
        size = 0
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as held:
            try:
                async for piece in self.connection.dotted():
                    size += len(piece)
                    if size <= MAX_MESSAGE:
                        held.write(piece)
                    else:
                        held.seek(0)
                        held.truncate()
            except TimedOut:
                await self._close(wording.SMTP_TIMED_OUT)
            held.seek(0)
            return held.read() if size <= MAX_MESSAGE else None

    def _submit(self, envelope: Envelope, data: bytes) -> Answer:
        """Hand the message in; the answer to it."""
        assert self.admission is not None
        if isinstance(self.admission, access.NotConnected):
            self.tenant.faults.note("smtp-without-grant")
            return Answer(self._stamped(wording.SMTP_LOGON_FAILURE))
        tenant, peer = self.tenant, self.connection.peer
        return submission.submit(tenant, self.admission, envelope, data, helo=self.helo, peer=peer)

    def _crowd(self) -> set[int]:
        """The sessions that are sending for this session's mailbox."""
        assert self.admission is not None
        guid = self.admission.mailbox.properties["Guid"]
        return _sending.setdefault(self.exchange, {}).setdefault(guid, set())

    def end_transaction(self) -> None:
        self.envelope = None
        if self.admission is not None:
            self._crowd().discard(id(self))

    # -- the rest ----------------------------------------------------------------------------------------------------

    async def _rset(self, argument: str) -> None:
        self.end_transaction()
        await self.connection.send("250 2.0.0 Resetting")

    async def _noop(self, argument: str) -> None:
        await self.connection.send("250 2.0.0 OK")

    async def _vrfy(self, argument: str) -> None:
        await self.connection.send("252 2.1.5 Cannot VRFY user")

    async def _help(self, argument: str) -> None:
        await self.connection.send(
            "214-This server supports the following commands:",
            "214 HELO EHLO STARTTLS RCPT DATA RSET MAIL QUIT HELP AUTH NOOP VRFY",
        )

    async def _quit(self, argument: str) -> None:
        await self._close(wording.SMTP_BYE)
