"""Half a video call on a virtual clock: our sound and our pictures over one line that loses and is narrow, and who hears and sees them.

What the codecs do takes real time, and the clock stands still meanwhile: so the outcome is the line's and ours, not the machine's.

usage: python tests/benchmarks/virtual_video.py        a table of lines, 20 s each, with the sound of a call without pictures beside it
"""

import asyncio
import selectors
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from figures import table
from line import CONDITIONS, DELAY_S, FRAME_S, Bottleneck, Condition, narrow
from speech import speech
from virtual_call import TERMS

from sinchphone.audio.frame import FRAME_SAMPLES, Samples
from sinchphone.media.agreement import PictureAgreement
from sinchphone.media.legs.leg import PortLeg
from sinchphone.media.legs.stream import Stream
from sinchphone.media.pictures.picture_leg import PictureLeg
from sinchphone.media.video.stream import StreamPlace, VideoStream
from sinchphone.picture.bar_code import PictureCode, draw_code, read_code
from sinchphone.picture.frame import Picture
from sinchphone.picture.ladder import PictureSetting
from sinchphone.protocol.rtp.packet import is_rtcp

BELOW_RTP = 38  # SRTP's tag, UDP, IPv4
SRTCP_INDEX = 4
RATE = 15.0
AGREED = PictureAgreement("VP8", 96, frozenset({96}), sends=True, nack=True, numbering=3)
BLOCK = 480


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock goes on only when there is nothing to do."""

    def __init__(self) -> None:
        self._virtual = 1000.0
        self.handed_over = 0  # by other threads
        super().__init__(_Jumping(self))

    def time(self) -> float:
        return self._virtual

    def pass_over(self, seconds: float) -> None:
        self._virtual += seconds

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:  # type: ignore[override]
        handle = super().call_soon_threadsafe(callback, *args, context=context)
        self.handed_over += 1
        return handle


class _Jumping(selectors.DefaultSelector):
    """Waits for nothing: the clock jumps to when the wait would be over."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout:
            self._loop.pass_over(timeout)
        return ready


@dataclass(frozen=True)
class Seen:
    """A picture that was shown."""

    number: int
    taken_at: float
    at: float
    picture: Picture


