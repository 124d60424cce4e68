"""A real headless Chromium, driven over its own debugging protocol: open, type, press, wait, read, take a picture."""

import base64
import itertools
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

CHROMIUM = next((path for path in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if path), None)
START_SECONDS = 30
WAIT_SECONDS = 15
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)


@dataclass
class Tab:
    """One page."""

    socket: ClientConnection
    complaints: list[str] = field(default_factory=list)  # what the console said: errors, refused loads, exceptions
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def send(self, method: str, **params: Any) -> Any:
        """One command; its result."""
        number = next(self._numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv(timeout=WAIT_SECONDS))
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self._note(message)

    def _note(self, message: Any) -> None:
        params = message.get("params", {})
        if message.get("method") == "Log.entryAdded" and params["entry"]["level"] in {"error", "warning"}:
            self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        if message.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"]))

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        result = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def open(self, url: str) -> None:
        self.run("window.before = true")
        self.send("Page.navigate", url=url)
        self.until("!window.before && document.readyState === 'complete'")

    def until(self, script: str, seconds: float = WAIT_SECONDS) -> None:
        """Wait until an expression is true in the page."""
        ends_at = time.monotonic() + seconds
        while not self.run(f"Boolean({script})"):
            assert time.monotonic() < ends_at, f"never true: {script}\n{self.text()}\n{self.complaints}"
            time.sleep(0.05)

    def text(self, selector: str = "body") -> str:
        """The visible text of an element."""
        return str(self.run(f"document.querySelector({json.dumps(selector)}).innerText"))

    def type(self, words: str) -> None:
        self.send("Input.insertText", text=words)

    def press(self, key: str, code: int) -> None:
        """A key, as from a keyboard."""
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **text)

    def size(self, width: int, height: int, *, phone: bool = False, dark: bool = False) -> None:
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self, path: Path) -> None:
        picture = self.send("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(picture["data"]))


@contextmanager
def a_browser() -> Iterator[Tab]:
    """A fresh Chromium with one empty tab."""
    assert CHROMIUM
    with tempfile.TemporaryDirectory(prefix="sellctl-chromium-", ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(  # noqa: S603  found by name on this machine's own path
            [CHROMIUM, *FLAGS, f"--user-data-dir={folder}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with connect(_address_of_tab(Path(folder)), max_size=2**26, ping_interval=None) as socket:
                tab = Tab(socket)
                for domain in ("Page", "Runtime", "Log", "Accessibility"):
                    tab.send(f"{domain}.enable")
                yield tab
        finally:
            process.terminate()
            process.wait(timeout=20)


def _address_of_tab(folder: Path) -> str:
    ends_at = time.monotonic() + START_SECONDS
    while time.monotonic() < ends_at:
        try:
            port = int((folder / "DevToolsActivePort").read_text().split()[0])
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=5) as answer:
                pages = [target for target in json.loads(answer.read()) if target["type"] == "page"]
            if pages:
                return str(pages[0]["webSocketDebuggerUrl"])
        except (OSError, ValueError, IndexError):
            pass
        time.sleep(0.05)
    raise AssertionError("Chromium did not start")
