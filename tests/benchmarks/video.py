"""What people see over bad lines: PSNR, SSIM, freezes, delay and CPU of ours and of Chromium, over the same lines in the same run.

usage: python tests/benchmarks/video.py [--seconds N] [--lines "NAME;…"] [--seed N] [--urgent]

``--urgent`` (Linux, root) lets both go before everything else on a busy machine: what starves of CPU loses packets that no line lost.

::

    640x360 at 15 a second -> peer a -- relay (a process) that loses, delays and is narrow -- peer b -> what it shows -> judged

Both ends of a call are in one process (ours) or one page (Chromium), over UDP on this machine. Pictures are sinchphone's test pictures,
known by their number. The first seconds, in which both learn what the line carries, aren't judged. A freeze is a gap of three times the
mean between two pictures, and 150 ms longer than that at least (as in WebRTC's statistics). CPU is that of both ends together.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import multiprocessing
import os
import re
import resource
import select
import socket
import struct
import tempfile
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import quality_chromium
from emulator import make_urgent
from figures import table
from line import DELAY_S, Condition, Line, narrow
from numpy.typing import NDArray

from sinchphone.audio.frame import FRAME_SAMPLES
from sinchphone.audio.tones.signals import Sine
from sinchphone.media.port import CandidateFound, Connected, PortOptions
from sinchphone.media.video.stills import Scaler
from sinchphone.media.webrtc.port import WebRtcPort
from sinchphone.picture.bar_code import PictureCode, draw_code, read_code
from sinchphone.picture.frame import Picture
from sinchphone.protocol.sdp.jsep import Candidate
from sinchphone.tasks import start_task

WIDTH, HEIGHT, RATE = 640, 360, 15.0
SOURCES = 450  # pictures, then they begin again
LEARN_S = 8.0
SCORED = 3  # each third picture
PAGE = Path(__file__).with_name("video_chromium.html")
LINES = (
    Condition("clean"),
    Condition("5 %", loss=0.05),
    Condition("10 % in bursts of 3", loss=0.10, burst=3),
    Condition("jitter 40 ms", jitter_s=0.040),
    narrow("1 Mbit/s", 1_000),
    narrow("300 kbit/s", 300),
    narrow("150 kbit/s, 5 %", 150, loss=0.05),
)

Luma = NDArray[np.uint8]


@dataclass(frozen=True)
class Shown:
    """A picture that was shown: which (-1: unknown), when it was taken and shown [s], and its brightness, of some."""

    number: int
    taken_at: float
    at: float
    luma: Luma | None


@dataclass(frozen=True)
class Judgement:
    """What people saw from LEARN_S on."""

    rate: float
    psnr: float
    ssim: float
    frozen: float
    delay_ms: float
    cpu: float

    def row(self) -> list[str]:
        """For the table."""
        return [
            f"{self.rate:.1f}",
            f"{self.psnr:.1f}",
            f"{self.ssim:.3f}",
            f"{100 * self.frozen:.1f}",
            f"{self.delay_ms:.0f}",
            f"{100 * self.cpu:.0f}",
        ]


def psnr(one: Luma, other: Luma) -> float:
    """Peak signal to noise [dB], 60 for the same."""
    error = float(np.mean((one.astype(np.float64) - other) ** 2))
    return 60.0 if error < 0.065 else float(10 * np.log10(255**2 / error))


def ssim(one: Luma, other: Luma) -> float:
    """Structural similarity (Wang et al., 2004), of blocks of 8 x 8."""
    blocks = [_blocks(each) for each in (one, other)]
    means = [each.mean(axis=(1, 3)) for each in blocks]
    variances = [each.var(axis=(1, 3)) for each in blocks]
    both = (blocks[0] * blocks[1]).mean(axis=(1, 3)) - means[0] * means[1]
    small, smaller = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    above = (2 * means[0] * means[1] + small) * (2 * both + smaller)
    return float(np.mean(above / ((means[0] ** 2 + means[1] ** 2 + small) * (variances[0] + variances[1] + smaller))))


def _blocks(luma: Luma) -> NDArray[np.float64]:
    rows, columns = luma.shape[0] // 8, luma.shape[1] // 8
    return luma[: 8 * rows, : 8 * columns].reshape(rows, 8, columns, 8).astype(np.float64)


def freezes(times: list[float]) -> float:
    """The share of time that the picture stood still for long."""
    gaps = np.diff(times)
    if len(gaps) < 2:
        return 1.0
    mean = float(gaps.mean())
    return float(gaps[gaps >= max(3 * mean, mean + 0.150)].sum() / gaps.sum())


def judge(shown: list[Shown], sources: list[Luma], seconds: float, cpu: float) -> Judgement:
    """Of one call; times from its beginning."""
    watched = [one for one in shown if one.taken_at >= LEARN_S]
    scored = [(one.luma, sources[one.number % len(sources)]) for one in watched if one.luma is not None]
    return Judgement(
        len(watched) / (seconds - LEARN_S),
        float(np.median([psnr(*each) for each in scored])) if scored else float("nan"),
        float(np.median([ssim(*each) for each in scored])) if scored else float("nan"),
        freezes([LEARN_S, *(one.at for one in watched), seconds]) if watched else 1.0,
        1000 * float(np.median([one.at - one.taken_at for one in watched])) if watched else float("nan"),
        cpu,
    )


# the line


def relay(orders: Connection, condition: Condition, seed: int, host: str) -> None:
    """A process: packets for b go through the line, those for a only take their time."""
    doors = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]  # a's peer, b's peer
    for door in doors:
        door.bind((host, 0))
        door.setblocking(False)
    with contextlib.suppress(OSError):
        os.nice(-15)
    orders.send([door.getsockname()[1] for door in doors])
    ends: list[Any] = [None, None]
    line, waiting, last = Line(condition, seed), list[tuple[float, int, bytes]](), 0.0
    while True:
        pause = max(0.0, waiting[0][0] - time.monotonic()) if waiting else 0.5
        watched: list[Any] = [*doors, orders]
        ready = select.select(watched, [], [], min(pause, 0.5))[0]
        if orders in ready:
            ends = orders.recv()
            if ends is None:
                return
        now = time.monotonic()
        for which, door in enumerate(doors):
            while door in ready:
                try:
                    packet, _ = door.recvfrom(2048)
                except BlockingIOError:
                    break
                media = 128 <= packet[0] < 192 and not 192 <= packet[1] <= 223
                at = line.take(_count(line), len(packet) + 28, now) if media and which == 0 else now + DELAY_S
                if at is not None:
                    last = at if which == 0 else last
                    waiting.append((at, 1 - which, packet))
        waiting.sort(key=lambda each: each[0])
        while waiting and waiting[0][0] <= time.monotonic():
            _, to, packet = waiting.pop(0)
            if ends[to] is not None:
                with contextlib.suppress(OSError):
                    doors[to].sendto(packet, tuple(ends[to]))


def _count(line: Line) -> int:
    """All packets have one line of numbers: sound and pictures meet the same fate."""
    return line.sent & 0xFFFF


@contextlib.contextmanager
def a_line(condition: Condition, seed: int, host: str) -> Iterator[tuple[Connection, list[int]]]:
    """Orders, and the ports at which a finds b, and b finds a."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=relay, args=(theirs, condition, seed, host), daemon=True)
    process.start()
    try:
        yield ours, ours.recv()
    finally:
        ours.send(None)
        process.join(5)