@dataclass
class VirtualVideoCall:
    """``run`` it once. All times in seconds from the call's beginning."""

    condition: Condition
    sound: Samples
    shows: bool = True
    max_kbps: int | None = None
    draw: Callable[[int, float], Picture] = lambda number, now: draw_code(PictureCode(number, 1), 640, 360, now)
    read: Callable[[Picture], int | None] = field(default_factory=lambda: _number_of)
    seen: list[Seen] = field(default_factory=list)
    settings: list[tuple[float, PictureSetting | None]] = field(default_factory=list)
    concealed: list[int] = field(default_factory=list)  # samples of sound made up, each 10 ms
    waiting: list[float] = field(default_factory=list)  # [s] in the line's queue, each 20 ms
    sent: list[tuple[float, int]] = field(default_factory=list)  # when, and bytes, of all that went over the line, reports too
    sound_late: list[float] = field(default_factory=list)  # [s] of delay, each 10 ms

    def run(self) -> "VirtualVideoCall":
        loop = VirtualLoop()
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(self._call(loop))
        finally:
            asyncio.set_event_loop(None)
            loop.close()
        return self

    async def _call(self, loop: VirtualLoop) -> None:
        self._loop, self._began = loop, loop.time()
        self._line = Bottleneck(self.condition) if self.condition.kbps else None
        self._packets = self.condition.packets(1)
        self._sent = 0
        self._last = 0.0
        self._taken: dict[int, float] = {}
        self._speaker, self._leg, self._shower, self._pictures = self._end(1, self._over_the_line)
        self._listener, self._far_leg, self._viewer, far_pictures = self._end(3, self._back)
        far_pictures.on_picture(self._see)
        self._speaker.open()
        if self.shows:
            self._shower.open()
            self._pictures.describe(640, 360, RATE)
        last = round(len(self.sound) / FRAME_SAMPLES)
        await asyncio.gather(self._say(last), self._show(last * FRAME_S), self._hear(last * FRAME_S), self._report(last * FRAME_S))
        self._shower.close()
        self._viewer.close()

    def _end(self, ssrc: int, transmit: Callable[[bytes], bool]) -> tuple[Stream, PortLeg, VideoStream, PictureLeg]:
        leg, pictures, clock = PortLeg(), PictureLeg(), self._loop.time
        wall = lambda: 1e9 + self._loop.time()  # noqa: E731
        sound = Stream(ssrc, f"{ssrc}", transmit, lambda _: None, leg, max_kbps=self.max_kbps, clock=clock, wall=wall)
        sound.agree(TERMS[1].agreement)
        video = VideoStream(StreamPlace(ssrc + 1, f"{ssrc}", sound.path, sound, transmit), pictures, clock=clock, wall=wall)
        video._sender._pacer._clock = clock
        video.agree(AGREED)
        return sound, leg, video, pictures

    @property
    def _now(self) -> float:
        return self._loop.time() - self._began

    async def _say(self, frames: int) -> None:
        for index in range(frames):
            await self._until(index * FRAME_S)
            self._leg.send(self.sound[index * FRAME_SAMPLES : (index + 1) * FRAME_SAMPLES])
            self.waiting.append(0.0 if self._line is None else self._line.waiting_s(self._loop.time()))

    async def _show(self, seconds: float) -> None:
        number = 0
        sender = self._shower._sender
        while self.shows and number / RATE < seconds:
            await self._until(number / RATE)
            picture = self.draw(number, self._loop.time())
            self._taken[number] = self._now
            before, handed = sender._due_at, self._loop.handed_over
            self._pictures.send(picture)
            limit = time.monotonic() + 5
            while sender._due_at != before and self._loop.handed_over == handed and time.monotonic() < limit:
                time.sleep(0.0002)  # the encoder's thread
            if not self.settings or self.settings[-1][1] != sender.setting:
                self.settings.append((self._now, sender.setting))
            number += 1

    async def _hear(self, seconds: float) -> None:
        index = 0
        while index * BLOCK / 48_000 < seconds:
            await self._until(0.0013 + index * BLOCK / 48_000)
            self._far_leg.pull(BLOCK)
            stats = self._listener._inbound.receiver.stats()
            self.concealed.append(stats.concealed_samples)
            self.sound_late.append((stats.delay_ms or 0.0) / 1000)
            self._drain()
            index += 1

    async def _report(self, seconds: float) -> None:
        second = 0.3
        while second < seconds:
            await self._until(second)
            for stream, video, send in (
                (self._speaker, self._shower, self._over_the_line),
                (self._listener, self._viewer, self._back),
            ):
                send(stream.report())
                send(video.report())
            second += 1.0

    async def _until(self, second: float) -> None:
        await asyncio.sleep(max(0.0, self._began + second - self._loop.time()))

    def _drain(self) -> None:
        """The decoder's thread."""
        limit = time.monotonic() + 5
        while self._viewer._receiver._frames and time.monotonic() < limit:
            time.sleep(0.0002)

    def _over_the_line(self, packet: bytes) -> bool:
        now, size = self._loop.time(), len(packet) + BELOW_RTP
        self.sent.append((self._now, size + SRTCP_INDEX * is_rtcp(packet)))
        if is_rtcp(packet):
            self._loop.call_at(now + DELAY_S, self._arrive, packet)
            return True
        lost, late = self._packets[self._sent % len(self._packets)]
        self._sent += 1
        passed = now if self._line is None else self._line.take(size, now)
        if passed is not None and not lost:
            self._last = max(self._last, passed + DELAY_S + late)
            self._loop.call_at(self._last, self._arrive, packet)
        return True

    def _back(self, packet: bytes) -> bool:
        self._loop.call_later(DELAY_S, self._answered, packet)
        return True

    def _arrive(self, packet: bytes) -> None:
        self._take(self._listener, self._viewer, packet)

    def _answered(self, packet: bytes) -> None:
        self._take(self._speaker, self._shower, packet)

    def _take(self, sound: Stream, video: VideoStream, packet: bytes) -> None:
        control = is_rtcp(packet)
        if not control and video.owns(packet):
            video.take(packet)
            return
        sound.take(packet, control)
        if control:
            video.control(packet)

    def _see(self, picture: Picture, at: float) -> None:
        number = self.read(picture)
        if number is not None and number in self._taken:
            self.seen.append(Seen(number, self._taken[number], at - self._began, picture))

    # what came of it

    def made_up(self, since: float, until: float) -> float:
        """The share of sound that was made up in those seconds."""
        begin, end = round(since * 100), min(len(self.concealed) - 1, round(until * 100))
        return (self.concealed[end] - self.concealed[begin]) / ((end - begin) * BLOCK)

    def rate(self, since: float, until: float) -> float:
        """Pictures a second that were seen in those seconds."""
        return sum(since <= one.at < until for one in self.seen) / (until - since)

    def setting_at(self, second: float) -> PictureSetting | None:
        """What was sent then."""
        return next((setting for at, setting in reversed(self.settings) if at <= second), None)

    def queue(self, since: float, until: float) -> float:
        """The 95th percentile of how long packets waited in the line then [s]."""
        return float(np.percentile(self.waiting[round(since * 50) : round(until * 50)], 95))


def _number_of(picture: Picture) -> int | None:
    code = read_code(picture)
    return None if code is None else code.number


def main() -> None:
    """The table."""
    seconds = 20
    sound = speech(6, "report").sound[: seconds * 48_000]
    wanted = ("clean", "5 %", "10 %", "10 % in bursts of 3", "jitter 40 ms", "64 kbit/s, queue 300 ms")
    lines = [each for each in CONDITIONS if each.name in wanted]
    lines += [narrow(f"{kbps} kbit/s", kbps) for kbps in (128, 300, 1_000)]
    rows = {}
    for line in lines:
        call, alone = VirtualVideoCall(line, sound).run(), VirtualVideoCall(line, sound, shows=False).run()
        setting = call.setting_at(seconds - 1)
        delays = [one.at - one.taken_at for one in call.seen if one.at > seconds / 2]
        rows[line.name] = (
            f"{call.rate(seconds / 2, seconds - 0.5):.1f}",
            "none" if setting is None else f"{setting.width}x{setting.height}",
            f"{1000 * float(np.median(delays)):.0f}" if delays else "-",
            f"{100 * call.made_up(2, seconds - 1):.2f}",
            f"{100 * alone.made_up(2, seconds - 1):.2f}",
        )
    print(table("line", ("pictures/s", "size", "delay ms", "made up %", "alone %"), rows))


if __name__ == "__main__":
    main()
