"""POP3 over TLS as Exchange Online serves it: XOAUTH2 in two steps, passwords refused.

Sources: RFC 1939, RFC 2449, RFC 5034; FACTS §4a and §13; vendor page, POP protocol exchange.
Not imitated: APOP and STLS (Exchange Online offers neither on 995), message locks between sessions, the token's end
within a session, Exchange's own numbers behind "Protocol error" beyond the two that are on record.
"""

import asyncio
from collections.abc import Awaitable, Callable

from ..tenant import Tenant
from . import access, store, wording, xoauth2
from .lines import Connection, HungUp, Limits, LineTooLong, TimedOut, place

LIMITS = Limits()

# Since 2025-07 the front end refuses longer tokens with a protocol error (MailKit#1948).
LONGEST_TOKEN = 4096

VERBS = frozenset({"CAPA", "AUTH", "USER", "PASS", "STAT", "LIST", "UIDL", "RETR", "TOP", "DELE", "RSET", "NOOP", "QUIT"})  # fmt: skip


class _Close(Exception):
    """The session is over; the last line has been sent."""


async def serve(tenant: Tenant, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one client on a connection that is already under TLS, to its end."""
    connection = Connection(reader, writer, LIMITS)
    with place(tenant, "pop", LIMITS.connections) as placed:
        try:
            if placed:
                await _Session(tenant, connection).run()
            else:
                await connection.send(wording.POP_CLOSED)
        except (HungUp, _Close):
            pass
        finally:
            await connection.close()


class _Session:
    def __init__(self, tenant: Tenant, connection: Connection) -> None:
        self.tenant = tenant
        self.exchange = tenant.exchange
        self.connection = connection
        self.failures = 0
        self.admission: access.Opened | access.NotConnected | None = None
        # What the session sees is fixed when it opens the mailbox (RFC 1939 §5).
        self.messages: list[store.Message] = []
        self.deleted: set[int] = set()
        self.user = ""
        self.handlers: dict[str, Callable[[list[str]], Awaitable[None]]] = {
            "STAT": self._stat, "LIST": self._list, "UIDL": self._uidl, "RETR": self._retr, "TOP": self._top,
            "DELE": self._dele, "RSET": self._rset, "NOOP": self._noop,
        }  # fmt: skip

    async def run(self) -> None:
        await self.connection.send(f"+OK {wording.greeting(self.tenant, 'POP3')}")
        while True:
            try:
                line = await self.connection.line()
            except LineTooLong:
                await self._close(wording.POP_PROTOCOL_ERROR)
            except TimedOut:
                await self._close(wording.POP_CLOSED)
            if self.tenant.exchange is not self.exchange:  # the tenant has been reset: this mailbox is no more
                await self._close(wording.POP_CLOSED)
            await self._command(line.decode("utf-8", "replace"))

    async def _close(self, last: str) -> None:
        await self.connection.send(last)
        raise _Close

    async def _command(self, line: str) -> None:
        verb, *arguments = line.split() or [""]
        verb = verb.upper()
        self.tenant.count("pop", verb if verb in VERBS else "OTHER")
        if self.tenant.options.latency:
            await asyncio.sleep(self.tenant.options.latency)
        if verb == "QUIT":
            await self._quit()
        elif verb == "CAPA":
            await self.connection.send("+OK", *wording.POP_CAPABILITIES, ".")
        elif verb in {"AUTH", "USER", "PASS"}:
            if self.admission is not None:
                await self._failure(wording.POP_STATE)
            elif verb == "AUTH":
                await self._auth(arguments)
            else:
                await self._password(verb, arguments)
        elif verb not in self.handlers:
            await self._failure(wording.POP_UNKNOWN)
        elif self.admission is None:
            await self._failure(wording.POP_STATE)
        elif isinstance(self.admission, access.NotConnected):
            await self._failure(wording.POP_NOT_CONNECTED)
        else:
            await self.handlers[verb](arguments)

    async def _failure(self, text: str) -> None:
        await self.connection.send(text)
        self.failures += 1
        if self.failures >= LIMITS.failures:
            await self._close(wording.POP_CLOSED)

    # -- logging in --------------------------------------------------------------------------------------------------

    async def _password(self, verb: str, arguments: list[str]) -> None:
        """Basic authentication is off for POP3 (FACTS §13: "Logon failure" answers passwords)."""
        if verb == "USER" and arguments:
            self.user = arguments[0]
            await self.connection.send("+OK")
        elif verb == "PASS" and self.user:
            await self._failure(wording.POP_LOGON_REFUSED)
        else:
            await self._failure(wording.POP_STATE)

    async def _auth(self, arguments: list[str]) -> None:
        if not arguments:
            await self.connection.send("+OK", "PLAIN", "XOAUTH2", ".")
            return
        mechanism = arguments[0].upper()
        if mechanism not in {"XOAUTH2", "PLAIN"}:
            await self._failure(wording.POP_UNKNOWN)
            return
        if len(arguments) > 1:  # an initial response on the same line (getmail6#256, vmime#267)
            await self._close(wording.POP_PROTOCOL_ERROR)
        await self.connection.send("+ ")
        try:
            response = await self.connection.line()
        except LineTooLong:
            await self._close(wording.POP_PROTOCOL_ERROR)
        except TimedOut:
            await self._close(wording.POP_CLOSED)
        if mechanism == "PLAIN":
            await self._failure(wording.POP_LOGON_REFUSED)
        else:
            await self._xoauth2(response)

    async def _xoauth2(self, response: bytes) -> None:
        credentials = xoauth2.decode(response)
        if credentials is not None and len(credentials.token) > LONGEST_TOKEN:
            await self._close(wording.POP_PROTOCOL_ERROR)
        admission = access.log_in(self.tenant, "pop", response)
        if not isinstance(admission, access.Opened) and admission.waiting:
            self.tenant.faults.note(admission.waiting)
        match admission:
            case access.AuthRefused():
                await self._failure(wording.POP_AUTH_REFUSED)
                return
            case access.NotConnected():
                pass
            case access.Opened():
                self.messages = list(store.present(self.tenant, admission.mailbox))
        self.admission = admission
        await self.connection.send(wording.POP_AUTH_DONE)

    # -- the mailbox -------------------------------------------------------------------------------------------------

    def _left(self) -> list[tuple[int, store.Message]]:
        """Messages not marked for deletion, with their numbers."""
        return [(n, m) for n, m in enumerate(self.messages, 1) if n not in self.deleted]

    def _pick(self, text: str) -> store.Message | None:
        number = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
        return dict(self._left()).get(number)

    async def _stat(self, arguments: list[str]) -> None:
        left = self._left()
        await self.connection.send(f"+OK {len(left)} {sum(len(store.raw(m)) for _, m in left)}")

    async def _list(self, arguments: list[str]) -> None:
        await self._listing(arguments, lambda m: str(len(store.raw(m))))

    async def _uidl(self, arguments: list[str]) -> None:
        await self._listing(arguments, lambda m: str(m["uid"]))

    async def _listing(self, arguments: list[str], show: Callable[[store.Message], str]) -> None:
        if not arguments:
            await self.connection.send("+OK", *(f"{n} {show(m)}" for n, m in self._left()), ".")
            return
        message = self._pick(arguments[0])
        if message is None:
            await self.connection.send(wording.POP_RANGE)
        else:
            await self.connection.send(f"+OK {int(arguments[0])} {show(message)}")

    async def _retr(self, arguments: list[str]) -> None:
        await self._text(arguments[:1], None)

    async def _top(self, arguments: list[str]) -> None:
        if len(arguments) < 2 or not (arguments[1].isascii() and arguments[1].isdecimal()):
            await self._failure(wording.POP_UNKNOWN)
            return
        await self._text(arguments[:1], int(arguments[1][:9]))

    async def _text(self, arguments: list[str], body_lines: int | None) -> None:
        """Send a message, or its header and so many lines of its body, dot-stuffed."""
        message = self._pick(arguments[0]) if arguments else None
        if message is None:
            await self.connection.send(wording.POP_RANGE)
            return
        data = store.raw(message)
        if body_lines is not None:
            head, gap, body = data.partition(b"\r\n\r\n")
            data = head + gap + b"\r\n".join(body.split(b"\r\n")[:body_lines])
        if not data.endswith(b"\r\n"):
            data += b"\r\n"
        stuffed = data.replace(b"\r\n.", b"\r\n..")
        await self.connection.write(b"+OK\r\n" + (b"." if stuffed.startswith(b".") else b"") + stuffed + b".\r\n")

    async def _dele(self, arguments: list[str]) -> None:
        if not arguments or self._pick(arguments[0]) is None:
            await self.connection.send(wording.POP_RANGE)
        else:
            self.deleted.add(int(arguments[0]))
            await self.connection.send("+OK")

    async def _rset(self, arguments: list[str]) -> None:
        self.deleted.clear()
        await self.connection.send("+OK")

    async def _noop(self, arguments: list[str]) -> None:
        await self.connection.send("+OK")

    async def _quit(self) -> None:
        if isinstance(self.admission, access.Opened):
            store.remove(self.admission.mailbox, {self.messages[n - 1]["uid"] for n in self.deleted})
        await self._close(wording.POP_SIGNING_OFF)