# ours


async def call_of_ours(condition: Condition, seed: int, sources: list[Picture], seconds: float) -> Judgement:
    """A call between two ports of ours."""
    with a_line(condition, seed, "127.0.0.1") as (orders, ports):
        a, b = (WebRtcPort(PortOptions(loopback=True, pictures=("VP8",))) for _ in range(2))
        ends: list[Any] = [None, None]
        connected = [asyncio.Event(), asyncio.Event()]

        async def follow(which: int, port: WebRtcPort, other: WebRtcPort) -> None:
            async for event in port.events():
                if isinstance(event, CandidateFound) and event.candidate is not None and ends[which] is None:
                    words = event.candidate.candidate.split()
                    ends[which] = (words[4], int(words[5]))
                    if None not in ends:
                        orders.send(ends)
                    told = f"candidate:1 1 udp 2122260223 127.0.0.1 {ports[1 - which]} typ host"
                    await other.add_candidate(Candidate(told, event.candidate.sdp_mid, event.candidate.sdp_mline_index))
                elif isinstance(event, Connected):
                    connected[which].set()

        offer = await a.offer()
        tasks = [start_task(follow(0, a, b), name="a")]
        answer = await b.answer(offer)
        tasks.append(start_task(follow(1, b, a), name="b"))
        await a.accept(answer)
        async with asyncio.timeout(20):
            await asyncio.gather(*(each.wait() for each in connected))
        try:
            return await _watch(a, b, sources, seconds)
        finally:
            await a.close()
            await b.close()
            await asyncio.gather(*tasks)


async def _watch(a: WebRtcPort, b: WebRtcPort, sources: list[Picture], seconds: float) -> Judgement:
    shown: list[Shown] = []
    taken: dict[int, float] = {}
    scaler, count = Scaler(), 0
    began = time.monotonic()

    def see(picture: Picture, at: float) -> None:
        nonlocal count
        code = read_code(picture)
        if code is None or code.number not in taken:
            return
        count += 1
        luma = None
        if count % SCORED == 0:
            luma = _luma(scaler.scale(picture, WIDTH, HEIGHT))
        shown.append(Shown(code.number, taken[code.number], at - began, luma))

    b.pictures.on_picture(see)
    a.pictures.describe(WIDTH, HEIGHT, RATE)
    tone, number, cpu = Sine(400.0), 0, _cpu()
    for tick in range(round(seconds * 50)):
        a.leg.send(tone.pull())
        b.leg.pull(FRAME_SAMPLES)
        if tick / 50 >= number / RATE:
            taken[number] = time.monotonic() - began
            source = sources[number % len(sources)]
            a.pictures.send(Picture(source.planes, time.monotonic()))
            number += 1
        await asyncio.sleep(max(0.0, began + (tick + 1) / 50 - time.monotonic()))
    spent = _cpu() - cpu
    return judge(shown, [_luma(scaler.scale(each, WIDTH, HEIGHT)) for each in sources], seconds, spent / seconds)


