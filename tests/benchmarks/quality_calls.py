"""Measured calls: which systems there are, and how two of one kind are called over an emulated line and recorded."""

import contextlib
import json
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import emulator
import numpy as np
import quality_baresip as baresip
import quality_chromium as chromium
import speech
from line import Condition
from quality_urgency import Punctuality, hurry

sys.path.insert(0, str(Path(__file__).parents[2]))

from sinchphone.audio.frame import RATE, Samples
from tests.suite import guests

STOCK, LIBWEBRTC, CHROMIUM, BARESIP = "stock aiortc", "libwebrtc M152", "Chromium", "baresip"
OURS_EQUAL, OURS = "ours, 32 kbit/s", "ours, redundancy on"
SYSTEMS = (STOCK, LIBWEBRTC, CHROMIUM, BARESIP, OURS_EQUAL, OURS)
NEVER_BUSY = (BARESIP,)  # it has no program that could be
EQUAL_BITRATE = 32_000  # libwebrtc's, of mono speech
NO_OTHER_CLOCK = (CHROMIUM, BARESIP)  # their speaker's clock can't be made slower
PATIENCE_S = 30.0
AFTER_S = 1.5
TRIES = 4  # of a call that was disturbed, or didn't come about
PUNCTUAL = 0.99  # of all packets and of somebody's waits beside the peers, those that must have been in time, else others took the CPU


@dataclass(frozen=True)
class Job:
    """One call."""

    system: str
    condition: Condition
    seed: int


@dataclass(frozen=True)
class Found:
    """What came of it."""

    scores: list[speech.Score]
    kbps: float  # of IP packets from the speaker
    lost: float  # share
    disturbed: bool = False  # others took the CPU, each time it was tried


