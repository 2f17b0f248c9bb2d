"""One client's connection read line by line, within limits. Knows no protocol and answers nothing by itself.

Lines end in CRLF and nothing else: Exchange takes a bare LF as part of the line (email-oauth2-proxy#232).
"""

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Iterator
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

    async def skip(self, count: int) -> None:
        """Read so many bytes and keep none. Raises HungUp, TimedOut."""
        while count > 0:
            if not self._buffer:
                await self._fill(self._limits.idle)
            gone = min(count, len(self._buffer))
            del self._buffer[:gone]
            count -= gone

    async def dotted(self) -> AsyncIterator[bytes]:
        """A message up to its lone dot (RFC 5321 §4.5.2), unstuffed, in pieces that need not be lines: a line without an
        end takes no room. Raises HungUp, TimedOut."""
        at_start = True
        while True:
            held = self._buffer
            if at_start and held[:3] == b".\r\n":
                del held[:3]
                return
            if not held or (b".\r\n".startswith(held) and at_start) or held == b"\r":
                await self._fill(self._limits.idle)
                continue
            first = 1 if at_start and held[:1] == b"." else 0
            end = held.find(b"\r\n", first)
            at_start = end >= 0
            # A CR that comes last may be half of a line's end.
            stop = end + 2 if at_start else len(held) - held.endswith(b"\r")
            piece = bytes(held[first:stop])
            del held[:stop]
            if piece:
                yield piece

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
        if self._writer.transport.is_closing():
            raise HungUp
        try:
            self._writer.write(data)
            async with asyncio.timeout(self._limits.idle):
                await self._writer.drain()
        except TimeoutError:
            raise HungUp from None
        except (OSError, ssl.SSLError):
            raise HungUp from None
        # Commands sent ahead by the thousand must not keep the loop from others, nor from news that the peer has gone.
        await asyncio.sleep(0)

    async def start_tls(self, context: ssl.SSLContext, ready: str) -> None:
        """Say ``ready`` and go on under TLS. What came in the clear behind the command is dropped, wherever it waits, and
        what comes after belongs to TLS (RFC 3207 §6; CVE-2011-0411). Raises HungUp."""
        await self._forget()
        await self.send(ready)
        try:
            await self._writer.start_tls(context)
        except (OSError, ssl.SSLError):
            raise HungUp from None

    async def _forget(self) -> None:
        """Drop all that has come, and let nothing more come into the stream's own buffer, which TLS does not empty."""
        self._buffer.clear()
        while True:
            self._writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's transport can be read from
            try:
                async with asyncio.timeout(0):  # what is there comes without waiting
                    data = await self._reader.read(_CHUNK)
            except TimeoutError:
                return
            except (OSError, ssl.SSLError):
                raise HungUp from None
            if not data:
                raise HungUp

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
