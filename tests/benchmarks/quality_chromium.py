"""One end of a measured call in headless Chromium, driven over the DevTools protocol. Obeys the JSON lines of quality_peer.py.

usage: python quality_chromium.py HEARD.raw SAID.raw

::

    SAID -> fake capture (a file) -+-> RTCPeerConnection -> the other end's RTCPeerConnection -> worklet -> HEARD
                                   +-> worklet: when SAID was really handed over

Capture's and playback's worklets come after the same kind of buffer of Chromium's, so that the delay between them is the call's.
Echo cancelling, noise suppression and gain control are off, as they are for everybody else.
"""

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import speech
from quality_baresip import write_wav

from sinchphone.audio.frame import RATE, Samples

PAGE = Path(__file__).with_name("quality_chromium.html")
NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_S = 25.0
CLOCK_READINGS = 20


def missing() -> str | None:
    """What is not installed, in words; ``None`` where it is there."""
    return None if program() else "chromium"


def program() -> str | None:
    """Chromium's path."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Chromium:
    """A headless browser with one page, and DevTools through a pipe. ``with`` it."""

    def __init__(self, said: Path, folder: Path) -> None:
        self._ids = 0
        self._rest = b""
        self._session = ""
        orders, self._orders = os.pipe()
        self._answers, answers = os.pipe()
        flags = (
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe"),
            *("--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--disable-extensions"),
            *("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={said}%noloop"),
            *("--autoplay-policy=no-user-gesture-required", "--disable-features=WebRtcHideLocalIpsWithMdns"),
            *("--disable-background-timer-throttling", "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows"),
            f"--user-data-dir={folder}",
        )
        shell = f'exec 3<&{orders} 4>&{answers}; exec "$@"'  # fixed by the protocol: 3 is read, 4 written
        command = ["bash", "-c", shell, "chromium", str(program()), *flags, PAGE.as_uri()]
        self._left = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)  # it removes none of its temporary files
        environment = {**os.environ, "HOME": str(folder), "TMPDIR": self._left.name}
        self._process = subprocess.Popen(command, pass_fds=(orders, answers), stdout=subprocess.DEVNULL, env=environment)
        os.close(orders)
        os.close(answers)

    def __enter__(self) -> "Chromium":
        limit = time.monotonic() + PATIENCE_S
        while not (pages := [each for each in self._targets() if each["type"] == "page" and each["url"] == PAGE.as_uri()]):
            assert time.monotonic() < limit, "no page"
            time.sleep(0.05)
        self._session = self.do("Target.attachToTarget", targetId=pages[0]["targetId"], flatten=True)["sessionId"]
        while self.evaluate("typeof begin + document.readyState") != "functioncomplete":
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._left.cleanup()

    def do(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command; its result."""
        self._ids += 1
        message = {"id": self._ids, "method": method, "params": parameters, **({"sessionId": self._session} if self._session else {})}
        os.write(self._orders, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != self._ids:
            pass
        if "error" in answer:
            raise RuntimeError(answer["error"])
        result: dict[str, Any] = answer["result"]
        return result

    def evaluate(self, expression: str) -> Any:
        """The value of an expression, or of its promise."""
        found = self.do("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"])
        return found["result"].get("value")

    def clock_ms(self) -> float:
        """What to add to the page's times to get the monotonic clock's."""
        readings: list[tuple[float, float]] = []
        for _ in range(CLOCK_READINGS):
            before = time.monotonic()
            there = self.evaluate("performance.now()")
            after = time.monotonic()
            readings.append((after - before, 500 * (before + after) - there))
        return min(readings)[1]

    def _targets(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.do("Target.getTargets")["targetInfos"]
        return found

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            part = os.read(self._answers, 1 << 20)
            if not part:
                raise EOFError("Chromium is gone")
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer


def tell(**what: Any) -> None:
    print(json.dumps(what), flush=True)


def speak(browser: Chromium, seconds: float) -> None:
    """Wait until it has said all."""
    limit = time.monotonic() + PATIENCE_S
    while not browser.evaluate("state.speaks"):
        assert time.monotonic() < limit, "not connected"
        time.sleep(0.05)
    time.sleep(seconds)


def times(browser: Chromium, said: Samples) -> tuple[float, float, Samples]:
    """When the first sample of ``said`` was handed over, when the first of what was heard came [ms], and that."""
    clock = browser.clock_ms()
    captured, heard = (browser.evaluate(f"taps.{name}.told()") for name in ("said", "heard"))
    sound = np.frombuffer(base64.b64decode(captured["sound"]), np.int16)
    begins = speech.find(said, sound) / RATE
    return clock + captured["first"] + 1000 * begins, clock + heard["first"], np.frombuffer(base64.b64decode(heard["sound"]), np.int16)


def serve(heard: Path, said_file: Path) -> None:
    """Until the end."""
    said = np.fromfile(said_file, np.int16)
    with tempfile.TemporaryDirectory(prefix="quality-chromium-", ignore_cleanup_errors=True) as folder:
        capture = Path(folder) / "said.wav"
        write_wav(capture, said)
        with Chromium(capture, Path(folder) / "profile") as browser:
            browser.evaluate("begin()")
            tell(ready=True)
            for line in sys.stdin:
                order = json.loads(line)
                match order["do"]:
                    case "offer":
                        tell(sdp=browser.evaluate("offer()"))
                    case "answer":
                        tell(sdp=browser.evaluate(f"answer({json.dumps(order['sdp'])})"))
                    case "accept":
                        browser.evaluate(f"accept({json.dumps(order['sdp'])})")
                        speak(browser, len(said) / RATE)
                        tell(said=1000 * time.monotonic())
                    case "busy":
                        browser.evaluate(f"beBusy({1000 * float(order['seconds'])})")
                    case "end":
                        said_at, heard_at, sound = times(browser, said)
                        sound.tofile(heard)
                        tell(said_at=said_at, heard_at=heard_at, ended={})
                        return


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the browser and its files don't stay
    serve(Path(sys.argv[1]), Path(sys.argv[2]))
