"""pypsrp over the standard streams of ``pwsh -s``: a client of PowerShell remoting that shares no code with the sandbox
nor with exosp's client (both speak PSRP by psrpcore). What pypsrp would send by WSMan goes as packets, a line each, as
PowerShell's own source has them."""

import contextlib
import queue
import subprocess
import threading
import xml.etree.ElementTree as ET
from pathlib import Path
from types import TracebackType
from typing import Any

RSP = "{http://schemas.microsoft.com/wbem/wsman/1/windows/shell}"
ZERO = "00000000-0000-0000-0000-000000000000"


class Process:
    """The program in server mode: packets in, packets out."""

    def __init__(self, program: Path, *arguments: str) -> None:
        self.child = subprocess.Popen(
            [program, *(arguments or ("-s", "-NoLogo", "-NoProfile"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.heard: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.child.stdout is not None
        for line in self.child.stdout:
            self._lines.put(line.decode())
        self._lines.put(None)

    def say(self, line: str) -> None:
        assert self.child.stdin is not None
        self.child.stdin.write(line.encode() + b"\n")
        self.child.stdin.flush()

    def hear(self) -> ET.Element:
        line = self._lines.get(timeout=20)
        if line is None:
            raise EOFError
        self.heard.append(line)
        return ET.fromstring(line)

    def end(self) -> tuple[int, str]:
        """Its exit code and last words, once its input has ended."""
        assert self.child.stdin is not None
        assert self.child.stderr is not None
        with contextlib.suppress(BrokenPipeError):
            self.child.stdin.close()
        self.child.wait(20)
        self._reader.join(10)
        return self.child.returncode, self.child.stderr.read().decode()

    def __enter__(self) -> "Process":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait(20)
        self._reader.join(10)
        for stream in (self.child.stdin, self.child.stdout, self.child.stderr):
            assert stream is not None
            with contextlib.suppress(BrokenPipeError):
                stream.close()


class Connection:
    """What pypsrp takes for a WSMan connection. Each packet waits for its acknowledgement."""

    max_payload_size = 32768
    max_envelope_size = 0  # nothing to negotiate

    def __init__(self, process: Process) -> None:
        self._process = process
        self._data: dict[str, list[str]] = {}

    def _until(self, tag: str, subject: str) -> None:
        while True:
            element = self._process.hear()
            about = element.attrib["PSGuid"].lower()
            if element.tag == "Data":
                self._data.setdefault(about, []).append(element.text or "")
            elif (element.tag, about) == (tag, subject):
                return
            else:
                raise AssertionError(f"{element.tag} of {about} where {tag} of {subject} was due")

    def _packet(self, kind: str, subject: str, data: str = "") -> None:
        if kind == "Data":
            self._process.say(f"<Data Stream='Default' PSGuid='{subject}'>{data}</Data>")
        else:
            self._process.say(f"<{kind} PSGuid='{subject}' />")
        self._until(f"{kind}Ack", subject)

    def create(self, resource_uri: str, shell: ET.Element, option_set: Any = None) -> ET.Element:
        [creation] = [element for element in shell.iter() if element.tag.endswith("creationXml")]
        self._packet("Data", ZERO, creation.text or "")
        return ET.Element("none")

    def command(
        self, resource_uri: str, line: ET.Element, option_set: Any = None, selector_set: Any = None
    ) -> ET.Element:
        subject = line.attrib["CommandId"].lower()
        self._packet("Command", subject)
        self._packet("Data", subject, "".join(element.text or "" for element in line.iter(f"{RSP}Arguments")))
        answer = ET.Element("Body")
        ET.SubElement(ET.SubElement(answer, f"{RSP}CommandResponse"), f"{RSP}CommandId").text = subject.upper()
        return answer

    def send(self, resource_uri: str, send: ET.Element, selector_set: Any = None) -> ET.Element:
        for stream in send.iter(f"{RSP}Stream"):
            self._packet("Data", stream.get("CommandId", ZERO).lower(), stream.text or "")
        return ET.Element("none")

    def receive(self, resource_uri: str, receive: ET.Element, **rest: Any) -> ET.Element:
        [desired] = receive.iter(f"{RSP}DesiredStream")
        subject = desired.get("CommandId", ZERO).lower()
        while not self._data.get(subject):
            element = self._process.hear()
            assert element.tag == "Data", element.tag
            self._data.setdefault(element.attrib["PSGuid"].lower(), []).append(element.text or "")
        answer = ET.Element("Body")
        response = ET.SubElement(answer, f"{RSP}ReceiveResponse")
        for text in self._data.pop(subject):
            ET.SubElement(response, f"{RSP}Stream", {"Name": "stdout"}).text = text
        return answer

    def signal(self, resource_uri: str, signal: ET.Element, selector_set: Any = None) -> ET.Element:
        """pypsrp's Terminate is this transport's Close of a command."""
        code = "".join(element.text or "" for element in signal.iter(f"{RSP}Code"))
        self._packet("Close" if code.endswith("terminate") else "Signal", signal.attrib["CommandId"].lower())
        return ET.Element("none")

    def delete(self, resource_uri: str, selector_set: Any = None) -> None:
        self._packet("Close", ZERO)
