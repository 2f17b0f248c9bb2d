"""The sandbox's doors fed from memory: any bytes in any pieces, without a network, and what they say to them."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from itertools import pairwise

from hypothesis import HealthCheck, settings

from exosp.sandbox.doors import imap, pop, smtp
from exosp.sandbox.doors.lines import Connection, HungUp
from exosp.sandbox.tenant import Tenant
from sandbox import doors_fixture as fixture

MOST = 16 * 1024 * 1024

# What a line of an answer is made of, and what differs in it from one time to another.
LINE = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*")
VARIES = re.compile(
    rb"\[\S+ \d{4}-\d\d-\d\dT\S+ [0-9A-F]{16}\]|\[InternalId=.*|<[0-9A-Fa-f-]{32,36}@\S+>|220 .*|id [0-9A-F]{16}; .*"
)


def examples(core: int) -> settings:
    """The same examples every time, so that the core suite does not flicker; slow tests look further."""
    return settings(max_examples=core, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))  # fmt: skip


def at_length(count: int) -> settings:
    return settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))


_kept: list[Tenant] = []


def the_tenant() -> Tenant:
    """One tenant for all examples."""
    if not _kept:
        _kept.append(fixture.build_tenant())
    return _kept[0]


class Ear(asyncio.Transport):
    """Hears what a door says; what the client has sent comes by another way."""

    def __init__(self, protocol: asyncio.StreamReaderProtocol) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.said = bytearray()
        self._protocol = protocol
        self._closing = False
        protocol.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.said += data

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    abort = close

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


Door = Callable[[Tenant, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _submission(tenant: Tenant, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The submission door as it is once TLS stands."""
    connection = Connection(reader, writer, smtp.LIMITS)
    session = smtp._Session(tenant, fixture.authority().context, connection)
    session.secure = True
    try:
        await session.run()
    except (HungUp, smtp._Close):
        pass
    finally:
        session.end_transaction()
        await connection.close()


DOORS: dict[str, Door] = {"imap": imap.serve, "pop": pop.serve, "smtp": _submission}


def talk(tenant: Tenant, door: str, *pieces: bytes) -> bytes:
    """All that a door says to a client that sends these bytes in these pieces and goes."""

    async def run() -> bytes:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        ear = Ear(protocol)
        writer = asyncio.StreamWriter(ear, protocol, reader, loop)
        serving = asyncio.ensure_future(DOORS[door](tenant, reader, writer))
        for piece in pieces:
            if ear.is_closing():
                break
            reader.feed_data(piece)
            for _ in range(6):
                await asyncio.sleep(0)
        if not ear.is_closing():
            reader.feed_eof()
        async with asyncio.timeout(20):
            await serving
        return bytes(ear.said)

    return asyncio.run(run())


def answered(door: str, *pieces: bytes) -> bytes:
    tenant = the_tenant()
    box = fixture.mailbox(tenant)
    box.messages[:] = [
        {"uid": 7, "raw": fixture.message("first letter")},
        {"uid": 9, "raw": fixture.message("second letter")},
    ]
    box.last_uid = 9
    return talk(tenant, door, *pieces)


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({place % (len(data) + 1) for place in cuts} | {0, len(data)})
    return [data[a:b] for a, b in pairwise(places)]
