"""The cmd shell of WinRS, for clients that speak SOAP but not PSRP. It runs nothing: one built-in answers.

``hostname`` answers as on Windows. Every other command ends with exit code 9009 (cmd's own for a command it does not
find) and an error that says that it is not emulated.
"""

import uuid

from .shells import SIGNAL, Bytes, Outbox, Shell
from .soap import Fault

NAME = "exosp-sandbox"
COMMAND_NOT_FOUND = 9009


class CmdShell(Shell):
    """A cmd shell. Commands end at once; input is taken and dropped."""

    output_streams = ("stdout", "stderr")

    def __init__(self, shell_id: str, resource_uri: str, session_id: str) -> None:
        super().__init__(shell_id, resource_uri, session_id)
        self._commands: dict[str, Bytes] = {}

    def command(self, command_id: str, command: str, arguments: list[str]) -> str:
        command_id = command_id or str(uuid.uuid4()).upper()
        if command_id in self._commands:
            raise Fault("exists", "A command of that id runs.")
        box = self._commands[command_id] = Bytes()
        if command.strip().strip('"').lower() in ("hostname", "hostname.exe") and not arguments:
            box.put("stdout", f"{NAME}\r\n".encode())
            box.finish(0)
        else:
            box.put(
                "stderr", b"This host is emulated by the exosp sandbox. It runs no programs; it knows: hostname\r\n"
            )
            box.finish(COMMAND_NOT_FOUND)
        return command_id

    def send(self, command_id: str, stream: str, data: bytes, end: bool) -> None:
        self.outbox(command_id)

    def outbox(self, command_id: str) -> Outbox:
        if not command_id:
            raise Fault("bad-parameter", "A Receive in a cmd shell names a command.")
        if command_id not in self._commands:
            raise Fault("no-command")
        return self._commands[command_id]

    def signal(self, command_id: str, code: str) -> None:
        self.outbox(command_id)
        if code.lower() == f"{SIGNAL}terminate":
            del self._commands[command_id]

    def operations(self) -> int:
        return len(self._commands)

    def close(self) -> None:
        self._commands.clear()
