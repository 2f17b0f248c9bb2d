"""Three mail servers that take their time: XOAUTH2 over verified TLS, and a pause before each login is answered.

    python slow_mail.py SECONDS FOLDER

writes the CA to FOLDER/ca.pem and prints the three ports (IMAP, POP3, SMTP) on one line. It ends when its input does.
It lets everybody in, and answers what a login needs and no more; a fresh connection costs a whole TLS handshake, since it
gives out no session tickets. Its last line tells how many logins it answered, and how many waited at once at most.
"""

import asyncio
import json
import ssl
import sys
from pathlib import Path

from scripted import Authority

IMAP = "* CAPABILITY IMAP4 IMAP4rev1 AUTH=XOAUTH2 SASL-IR UIDPLUS ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+"
EXAMINED = ("* 2 EXISTS", "* 0 RECENT", "* FLAGS (\\Seen)", "* OK [UIDVALIDITY 14] UIDVALIDITY value")


class Slow:
    """``delay``: seconds between the client's token and the answer to it. ``answered`` counts logins by protocol."""

    def __init__(self, delay: float, context: ssl.SSLContext) -> None:
        self.delay = delay
        self.context = context
        self.answered = {"imap": 0, "pop": 0, "smtp": 0}
        self.waiting = self.most = 0

    async def _log_in(self, protocol: str, reader: asyncio.StreamReader) -> None:
        """Hear the token, and take time over it."""
        assert len(await reader.readline()) > 1000, "no token"
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await asyncio.sleep(self.delay)
        self.waiting -= 1
        self.answered[protocol] += 1

    async def imap(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        say(writer, "* OK ready")
        while line := await reader.readline():
            tag, verb = line.decode().split()[:2]
            done = f"{tag} OK {verb} completed."
            match verb:
                case "CAPABILITY":
                    say(writer, IMAP, done)
                case "AUTHENTICATE":
                    say(writer, "+ ")
                    await self._log_in("imap", reader)
                    say(writer, done)
                case "EXAMINE":
                    say(writer, *EXAMINED, done)
                case "LOGOUT":
                    say(writer, "* BYE signing off.", done)
                    break
        writer.close()

    async def pop(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        say(writer, "+OK ready")
        while line := await reader.readline():
            match line.decode().split()[0]:
                case "CAPA":
                    say(writer, "+OK", "TOP", "UIDL", "SASL XOAUTH2", ".")
                case "AUTH":
                    say(writer, "+ ")
                    await self._log_in("pop", reader)
                    say(writer, "+OK User successfully authenticated.")
                case "STAT":
                    say(writer, "+OK 2 1234")
                case "QUIT":
                    say(writer, "+OK signing off.")
                    break
        writer.close()

    async def smtp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        say(writer, "220 localhost ready")
        secured = False
        while line := await reader.readline():
            match line.decode().split()[0].upper():
                case "EHLO":
                    say(writer, "250-localhost", "250 AUTH XOAUTH2" if secured else "250 STARTTLS")
                case "STARTTLS":
                    say(writer, "220 2.0.0 SMTP server ready")
                    await writer.start_tls(self.context)
                    secured = True
                case "AUTH":
                    say(writer, "334 ")
                    await self._log_in("smtp", reader)
                    say(writer, "235 2.7.0 Authentication successful")
                case "MAIL":
                    say(writer, "250 2.1.0 Sender OK")
                case "RSET":
                    say(writer, "250 2.0.0 Resetting")
                case "QUIT":
                    say(writer, "221 2.0.0 bye")
                    break
        writer.close()


def say(writer: asyncio.StreamWriter, *lines: str) -> None:
    writer.write("".join(line + "\r\n" for line in lines).encode())


async def serve(delay: float, folder: Path) -> None:
    context = Authority(folder).server()
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET
    slow = Slow(delay, context)
    servers = [
        await asyncio.start_server(slow.imap, "127.0.0.1", 0, ssl=context, backlog=512),
        await asyncio.start_server(slow.pop, "127.0.0.1", 0, ssl=context, backlog=512),
        await asyncio.start_server(slow.smtp, "127.0.0.1", 0, backlog=512),
    ]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    print(json.dumps({**slow.answered, "most": slow.most}), flush=True)


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]), Path(sys.argv[2])))
