"""One client's connection read line by line, within limits. Knows no protocol and answers nothing by itself.

Lines end in CRLF and nothing else: Exchange takes a bare LF as part of the line (email-oauth2-proxy#232).
"""

import asyncio
import ssl
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

_CHUNK = 65536
_GOODBYE = 1.0  # wall seconds that a peer has to end TLS before the connection is cut


@dataclass(frozen=True)
class Limits:
    """``connections`` at one door of one tenant, ``line`` in bytes, ``idle`` in wall seconds without a byte,
    ``failures`` (refused logins, commands that are none) before the server hangs up."""

    connections: int = 200
    line: int = 64 * 1024
    idle: float = 1800.0
    failures: int = 10


class HungUp(Exception):
    """The peer has gone."""


class LineTooLong(Exception):
    """A line longer than the limit. The rest of it is unread: the connection must be closed."""


class TimedOut(Exception):
    """Nothing came for longer than allowed."""


class Connection:
    """Reads CRLF lines and counted bytes; writes what it is given."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limits: Limits) -> None:
        self._reader = reader
        self._writer = writer
        self._limits = limits
        # Our own buffer, not the reader's: bytes sent before TLS must be droppable, and its limit is not ours.
        self._buffer = bytearray()

    @property
    def peer(self) -> str:
        name = self._writer.get_extra_info("peername")
        return str(name[0]) if isinstance(name, tuple) else "unknown"

    async def line(self, limit: int | None = None) -> bytes:
        """The next line without its CRLF. Raises HungUp, LineTooLong, TimedOut."""
        limit = self._limits.line if limit is None else limit
        start = 0
        while (end := self._buffer.find(b"\r\n", start)) < 0:
            if len(self._buffer) > limit:
                raise LineTooLong
            start = max(len(self._buffer) - 1, 0)
            await self._fill(self._limits.idle)
        if end > limit:
            raise LineTooLong
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    async def exactly(self, count: int) -> bytes:
        """The next ``count`` bytes; the caller bounds them. Raises HungUp, TimedOut."""
        while len(self._buffer) < count:
            await self._fill(self._limits.idle)
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    async def waiting(self, seconds: float) -> bool:
        """Has something come within so many wall seconds? Reads it into the buffer, no further. Raises HungUp."""
        if not self._buffer:
            try:
                await self._fill(seconds)
            except TimedOut:
                return False
        return True

    async def _fill(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                data = await self._reader.read(_CHUNK)
        except TimeoutError:
            raise TimedOut from None
        except (OSError, ssl.SSLError):
            raise HungUp from None
        if not data:
            raise HungUp
        self._buffer += data

    async def send(self, *lines: str | bytes) -> None:
        """Write each line with a CRLF, in one go."""
        await self.write(b"".join((line.encode() if isinstance(line, str) else line) + b"\r\n" for line in lines))

    async def write(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            async with asyncio.timeout(self._limits.idle):
                await self._writer.drain()
        except TimeoutError:
            raise HungUp from None
        except (OSError, ssl.SSLError):
            raise HungUp from None

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Go on under TLS. What came in the clear behind the command is dropped (RFC 3207 §6). Raises HungUp."""
        self._buffer.clear()
        try:
            await self._writer.start_tls(context)
        except (OSError, ssl.SSLError):
            raise HungUp from None

    async def close(self) -> None:
        """End the connection; a peer that does not take part is cut off."""
        self._writer.close()
        try:
            async with asyncio.timeout(_GOODBYE):
                await self._writer.wait_closed()
        except (OSError, ssl.SSLError):  # TimeoutError is an OSError
            self._writer.transport.abort()
        except asyncio.CancelledError:
            self._writer.transport.abort()
            raise


_open: WeakKeyDictionary[object, Counter[str]] = WeakKeyDictionary()


@contextmanager
def place(owner: object, name: str, limit: int) -> Iterator[bool]:
    """Take one of ``limit`` places that ``owner`` has under ``name``; False when none is left."""
    taken = _open.setdefault(owner, Counter())
    if taken[name] >= limit:
        yield False
        return
    taken[name] += 1
    try:
        yield True
    finally:
        taken[name] -= 1