class Peer:
    """A process that obeys JSON lines."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path) -> None:
        with log.open("wb") as file:
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=file, text=True, bufsize=1)
        self._told: dict[str, Any] = {}
        self._changed = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()

    def do(self, what: str, **more: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what, **more}) + "\n")

    def told(self, what: str, seconds: float = PATIENCE_S) -> Any:
        with self._changed:
            if not self._changed.wait_for(lambda: what in self._told or "error" in self._told, seconds):
                raise TimeoutError(what)
            return self._told[what]

    def hurry(self) -> None:
        """It has started, and goes before others from now on."""
        hurry(self._process.pid)

    def end(self) -> None:
        """Soon; by itself, if it can."""
        self._process.terminate()
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self._told |= json.loads(line)
                self._changed.notify_all()


class Bench:
    """Makes calls, as many at once as there are numbers; what was heard is judged at the end, when nobody is disturbed by it."""

    def __init__(
        self, folder: Path, said: speech.Speech, environment: dict[str, str], numbers: "queue.SimpleQueue[int]", tries: int = TRIES
    ) -> None:
        folder.mkdir()
        self._folder = folder
        self._said = said
        self._environment = environment
        self._numbers = numbers
        self._tries = tries
        said.sound.tofile(folder / "said.raw")
        baresip.write_wav(folder / "said.wav", said.sound)

    def call(self, job: Job) -> Callable[[], Found]:
        """Make a call; what is returned judges it."""
        number = self._numbers.get()
        try:
            for left in reversed(range(self._tries)):
                with contextlib.ExitStack() as stack:
                    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=self._folder)))
                    try:
                        return self._call(job, number, folder, choosy=bool(left))
                    except (TimeoutError, AssertionError, KeyError, ValueError) as error:
                        print(f"\n{job.system}, {job.condition.name}: {error!r}{', again' * bool(left)}", file=sys.stderr)
                        if not left:
                            for log in folder.rglob("*log*"):
                                print(log.name, log.read_text("utf-8", "replace")[-1500:], file=sys.stderr)
                            raise
            raise AssertionError("no try")
        finally:
            self._numbers.put(number)

    def _call(self, job: Job, number: int, folder: Path, *, choosy: bool) -> Callable[[], Found]:
        with emulator.Emulator(number, job.condition, job.seed) as hosts, Punctuality() as waits:
            if job.system == BARESIP:
                seconds = self._said.seconds
                said = self._folder / "said.wav"
                heard = baresip.call(folder, number, hosts.addresses, hosts.command, self._environment, said, seconds, waits.start)
                offset = None
            else:
                heard, offset = self._peers(job, hosts, folder, waits)
        disturbed = hosts.counts["late"] > (1 - PUNCTUAL) * hosts.counts["carried"] or waits.late > 1 - PUNCTUAL
        assert not (choosy and disturbed), "the machine is too busy"
        return lambda: replace(self._judge(job, heard, offset, hosts.counts), disturbed=disturbed)

    def _peers(self, job: Job, hosts: emulator.Emulator, folder: Path, waits: Punctuality) -> tuple[Samples, float]:
        files = [str(folder / "echo.raw"), str(folder / "heard.raw")]
        quiet = folder / "quiet.raw"
        np.zeros(RATE, np.int16).tofile(quiet)
        saids = [str(self._folder / "said.raw"), str(quiet)]
        ends = []
        with contextlib.ExitStack() as stack:
            for host in (0, 1):
                command = hosts.command(host, *_program(job.system), files[host], saids[host], str(job.condition.ppm))
                end = Peer(command, self._environment, folder / f"log{host}")
                stack.callback(end.end)
                ends.append(end)
            one, other = ends
            for end in ends:
                end.told("ready")
                end.hurry()
            waits.start()
            one.do("offer")
            other.do("answer", sdp=terms(job.system, one.told("sdp")))
            one.do("accept", sdp=terms(job.system, other.told("sdp")))
            if job.condition.busy_s:
                other.do("busy", seconds=str(job.condition.busy_s))
            one.told("said", self._said.seconds + PATIENCE_S)
            time.sleep(AFTER_S)
            for end in ends:
                end.do("end")
                end.told("ended")
            said_at, heard_at = one.told("said_at"), other.told("heard_at")
        return np.fromfile(files[1], np.int16), heard_at - said_at

    def _judge(self, job: Job, heard: Samples, offset_ms: float | None, counts: dict[str, int]) -> Found:
        if offset_ms is None:
            scores = [replace(each, delay_ms=float("nan")) for each in speech.judge(self._said, heard, speech.offset(self._said, heard))]
        else:
            scores = speech.judge(self._said, heard, offset_ms, job.condition.ppm * 1e-6)
        kbps = counts["octets"] * 8 / 1000 / self._said.seconds
        return Found(scores, kbps, counts["lost"] / max(1, counts["sent"]))


def _program(system: str) -> list[str]:
    here = Path(__file__)
    if system == LIBWEBRTC:
        return [str(guests.folder_of(guests.WRTC) / "bin" / "python"), str(here.with_name("quality_wrtc.py"))]
    if system == CHROMIUM:
        return [sys.executable, str(here.with_name("quality_chromium.py"))]
    return [sys.executable, str(here.with_name("quality_peer.py")), "stock" if system == STOCK else "ours"]


def terms(system: str, sdp: str) -> str:
    """A description as it is, or with what makes our bit rate libwebrtc's: no copies, and a limit. What is asked for is sent again, and
    each packet told of (transport-wide feedback), as it is between the others."""
    if system != OURS_EQUAL:
        return sdp
    lines = [line for line in sdp.splitlines() if not line.startswith(("a=rtpmap:63", "a=fmtp:63"))]
    limited = [line.removesuffix(" 63") if line.startswith("m=") else line for line in lines]
    return "".join(f"{line};maxaveragebitrate={EQUAL_BITRATE}\r\n" if line.startswith("a=fmtp:111") else f"{line}\r\n" for line in limited)


def can_take(system: str, condition: Condition) -> bool:
    """Whether such a line can be made for that system."""
    return not (condition.ppm and system in NO_OTHER_CLOCK) and not (condition.busy_s and system in NEVER_BUSY)


def available(systems: list[str]) -> Iterator[str]:
    """Those that can be measured here."""
    for system in systems:
        lacks = _lacks(system)
        if lacks is None:
            yield system
        else:
            print(f"{system} is left out: it needs {lacks}.", file=sys.stderr)


def _lacks(system: str) -> str | None:
    if system == BARESIP:
        return baresip.missing()
    if system == CHROMIUM:
        return chromium.missing()
    if system == LIBWEBRTC:
        try:
            guests.folder_of(guests.WRTC)
        except guests.NotThereError as error:
            return str(error)
    return None
