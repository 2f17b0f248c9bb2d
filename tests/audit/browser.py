"""A headless Chromium, driven by its own protocol through two pipes: no port, no driver, no library.

It reaches no network: every name it looks up is unknown to it. https://chromedevtools.github.io/devtools-protocol/
"""

import json
import os
import select
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--no-default-browser-check",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--disable-extensions", "--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-pipe", "--hide-scrollbars",
)  # fmt: skip


class Browser:
    """A process with a profile of its own."""

    def __init__(self, program: str, profile: Path, patience: float = 60) -> None:
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        # The protocol's pipes are the file descriptors 3 and 4.
        command = [
            "bash",
            "-c",
            f'exec "$@" 3<&{to_read} 4>&{to_write}',
            "bash",
            program,
            *FLAGS,
            f"--user-data-dir={profile}",
        ]
        self._process = subprocess.Popen(
            command, pass_fds=(to_read, to_write), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=os.environ | {"HOME": str(profile)},
        )  # fmt: skip
        os.close(to_read)
        os.close(to_write)
        self._patience, self._last, self._rest = patience, 0, b""
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> "Browser":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.send("Browser.close")
            self._process.wait(10)
        except (OSError, AssertionError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait(10)
        os.close(self._write)
        os.close(self._read)

    def send(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        """A command's result. What happens meanwhile is kept in ``events``."""
        self._last += 1
        order: dict[str, Any] = {"id": self._last, "method": method, "params": parameters}
        if session:
            order["sessionId"] = session
        os.write(self._write, json.dumps(order).encode() + b"\0")
        until = time.monotonic() + self._patience
        while True:
            came = self._next(until)
            if came.get("id") == self._last:
                assert "error" not in came, f"{method}: {came['error']}"
                result: dict[str, Any] = came["result"]
                return result
            if "method" in came:
                self.events.append(came)

    def _next(self, until: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._read], [], [], max(0, until - time.monotonic()))
            assert ready, "the browser does not answer"
            came = os.read(self._read, 1 << 20)
            assert came, "the browser is gone"
            self._rest += came
        message, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def open(
        self, file: Path, *, width: int = 1280, height: int = 900, before: str = "", script: bool = True, **media: str
    ) -> "Page":
        """A file in a tab of its own. ``before`` runs in it before anything of its own; ``media``: prefers_color_scheme="dark"."""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session, target)
        for domain in ("Page", "Runtime", "Network", "Log"):
            page.send(f"{domain}.enable")
        if before:
            page.send("Page.addScriptToEvaluateOnNewDocument", source=before)
        if not script:
            page.send("Emulation.setScriptExecutionDisabled", value=True)
        page.look(width, height, **media)
        page.send("Page.navigate", url=file.as_uri())
        until = time.monotonic() + self._patience
        while not page.run(
            f"location.href.split('#')[0] === {json.dumps(file.as_uri())} && document.readyState === 'complete'"
        ):
            assert time.monotonic() < until, "the page does not load"
            time.sleep(0.02)
        return page


class Page:
    """One tab."""

    def __init__(self, browser: Browser, session: str, target: str) -> None:
        self._browser, self._session, self._target = browser, session, target

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._browser.send(method, self._session, **parameters)

    def look(self, width: int, height: int = 900, **media: str) -> None:
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        features = [{"name": name.replace("_", "-"), "value": value} for name, value in media.items()]
        self.send("Emulation.setEmulatedMedia", features=features)

    def run(self, script: str) -> Any:
        """What an expression comes to, as JSON has it. A promise is waited for; a throw fails."""
        came = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True)
        assert "exceptionDetails" not in came, came["exceptionDetails"]
        return came["result"].get("value")

    def press(self, key: str, code: int = 0, text: str = "", shift: bool = False) -> None:
        """One key of the keyboard, down and up."""
        codes = {"Tab": 9, "Enter": 13, " ": 32, "Escape": 27, "ArrowDown": 40}
        said = text or {"Enter": "\r", " ": " "}.get(key, key if len(key) == 1 else "")
        pressed = {"key": key, "windowsVirtualKeyCode": code or codes.get(key, 0), "modifiers": 8 if shift else 0}
        self.send("Input.dispatchKeyEvent", type="keyDown", text=said, **pressed)
        self.send("Input.dispatchKeyEvent", type="keyUp", **pressed)

    def events(self, method: str) -> list[dict[str, Any]]:
        """The parameters of each such event so far."""
        self.run("0")
        mine = (event for event in self._browser.events if event.get("sessionId") == self._session)
        return [event["params"] for event in mine if event["method"] == method]

    def close(self) -> None:
        self._browser.send("Target.closeTarget", targetId=self._target)
