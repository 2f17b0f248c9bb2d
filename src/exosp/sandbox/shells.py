"""What every remote shell has, whatever runs in it: commands, and output that waits until a Receive fetches it."""

import asyncio
import base64
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass, field

from .soap import RSP, Fault, attribute

STATE = f"{RSP}/CommandState/"
SIGNAL = f"{RSP}/signal/"
_TAGS = 160  # what one Stream element weighs beside its content


@dataclass
class Batch:
    """One Receive's worth of output. ``exit_code`` is set on the last one."""

    streams: list[tuple[str, bytes]] = field(default_factory=list)
    exit_code: int | None = None

    def xml(self, command_id: str) -> str:
        name = f" CommandId={attribute(command_id)}" if command_id else ""
        parts = [
            f"<rsp:Stream Name={attribute(stream)}{name}>{base64.b64encode(data).decode()}</rsp:Stream>"
            for stream, data in self.streams
        ]
        if command_id and self.exit_code is not None:
            parts.append(
                f'<rsp:CommandState{name} State="{STATE}Done"><rsp:ExitCode>{self.exit_code}</rsp:ExitCode></rsp:CommandState>'
            )
        elif command_id:
            parts.append(f'<rsp:CommandState{name} State="{STATE}Running"/>')
        return f"<rsp:ReceiveResponse>{''.join(parts)}</rsp:ReceiveResponse>"


class Outbox(ABC):
    """Output of one command, or of the shell itself. ``held`` is the most pieces that one Receive may take, if any."""

    def __init__(self, held: int | None = None) -> None:
        self.exit_code: int | None = None
        self.delivered = False  # Done has been sent: a Receive after it finds no command
        self._held = held
        self._wake = asyncio.Event()

    def finish(self, exit_code: int = 0) -> None:
        self.exit_code = exit_code
        self._wake.set()

    async def take(self, seconds: float, room: int) -> Batch:
        """Wait for output and take what fits into ``room`` bytes of an envelope. Raises Fault ``timed-out``."""
        if self.delivered:
            raise Fault("no-command")
        try:
            async with asyncio.timeout(seconds):
                while not self._ready() and self.exit_code is None:
                    self._wake.clear()
                    await self._wake.wait()
        except TimeoutError:
            raise Fault("timed-out") from None
        batch = Batch()
        while self._ready() and (self._held is None or len(batch.streams) < self._held):
            piece = self._next((room - _TAGS) // 4 * 3, first=not batch.streams)
            if piece is None:
                break
            batch.streams.append(piece)
            room -= _TAGS + (len(piece[1]) + 2) // 3 * 4
        if not self._ready():
            batch.exit_code = self.exit_code
            self.delivered = self.exit_code is not None
        return batch

    @abstractmethod
    def _ready(self) -> bool:
        """Is there anything to take?"""

    @abstractmethod
    def _next(self, room: int, *, first: bool) -> tuple[str, bytes] | None:
        """The next piece of at most ``room`` bytes; None if it is better kept for another Receive."""


class Bytes(Outbox):
    """Plain streams, cut anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: deque[tuple[str, bytes]] = deque()

    def put(self, stream: str, data: bytes) -> None:
        self._waiting.append((stream, data))
        self._wake.set()

    def _ready(self) -> bool:
        return bool(self._waiting)

    def _next(self, room: int, *, first: bool) -> tuple[str, bytes] | None:
        stream, data = self._waiting.popleft()
        if len(data) > room:
            self._waiting.appendleft((stream, data[room:]))
            data = data[:room]
        return stream, data


class Shell(ABC):
    """One shell of the host. The SOAP layer has checked the caller; a shell knows its commands.

    Methods raise Fault for what the client did wrong.
    """

    input_streams: tuple[str, ...] = ("stdin",)
    output_streams: tuple[str, ...] = ("stdout",)
    may_disconnect = False

    def __init__(self, shell_id: str, resource_uri: str, session_id: str) -> None:
        self.id = shell_id
        self.resource_uri = resource_uri
        self.session_id = session_id
        self.connected = True
        self.cut = asyncio.Event()  # set while disconnected or closed: long polls end

    @abstractmethod
    def command(self, command_id: str, command: str, arguments: list[str]) -> str:
        """Start a command, of the client's id where it gives one; its id."""

    @abstractmethod
    def send(self, command_id: str, stream: str, data: bytes, end: bool) -> None:
        """Take input, for the shell itself where ``command_id`` is empty."""

    @abstractmethod
    def outbox(self, command_id: str) -> Outbox:
        """Where the output waits; the shell's own where ``command_id`` is empty."""

    @abstractmethod
    def signal(self, command_id: str, code: str) -> None:
        """Interrupt a command, or forget it (Terminate)."""

    @abstractmethod
    def operations(self) -> int:
        """Commands that have not been terminated, whether they run or not."""

    @abstractmethod
    def close(self) -> None:
        """End everything that runs here."""
