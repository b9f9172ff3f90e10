"""Chromium without a window, led through its debugging pipe: JSON messages that end with a NUL, on file descriptors 3 and 4."""
import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATIENCE_S = 120


class Browser:
    """problems: what pages have complained of since the last open(): errors of scripts, messages of the console, resources asked for."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()

        def place():
            os.dup2(to_read, 20), os.dup2(to_write, 21)
            os.dup2(20, 3), os.dup2(21, 4)

        self._process = subprocess.Popen(
            [PROGRAM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe", "--no-first-run",
             f"--user-data-dir={self.folder.name}", "about:blank"],
            preexec_fn=place, pass_fds=(3, 4), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read), os.close(to_write)
        self._buffer, self._number, self.problems = b"", 0, []
        self._session = None
        target = next(target for target in self.ask("Target.getTargets")["targetInfos"] if target["type"] == "page")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        os.close(self._read), os.close(self._write)
        for _ in range(50):  # its children still write there
            try:
                return self.folder.cleanup()
            except OSError:
                time.sleep(0.1)

    def ask(self, method, **parameters):
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters} | ({"sessionId": self._session} if self._session else {})
        os.write(self._write, json.dumps(message).encode() + b"\0")
        answer = self._wait(lambda found: found.get("id") == self._number)
        assert "error" not in answer, answer
        return answer["result"]

    def _wait(self, wanted):
        end = time.monotonic() + PATIENCE_S
        while True:
            while b"\0" not in self._buffer:
                assert select.select([self._read], [], [], end - time.monotonic())[0], "the browser does not answer"
                data = os.read(self._read, 1 << 16)
                assert data, "the browser has ended"
                self._buffer += data
            line, _, self._buffer = self._buffer.partition(b"\0")
            found = json.loads(line)
            self._hear(found)
            if wanted(found):
                return found

    def _hear(self, event):
        method, parameters = event.get("method"), event.get("params")
        if method in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded", "Page.javascriptDialogOpening"):
            self.problems.append(json.dumps(parameters))
        elif method == "Network.requestWillBeSent" and not parameters["request"]["url"].startswith(("file:", "data:")):
            self.problems.append(parameters["request"]["url"])

    def open(self, path, width, dark=False):
        """At a width in CSS pixels."""
        self._load("about:blank")  # from a page to a place in it were no loading
        self.problems.clear()
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self._load(f"file://{path}")

    def _load(self, url):
        self.ask("Page.navigate", url=url)
        self._wait(lambda found: found.get("method") == "Page.loadEventFired")

    def value(self, expression):
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key):
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key)

    def click(self, selector, across=0.5):
        """At a share of the element's width."""
        self.value(f"document.querySelector({json.dumps(selector)}).scrollIntoView({{block: 'center'}})")
        x, y, width, height = self.value(f"(({{x, y, width, height}}) => [x, y, width, height])"
                                         f"(document.querySelector({json.dumps(selector)}).getBoundingClientRect())")
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=x + across * width, y=y + height / 2, button="left", clickCount=1)

    def picture(self, path):
        """Of the whole page."""
        data = self.ask("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))
