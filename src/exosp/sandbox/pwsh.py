"""A stand-in for PowerShell's program: ``python -m exosp.sandbox.pwsh SOCKET -s -NoLogo -NoProfile``.

It is a process as ``pwsh -s`` is one, and no PowerShell: it relays its standard streams to the sandbox's own socket, where
``outofproc`` speaks. Only server mode is there; every other way of starting it is refused, as are profiles and scripts.
Its exit code and its last words come from the sandbox. It imports nothing of the sandbox, so that it starts fast.
"""

import os
import socket
import sys
import threading

_KNOWN = {"-s", "-servermode", "-nologo", "-noprofile", "-nop", "-noninteractive", "-noni"}
_FAREWELL = b"!exit "


def main(arguments: list[str]) -> int:
    path, *options = arguments
    lower = [option.lower() for option in options]
    if not {"-s", "-servermode"}.intersection(lower):
        sys.stderr.write("The exosp sandbox (emulated) has no PowerShell but for server mode: pwsh -s\n")
        return 64
    strange = [option for option in lower if option not in _KNOWN]
    if strange:
        sys.stderr.write(f"The exosp sandbox (emulated) does not know {strange[0]}.\n")
        return 64
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        try:
            channel.connect(path)
        except OSError as fault:
            sys.stderr.write(f"The exosp sandbox is gone: {fault.strerror}\n")
            return 1
        threading.Thread(target=_in, args=(channel,), daemon=True).start()
        return _out(channel)


def _in(channel: socket.socket) -> None:
    try:
        while data := os.read(0, 65536):
            channel.sendall(data)
        channel.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the sandbox has closed: _out ends the process


def _out(channel: socket.socket) -> int:
    """Everything that comes, until the farewell."""
    with channel.makefile("rb") as lines:
        for line in lines:
            if line.startswith(_FAREWELL):
                code, _, said = line[len(_FAREWELL) :].partition(b" ")
                os.write(2, said)
                return int(code) & 0xFF  # what a process can return where it is no Windows
            rest = line
            while rest:
                rest = rest[os.write(1, rest) :]
    sys.stderr.write("The exosp sandbox has ended.\n")
    return 1


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(code)  # a thread may still wait for input
