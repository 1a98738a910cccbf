"""What people hear over bad lines: PESQ and delay of ours, Chromium, libwebrtc, stock aiortc and baresip; for all, the same are lost.

usage: python tests/benchmarks/quality.py [--quick] [--seeds N] [--systems "NAME;…"] [--conditions "NAME;…"] [--at-once N]

::

    peer a (process, namespace) -- relay that loses and delays (emulator.py) -- peer b (process, namespace) -> what it heard -> PESQ

Needs Linux, root, /dev/net/tun; espeak-ng and alsa-utils; PyPI's pesq, and wrtc for libwebrtc M152 (installed into a cache folder);
Debian's chromium; baresip-core, pulseaudio and libasound2-plugins for baresip. Systems whose programs aren't there are left out, and named.

Delays are one way, from the moment 20 ms of sound are handed over, at once, to the moment they are asked for; of it the line takes
20 ms. (Of Chromium, from its fake capture to its playback, between two worklets that are alike.) Of baresip, which plays through a sound
server, no delay is told. A call during which others took the CPU is made again. A full round (13 lines, 6 systems, 3 seeds of
6 sentences) takes 90 minutes, ``--quick`` five.
"""

import argparse
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import emulator
import numpy as np
import quality_baresip as baresip
import quality_chromium as chromium
import speech
from figures import median, table
from line import CONDITIONS, Condition

sys.path.insert(0, str(Path(__file__).parents[2]))

from sinchphone.audio.frame import RATE, Samples
from tests.suite import guests

STOCK, LIBWEBRTC, CHROMIUM, BARESIP = "stock aiortc", "libwebrtc M152", "Chromium", "baresip"
OURS_EQUAL, OURS = "ours, 32 kbit/s", "ours, redundancy on"
SYSTEMS = (STOCK, LIBWEBRTC, CHROMIUM, BARESIP, OURS_EQUAL, OURS)
EQUAL_BITRATE = 32_000  # libwebrtc's, of mono speech

QUICK_CONDITIONS = ("clean", "5 %", "10 % in bursts of 3", "jitter 40 ms")
QUICK_SENTENCES = 3

URGENT = -10  # every peer's priority: others on the machine shouldn't be heard
PATIENCE_S = 30.0
AFTER_S = 1.5
TRIES = 4  # of a call that was disturbed, or didn't come about
PUNCTUAL = 0.99  # of all packets, those that the relay must have delivered in time, else others took the CPU during the call


@dataclass(frozen=True)
class Job:
    """One call."""

    system: str
    condition: Condition
    seed: int


@dataclass(frozen=True)
class Found:
    """What came of it."""

    job: Job
    scores: list[speech.Score]
    kbps: float  # of IP packets from the speaker
    lost: float  # share