def _cpu() -> float:
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return spent.ru_utime + spent.ru_stime


def _luma(colours: NDArray[np.uint8]) -> Luma:
    return (colours @ np.array([0.299, 0.587, 0.114], np.float32) + 0.5).astype(np.uint8)


# Chromium's


def call_of_chromium(condition: Condition, seed: int, sources: list[Picture], seconds: float) -> Judgement:
    """A call between two connections of one page."""
    quality_chromium.PAGE = PAGE
    scaler = Scaler()
    colours = [scaler.scale(each, WIDTH, HEIGHT) for each in sources]
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        quality_chromium.Chromium(Path(os.devnull), Path(folder)) as browser,
    ):
        for each in colours:
            browser.evaluate(f"keep('{base64.b64encode(_png(each)).decode()}')")
        browser.evaluate("begin()")
        offer = browser.evaluate("offer()")
        host, port = _address(offer)
        with a_line(condition, seed, host) as (orders, ports):
            answer = browser.evaluate(f"answer({json.dumps(_led_to(offer, host, ports[1]))})")
            orders.send([(host, port), _address(answer)])
            browser.evaluate(f"accept({json.dumps(_led_to(answer, host, ports[0]))})")
            cpu = _tree_cpu(browser._process.pid)
            browser.evaluate("play()")
            time.sleep(seconds)
            spent = _tree_cpu(browser._process.pid) - cpu
            told = browser.evaluate("told()")
        drawn = {int(number): at / 1000 for number, at in told["drawn"].items()}
        began = drawn[0]
        kept = {index: np.frombuffer(base64.b64decode(browser.evaluate(f"luma({index})")), np.uint8) for index in told["kept"]}
    shown = [
        Shown(number, drawn[number] - began, at / 1000 - began, kept[index].reshape(HEIGHT, WIDTH) if index in kept else None)
        for index, (number, at) in enumerate(told["seen"])
        if number in drawn
    ]
    return judge(shown, [_luma(each) for each in colours], seconds, spent / seconds)


def _address(sdp: str) -> tuple[str, int]:
    found = re.search(r"a=candidate:\S+ 1 udp \d+ (\d+\.\d+\.\d+\.\d+) (\d+) typ host", sdp)
    assert found is not None, "an IPv4 candidate"
    return found[1], int(found[2])


def _led_to(sdp: str, host: str, port: int) -> str:
    """The description with the relay as its only address."""
    lines = [line for line in sdp.splitlines() if not line.startswith("a=candidate:")]
    at = next(index for index, line in enumerate(lines) if line.startswith("a=ice-ufrag"))
    lines.insert(at, f"a=candidate:1 1 udp 2122260223 {host} {port} typ host")
    return "\r\n".join(lines) + "\r\n"


def _png(colours: NDArray[np.uint8]) -> bytes:
    height, width = colours.shape[:2]
    raw = np.concatenate([np.zeros((height, 1), np.uint8), colours.reshape(height, 3 * width)], axis=1).tobytes()

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))

    head = struct.pack("!IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw, 1)) + chunk(b"IEND", b"")


def _tree_cpu(pid: int) -> float:
    """Of a process and all that it started [s]."""
    parents: dict[int, int] = {}
    spent: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            parents[int(entry.name)] = int(fields[1])
            spent[int(entry.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    family = {pid}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(spent[each] for each in family if each in spent)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=25.0)
    parser.add_argument("--lines", default=";".join(each.name for each in LINES))
    parser.add_argument("--seed", type=int, default=1001)
    parser.add_argument("--urgent", action="store_true")
    given = parser.parse_args()
    if given.urgent:
        make_urgent()
    sources = [draw_code(PictureCode(number, 1), WIDTH, HEIGHT) for number in range(min(SOURCES, round(given.seconds * RATE) + 15))]
    rows: dict[str, list[str]] = {}
    async for name, row in _rows(given, sources):
        rows[name] = row
        print(name, *row, flush=True)
    print(table("line, whose", ("pictures/s", "PSNR dB", "SSIM", "frozen %", "delay ms", "CPU %"), rows))


async def _rows(given: argparse.Namespace, sources: list[Picture]) -> AsyncIterator[tuple[str, list[str]]]:
    for name in given.lines.split(";"):
        condition = next(each for each in LINES if each.name == name)
        yield f"{name}, ours", (await call_of_ours(condition, given.seed, sources, given.seconds)).row()
        if quality_chromium.program() is not None:
            judged = await asyncio.to_thread(call_of_chromium, condition, given.seed, sources, given.seconds)
            yield f"{name}, Chromium", judged.row()


if __name__ == "__main__":
    asyncio.run(main())
