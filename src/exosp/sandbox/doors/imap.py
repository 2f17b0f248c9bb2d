"""IMAP4rev1 over TLS as Exchange Online serves it: XOAUTH2 with and without an initial response, passwords refused.

A login whose mailbox does not open is authenticated all the same; the next commands tell (FACTS §4a).
Sources: RFC 3501, RFC 4959, RFC 2177, RFC 2971, RFC 3691, RFC 4315 (UIDPLUS), RFC 6851 (MOVE); transcripts in ``wording``.
Not imitated: any folder but INBOX; APPEND and changes of folders (refused by name); BINARY; \\Recent; the reasons Exchange sometimes appends to a refusal.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable

from ..tenant import Tenant
from . import access, wording
from .imap_folder import UIDVALIDITY, Folder
from .imap_syntax import LITERAL, Argument, Malformed, Text, names_inbox, parse, size, word
from .lines import Connection, HungUp, Limits, LineTooLong, TimedOut, place

LIMITS = Limits()
LARGEST_DISCARDED = 50 * 1024 * 1024  # bytes of one literal, as of an APPEND, that are read and thrown away
IDLE_POLL = 0.2  # wall seconds between two looks at the mailbox during IDLE

# Verbs by the state from which they are taken (RFC 3501 §6); the rest is no command.
ANY_TIME = frozenset({"CAPABILITY", "NOOP", "LOGOUT", "ID"})
BEFORE_LOGIN = frozenset({"AUTHENTICATE", "LOGIN"})
AFTER_LOGIN = frozenset({"SELECT", "EXAMINE", "LIST", "LSUB", "NAMESPACE", "STATUS", "IDLE", "SUBSCRIBE", "UNSUBSCRIBE"})  # fmt: skip
NOT_EMULATED = frozenset({"APPEND", "CREATE", "DELETE", "RENAME"})
SELECTED = frozenset({"COPY", "MOVE", "FETCH", "STORE", "SEARCH", "UID", "EXPUNGE", "CLOSE", "UNSELECT", "CHECK"})
VERBS = ANY_TIME | BEFORE_LOGIN | AFTER_LOGIN | NOT_EMULATED | SELECTED
# What the front end answers itself when the mailbox is not open (MailKit#1496: CAPABILITY is).
FRONT_END = frozenset({"CAPABILITY", "LOGOUT"})


class _Close(Exception):
    """The session is over; the last line has been sent."""


class _Refuse(Exception):
    """The tagged answer to a command that is not done."""


async def serve(tenant: Tenant, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one client on a connection that is already under TLS, to its end."""
    connection = Connection(reader, writer, LIMITS)
    with place(tenant, "imap", LIMITS.connections) as placed:
        try:
            if placed:
                await _Session(tenant, connection).run()
            else:
                await connection.send(wording.IMAP_CLOSED)
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
        self.refused = 0  # commands refused because the mailbox is not open
        self.folder: Folder | None = None
        self.handlers: dict[str, Callable[[list[Argument]], Awaitable[str]]] = {
            "CAPABILITY": self._capability, "NOOP": self._done("NOOP"), "LOGOUT": self._logout, "ID": self._id,
            "LOGIN": self._login, "SELECT": self._select("SELECT"), "EXAMINE": self._select("EXAMINE"),
            "LIST": self._list("LIST"), "LSUB": self._list("LSUB"), "NAMESPACE": self._namespace,
            "STATUS": self._status, "IDLE": self._idle, "SUBSCRIBE": self._done("SUBSCRIBE"),
            "UNSUBSCRIBE": self._done("UNSUBSCRIBE"), "CHECK": self._done("CHECK"), "CLOSE": self._close_folder,
            "UNSELECT": self._unselect, "EXPUNGE": self._expunge, "FETCH": self._fetch, "STORE": self._store,
            "SEARCH": self._search, "UID": self._uid, "COPY": self._copy, "MOVE": self._move,
        }  # fmt: skip

    # -- reading and answering ---------------------------------------------------------------------------------------

    async def run(self) -> None:
        await self.connection.send(f"* OK {wording.greeting(self.tenant, 'IMAP4')}")
        while True:
            line = await self._line()
            tag, _, rest = line.partition(b" ")
            verb, _, rest = rest.partition(b" ")
            await self._command(tag.decode("ascii", "replace"), verb.decode("ascii", "replace").upper(), rest)

    async def _line(self) -> bytes:
        try:
            return await self.connection.line()
        except (LineTooLong, TimedOut):
            await self._close(wording.IMAP_CLOSED)
        raise AssertionError("closed above")

    async def _close(self, last: str) -> None:
        await self.connection.send(last)
        raise _Close

    async def _command(self, tag: str, verb: str, rest: bytes) -> None:
        self.tenant.count("imap", verb if verb in VERBS else "OTHER")
        if self.tenant.options.latency:
            await asyncio.sleep(self.tenant.options.latency)
        await self._still_valid()
        if not re.fullmatch(r'[^\s(){%*"\\+\x00-\x1f\x7f-\uffff]+', tag):
            await self._failure("*", wording.IMAP_COMMAND_ERROR)
            return
        try:
            answer = await self._carry_out(verb, rest)
        except Malformed:
            await self._failure(tag, wording.IMAP_ARGUMENT_ERROR)
        except _Refuse as refusal:
            await self._failure(tag, str(refusal))
        else:
            await self._news(expunged=verb not in {"FETCH", "STORE", "SEARCH"})
            await self.connection.send(f"{tag} {answer}")
            if verb == "LOGOUT":
                raise _Close

    async def _still_valid(self) -> None:
        """A session ends with its token, and with its tenant: after a reset its mailbox is no more."""
        if self.tenant.exchange is not self.exchange:
            await self._close(wording.IMAP_CLOSED)
        if self.admission is not None and self.tenant.clock.now() >= self.admission.expires:
            await self._close(wording.IMAP_TOKEN_EXPIRED)

    async def _carry_out(self, verb: str, rest: bytes) -> str:
        """Do the command; its completion without the tag. Raises Malformed, _Refuse."""
        try:
            self._permitted(verb)
        except _Refuse:
            await self._discard(rest)
            raise
        if verb == "AUTHENTICATE":
            return await self._authenticate(rest)
        return await self.handlers[verb](parse(await self._chunks(rest)))

    async def _discard(self, rest: bytes) -> None:
        """Read past the literals that a refused command's client sends unasked (LITERAL+)."""
        while (form := LITERAL.search(rest)) is not None and form[2]:
            count = size(form)
            if count > LARGEST_DISCARDED:
                await self._close(wording.IMAP_CLOSED)
            try:
                await self.connection.skip(count)
            except TimedOut:
                await self._close(wording.IMAP_CLOSED)
            rest = await self._line()

    async def _failure(self, tag: str, text: str) -> None:
        lines = [f"{tag} {text}"]
        self.failures += 1
        over = self.refused >= 2 or self.failures >= LIMITS.failures
        await self.connection.send(*lines, *([wording.IMAP_CLOSED] if over else []))
        if over:
            raise _Close

    def _permitted(self, verb: str) -> None:
        if verb not in VERBS:
            raise _Refuse(wording.IMAP_COMMAND_ERROR)
        if isinstance(self.admission, access.NotConnected) and verb not in FRONT_END:
            self.refused += 1
            raise _Refuse(wording.IMAP_NOT_CONNECTED)
        if verb in BEFORE_LOGIN:
            allowed = self.admission is None
        elif verb in ANY_TIME:
            allowed = True
        else:
            allowed = self.admission is not None and (verb not in SELECTED or self.folder is not None)
        if not allowed:
            raise _Refuse(wording.IMAP_STATE_BAD)
        if verb in NOT_EMULATED:
            raise _Refuse(f"NO {verb} is not emulated.")

    async def _chunks(self, rest: bytes) -> list[bytes | Text]:
        """The command's arguments with their literals, up to the line limit in all."""
        chunks: list[bytes | Text] = []
        total = 0
        while (form := LITERAL.search(rest)) is not None:
            count = size(form)
            total += len(rest) + count
            if total > LIMITS.line:
                if form[2]:  # the client sends it unasked: there is no way on
                    await self._close(wording.IMAP_CLOSED)
                raise Malformed
            chunks.append(rest[: form.start()])
            if not form[2]:
                await self.connection.send(wording.IMAP_MORE)
            try:
                chunks.append(Text(await self.connection.exactly(count)))
            except TimedOut:
                await self._close(wording.IMAP_CLOSED)
            rest = await self._line()
        return [*chunks, rest]

    def _done(self, verb: str) -> Callable[[list[Argument]], Awaitable[str]]:
        async def handle(arguments: list[Argument]) -> str:
            return f"OK {verb} completed."

        return handle

    # -- before a folder ---------------------------------------------------------------------------------------------

    async def _capability(self, arguments: list[Argument]) -> str:
        offers = wording.IMAP_CAPABILITY if self.admission is None else wording.IMAP_CAPABILITY_AUTHENTICATED
        await self.connection.send(f"* CAPABILITY {offers}")
        return "OK CAPABILITY completed."

    async def _id(self, arguments: list[Argument]) -> str:
        await self.connection.send('* ID ("name" "Microsoft.Exchange.Imap4.Imap4Server" "version" "15.20" "environment" "emulated")')  # fmt: skip
        return "OK ID completed"

    async def _logout(self, arguments: list[Argument]) -> str:
        await self.connection.send(wording.IMAP_SIGNING_OFF)
        return "OK LOGOUT completed."

    async def _login(self, arguments: list[Argument]) -> str:
        """Basic authentication is off for IMAP."""
        if len(arguments) != 2:
            raise Malformed
        raise _Refuse(wording.IMAP_LOGIN_REFUSED)

    async def _authenticate(self, rest: bytes) -> str:
        mechanism, _, response = rest.strip().partition(b" ")
        if mechanism.upper() not in {b"XOAUTH2", b"PLAIN"}:
            raise _Refuse(wording.IMAP_AUTH_REFUSED)
        if not response:
            await self.connection.send("+ ")
            response = await self._line()
        if mechanism.upper() == b"PLAIN":
            raise _Refuse(wording.IMAP_AUTH_REFUSED)
        admission = access.log_in(self.tenant, "imap", response)
        if not isinstance(admission, access.Opened) and admission.waiting:
            self.tenant.faults.note(admission.waiting)
        if isinstance(admission, access.AuthRefused):
            raise _Refuse(wording.IMAP_AUTH_REFUSED)
        self.admission = admission
        return wording.IMAP_AUTH_DONE

    async def _namespace(self, arguments: list[Argument]) -> str:
        await self.connection.send('* NAMESPACE (("" "/")) NIL NIL')
        return "OK NAMESPACE completed."

    def _list(self, verb: str) -> Callable[[list[Argument]], Awaitable[str]]:
        async def handle(arguments: list[Argument]) -> str:
            if len(arguments) != 2:
                raise Malformed
            reference, pattern = (word(argument) for argument in arguments)
            if not pattern:
                await self.connection.send(f'* {verb} (\\Noselect \\HasChildren) "/" ""')
            else:
                if names_inbox(reference + pattern):
                    await self.connection.send(f'* {verb} (\\Marked \\HasNoChildren) "/" INBOX')
            return f"OK {verb} completed."

        return handle

    def _folder(self, *, read_only: bool) -> Folder:
        assert isinstance(self.admission, access.Opened)  # _permitted has seen to it
        return Folder(self.tenant, self.admission.mailbox, read_only=read_only)

    def _inbox(self, argument: Argument, code: str = "") -> None:
        name = word(argument)
        if name.upper() != "INBOX":
            raise _Refuse(f"NO {code}{''.join(c for c in name if c.isprintable())} doesn't exist.")

    async def _status(self, arguments: list[Argument]) -> str:
        if len(arguments) != 2 or not isinstance(arguments[1], list) or not arguments[1]:
            raise Malformed
        self._inbox(arguments[0])
        values = self._folder(read_only=True).status()
        names = [word(item).upper() for item in arguments[1]]
        if not values.keys() >= set(names):
            raise Malformed
        await self.connection.send(f"* STATUS INBOX ({' '.join(f'{name} {values[name]}' for name in names)})")
        return "OK STATUS completed."

    def _select(self, verb: str) -> Callable[[list[Argument]], Awaitable[str]]:
        async def handle(arguments: list[Argument]) -> str:
            if len(arguments) != 1:
                raise Malformed
            self.folder = None  # also when it fails (RFC 3501 §6.3.1)
            self._inbox(arguments[0])
            self.folder = self._folder(read_only=verb == "EXAMINE")
            await self.connection.send(*self.folder.introduction())
            return f"OK [{'READ-ONLY' if self.folder.read_only else 'READ-WRITE'}] {verb} completed."

        return handle

    async def _idle(self, arguments: list[Argument]) -> str:
        await self.connection.send(wording.IMAP_IDLE)
        quiet = 0.0
        while not await self.connection.waiting(IDLE_POLL):
            quiet += IDLE_POLL
            await self._still_valid()
            if quiet >= LIMITS.idle:
                await self._close(wording.IMAP_CLOSED)
            await self._news(expunged=True)
        if (await self._line()).upper() != b"DONE":
            raise _Refuse(wording.IMAP_COMMAND_ERROR)
        return "OK IDLE completed."

    async def _news(self, *, expunged: bool) -> None:
        lines = self.folder.news(expunged=expunged) if self.folder is not None else []
        if lines:
            await self.connection.send(*lines)

    # -- in the folder -----------------------------------------------------------------------------------------------

    @property
    def _open(self) -> Folder:
        assert self.folder is not None  # _permitted has seen to it
        return self.folder

    async def _close_folder(self, arguments: list[Argument]) -> str:
        if not self._open.read_only:
            self._open.remove_deleted(None)
        self.folder = None
        return "OK CLOSE completed."

    async def _unselect(self, arguments: list[Argument]) -> str:
        self.folder = None
        return "OK UNSELECT completed."

    async def _expunge(self, arguments: list[Argument]) -> str:
        self._writable()
        self._open.remove_deleted(None)
        return "OK EXPUNGE completed."

    def _writable(self) -> None:
        if self._open.read_only:
            raise _Refuse(wording.IMAP_STATE_NO)

    async def _uid(self, arguments: list[Argument]) -> str:
        if not arguments:
            raise Malformed
        verb, rest = word(arguments[0]).upper(), arguments[1:]
        match verb:
            case "FETCH":
                return await self._fetch(rest, by_uid=True)
            case "STORE":
                return await self._store(rest, by_uid=True)
            case "SEARCH":
                return await self._search(rest, by_uid=True)
            case "EXPUNGE" if len(rest) == 1:
                self._writable()
                self._open.remove_deleted(word(rest[0]))
                return "OK EXPUNGE completed."
            case "COPY":
                return await self._copy(rest, by_uid=True)
            case "MOVE":
                return await self._move(rest, by_uid=True)
            case _:
                raise _Refuse(wording.IMAP_COMMAND_ERROR)

    async def _search(self, arguments: list[Argument], by_uid: bool = False) -> str:
        if len(arguments) > 1 and not isinstance(arguments[0], list) and word(arguments[0]).upper() == "CHARSET":
            if word(arguments[1]).upper() != "US-ASCII":
                raise _Refuse(wording.IMAP_BAD_CHARSET)
            arguments = arguments[2:]
        found = self._open.search(arguments, by_uid=by_uid)
        await self.connection.send(" ".join(["* SEARCH", *map(str, found)]))
        return "OK SEARCH completed."

    async def _store(self, arguments: list[Argument], by_uid: bool = False) -> str:
        change = self._open.read_change(arguments, by_uid=by_uid)
        self._writable()
        for line in self._open.change(change, by_uid=by_uid):
            await self.connection.send(line)
        return "OK STORE completed."

    async def _copy(self, arguments: list[Argument], by_uid: bool = False) -> str:
        return f"OK {self._copied(arguments, by_uid=by_uid)[0]}COPY completed."

    async def _move(self, arguments: list[Argument], by_uid: bool = False) -> str:
        self._writable()
        code, gone = self._copied(arguments, by_uid=by_uid)
        if code:
            await self.connection.send(f"* OK {code}MOVE")  # before what went is told (RFC 6851 §4.3)
        self._open.remove(gone)
        await self._news(expunged=True)
        return "OK MOVE completed."

    def _copied(self, arguments: list[Argument], *, by_uid: bool) -> tuple[str, set[int]]:
        """Copy into INBOX, the one folder: the COPYUID code, with a blank behind it, and the uids that were copied."""
        if len(arguments) != 2:
            raise Malformed
        chosen = self._open.chosen(arguments[0], by_uid=by_uid)
        self._inbox(arguments[1], "[TRYCREATE] ")
        uids = self._open.copy(chosen)
        if not uids:
            return "", set()
        old, new = (",".join(map(str, side)) for side in (uids, uids.values()))
        return f"[COPYUID {UIDVALIDITY} {old} {new}] ", set(uids)

    async def _fetch(self, arguments: list[Argument], by_uid: bool = False) -> str:
        for line in self._open.fetch(arguments, by_uid=by_uid):
            await self.connection.send(line)
        return "OK FETCH completed."