class Peer:
    """A process that obeys JSON lines."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path) -> None:
        with log.open("wb") as file:
            urgent = ["nice", "-n", str(URGENT), *command]
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(urgent, env=environment, stdin=pipe, stdout=pipe, stderr=file, text=True, bufsize=1)
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

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self._told |= json.loads(line)
                self._changed.notify_all()


class Bench:
    """Makes calls, so many at once; what was heard is judged at the end, when nobody is disturbed by it."""

    def __init__(self, folder: Path, said: speech.Speech, environment: dict[str, str], at_once: int) -> None:
        self._folder = folder
        self._said = said
        self._environment = environment
        self._numbers: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in range(at_once):
            self._numbers.put(number)
        said.sound.tofile(folder / "said.raw")
        baresip.write_wav(folder / "said.wav", said.sound)

    def call(self, job: Job) -> Callable[[], Found]:
        """Make a call; what is returned judges it."""
        number = self._numbers.get()
        try:
            for left in reversed(range(TRIES)):
                with contextlib.ExitStack() as stack:
                    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=self._folder)))
                    try:
                        return self._call(job, number, folder, choosy=bool(left))
                    except (TimeoutError, AssertionError, KeyError) as error:
                        print(f"\n{job.system}, {job.condition.name}: {error!r}, again", file=sys.stderr)
                        if not left:
                            for log in folder.rglob("*log*"):
                                print(log.name, log.read_text("utf-8", "replace")[-1500:], file=sys.stderr)
                            raise
            raise AssertionError("no try")
        finally:
            self._numbers.put(number)

    def _call(self, job: Job, number: int, folder: Path, *, choosy: bool) -> Callable[[], Found]:
        with emulator.Emulator(number, job.condition, job.seed) as hosts:
            if job.system == BARESIP:
                seconds = self._said.seconds
                said = self._folder / "said.wav"
                heard = baresip.call(folder, number, hosts.addresses, hosts.command, self._environment, said, seconds)
                offset = None
            else:
                heard, offset = self._peers(job, hosts, folder)
        disturbed = hosts.counts["late"] > (1 - PUNCTUAL) * hosts.counts["carried"]
        assert not (choosy and disturbed), "the machine is too busy"
        return lambda: self._judge(job, heard, offset, hosts.counts)

    def _peers(self, job: Job, hosts: emulator.Emulator, folder: Path) -> tuple[Samples, float]:
        files = [str(folder / "echo.raw"), str(folder / "heard.raw")]
        quiet = folder / "quiet.raw"
        np.zeros(RATE, np.int16).tofile(quiet)
        saids = [str(self._folder / "said.raw"), str(quiet)]
        ends = []
        with contextlib.ExitStack() as stack:
            for host in (0, 1):
                command = hosts.command(host, *_program(job.system), files[host], saids[host])
                end = Peer(command, self._environment, folder / f"log{host}")
                stack.callback(end.kill)
                ends.append(end)
            one, other = ends
            one.do("offer")
            other.do("answer", sdp=_terms(job.system, one.told("sdp")))
            one.do("accept", sdp=_terms(job.system, other.told("sdp")))
            one.told("said", self._said.seconds + PATIENCE_S)
            time.sleep(AFTER_S)
            for end in ends:
                end.do("end")
                end.told("ended")
            said_at, heard_at = one.told("said_at"), other.told("heard_at")
        return np.fromfile(files[1], np.int16), heard_at - said_at

    def _judge(self, job: Job, heard: Samples, offset_ms: float | None, counts: dict[str, int]) -> Found:
        if offset_ms is None:
            scores = [speech.Score(each.pesq, float("nan")) for each in speech.judge(self._said, heard, speech.offset(self._said, heard))]
        else:
            scores = speech.judge(self._said, heard, offset_ms)
        kbps = counts["octets"] * 8 / 1000 / self._said.seconds
        return Found(job, scores, kbps, counts["lost"] / max(1, counts["sent"]))


def _program(system: str) -> list[str]:
    here = Path(__file__)
    if system == LIBWEBRTC:
        return [str(guests.folder_of(guests.WRTC) / "bin" / "python"), str(here.with_name("quality_wrtc.py"))]
    if system == CHROMIUM:
        return [sys.executable, str(here.with_name("quality_chromium.py"))]
    return [sys.executable, str(here.with_name("quality_peer.py")), "stock" if system == STOCK else "ours"]


def _terms(system: str, sdp: str) -> str:
    """A description as it is, or with what makes our bit rate libwebrtc's: no copies, nothing sent again, and a limit."""
    if system != OURS_EQUAL:
        return sdp
    lines = [line for line in sdp.splitlines() if not line.startswith(("a=rtcp-fb", "a=rtpmap:63", "a=fmtp:63"))]
    limited = [line.removesuffix(" 63") if line.startswith("m=") else line for line in lines]
    return "".join(f"{line};maxaveragebitrate={EQUAL_BITRATE}\r\n" if line.startswith("a=fmtp:111") else f"{line}\r\n" for line in limited)


def measure(jobs: list[Job], said: speech.Speech, at_once: int) -> list[Found]:
    """All of them."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="quality-")))
        environment = dict(os.environ)
        if any(job.system == BARESIP for job in jobs):
            environment = stack.enter_context(baresip.sound_server(folder / "pulse", at_once))
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), environment.get("PYTHONPATH")]))
        bench = Bench(folder, said, environment, at_once)
        with ThreadPoolExecutor(at_once) as pool:
            judgements = []
            for count, judgement in enumerate(pool.map(bench.call, jobs), 1):
                judgements.append(judgement)
                print(f"\r{count} of {len(jobs)} calls", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        return [judgement() for judgement in judgements]


def report(found: list[Found], systems: list[str], conditions: list[Condition]) -> str:
    """Mean PESQ (the worst sentence) and median delay; then bit rates."""
    quality: dict[str, list[float | str]] = {}
    rates: dict[str, list[float | str]] = {}
    for condition in conditions:
        quality[condition.name], rates[condition.name] = [], []
        for system in systems:
            calls = [each for each in found if each.job.system == system and each.job.condition == condition]
            scores = [score for each in calls for score in each.scores]
            delay = median(each.delay_ms for each in scores)
            told = "" if delay != delay else f" / {delay:.0f}"
            quality[condition.name].append(f"{np.mean([s.pesq for s in scores]):.2f} ({min(s.pesq for s in scores):.2f}){told}")
            rates[condition.name].append(f"{np.mean([each.kbps for each in calls]):.0f}")
    wide = [f"{system:>16}" for system in systems]
    return table("PESQ (worst) / ms", wide, quality) + "\n" + table("kbit/s of IP packets", wide, rates)


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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--systems", default=";".join(SYSTEMS))
    parser.add_argument("--conditions")
    parser.add_argument("--at-once", type=int, default=2)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started is ended then too
    lacks = emulator.missing() or speech.missing()
    if lacks is not None:
        sys.exit(f"This benchmark needs {lacks}.")
    names = (given.conditions or ";".join(QUICK_CONDITIONS if given.quick else [each.name for each in CONDITIONS])).split(";")
    conditions = [each for each in CONDITIONS if each.name in names]
    systems = list(available(given.systems.split(";")))
    seeds = given.seeds or (1 if given.quick else 3)
    jobs = [Job(system, condition, given.first_seed + seed) for seed in range(seeds) for condition in conditions for system in systems]
    said = speech.speech(QUICK_SENTENCES if given.quick else speech.COUNT)
    print(report(measure(jobs, said, given.at_once), systems, conditions))


if __name__ == "__main__":
    main()
