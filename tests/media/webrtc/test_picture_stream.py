"""A stream of pictures over a path that loses and spoils packets: what is asked for, what is sent again, what is seen in the end."""

import asyncio
import time
from collections.abc import Callable

import pytest

from sinchphone.media.agreement import PictureAgreement
from sinchphone.media.legs.path_control import PathControl
from sinchphone.media.pictures.picture_leg import PictureLeg
from sinchphone.media.video.stream import StreamPlace, VideoStream
from sinchphone.picture.bar_code import PictureCode, draw_code, read_code
from sinchphone.picture.frame import Picture
from sinchphone.protocol.rtp.packet import RtcpReport, encode_report
from sinchphone.protocol.rtp.video.feedback import KeyFrameRequest, decode_picture_feedback, encode_pli

PATIENCE = 15.0
AGREED = PictureAgreement("VP8", 96, frozenset({96}), sends=True, nack=True)


class Silent:
    """No sound that pictures could wait for."""

    delay = 0.0

    def delay_at_least(self, seconds: float) -> None:
        assert seconds == 0.0

    def heard_at(self, ntp: float) -> float | None:
        return None


class End:
    """One stream, whose packets go to the other one, unless ``harm`` makes something else of them."""

    def __init__(self, ssrc: int) -> None:
        self.leg = PictureLeg()
        self.codes: list[PictureCode] = []
        self.other: End | None = None
        self.harm: Callable[[bytes], list[bytes]] = lambda packet: [packet]
        self.requests = 0
        self.lost_requests = 0  # that many of them never arrive
        self.sent = 0
        path = PathControl(self._pass_on)
        self.stream = VideoStream(StreamPlace(ssrc, "name", path, Silent(), self._control), self.leg)
        self.stream.agree(AGREED)
        self.leg.on_picture(self._see)

    def _pass_on(self, packet: bytes) -> bool:
        self.sent += 1
        assert self.other is not None
        for one in self.harm(packet):
            self.other.stream.take(one)
        return True

    def _control(self, packet: bytes) -> bool:
        asks = any(isinstance(one, KeyFrameRequest) for one in decode_picture_feedback(packet))
        self.requests += asks
        assert self.other is not None
        if asks and self.requests <= self.lost_requests:
            return True
        asyncio.get_running_loop().call_soon(self.other.stream.control, packet)
        return True

    def _see(self, picture: Picture, at: float) -> None:
        code = read_code(picture)
        if code is not None:
            self.codes.append(code)


def two_ends() -> tuple[End, End]:
    shows, sees = End(1), End(2)
    shows.other, sees.other = sees, shows
    shows.stream.open()
    return shows, sees


async def show(shows: End, first: int, count: int, *, until: Callable[[], bool] | None = None) -> int:
    """So many pictures, 30 a second, or more until that is so; the number of the next one."""
    limit = time.monotonic() + PATIENCE
    number = first
    while number < first + count or (until is not None and not until() and time.monotonic() < limit):
        picture = await asyncio.to_thread(draw_code, PictureCode(number, 1), 320, 180, time.monotonic())
        shows.leg.send(picture)
        number += 1
        await asyncio.sleep(1 / 30)
    return number


async def test_packets_of_padding_between_pictures_are_not_lost_and_cost_none() -> None:
    """Chromium probes with them how much the path carries."""
    shows, sees = two_ends()
    padding = 0

    def harm(packet: bytes) -> list[bytes]:
        nonlocal padding
        number = int.from_bytes(packet[2:4], "big") + padding
        packets = [packet[:2] + (number % 0x10000).to_bytes(2, "big") + packet[4:]]
        if packet[1] & 0x80:
            padding += 3
            head = bytes([packet[0] | 0x20, packet[1] & 0x7F])
            packets += [head + ((number + step) % 0x10000).to_bytes(2, "big") + packet[4:12] + bytes(99) + b"d" for step in (1, 2, 3)]
        return packets

    shows.harm = harm
    await show(shows, 0, 10, until=lambda: len(sees.codes) >= 10)
    assert len(sees.codes) >= 10
    counts = sees.stream.stats()
    assert (counts.packets_lost, counts.pictures_dropped) == (0, 0)
    shows.stream.close()
    sees.stream.close()


async def test_a_packet_that_is_lost_is_sent_again_and_no_picture_is_missing() -> None:
    """Of fifteen after each other: where the machine stalls for longer than a packet is waited for, it's the next fifteen."""
    shows, sees = two_ends()
    lost: set[int] = set()

    def harm(packet: bytes) -> list[bytes]:
        sequence = int.from_bytes(packet[2:4], "big")
        if sequence % 7 == 3 and sequence not in lost:
            lost.add(sequence)
            return []
        return [packet]

    shows.harm = harm

    async def show_fifteen(first: int) -> int:
        seen, gone = len(sees.codes) + 15, len(lost) + 2
        following = await show(shows, first, 15, until=lambda: len(sees.codes) >= seen and len(lost) >= gone)
        assert len(sees.codes) >= seen and len(lost) >= gone
        return following

    following, dropped = 0, -1
    async with asyncio.timeout(2 * PATIENCE):
        while dropped != (dropped := sees.stream.stats().pictures_dropped):
            following = await show_fifteen(following)
    shows.stream.close()
    sees.stream.close()


def unreadable(packet: bytes) -> list[bytes]:
    """Its frame's first partition is longer than the frame (RFC 6386 9.1)."""
    return [packet[:16] + b"\xf1\xff\xff" + packet[19:]]


async def test_a_spoilt_frame_costs_itself_and_the_picture_comes_back_with_a_key_frame() -> None:
    shows, sees = two_ends()
    following = await show(shows, 0, 5, until=lambda: len(sees.codes) >= 3)
    asked = sees.requests
    shows.harm = unreadable
    following = await show(shows, following, 4, until=lambda: sees.requests > asked)
    shows.harm = lambda packet: [packet]
    before = len(sees.codes)
    await show(shows, following, 10, until=lambda: len(sees.codes) >= before + 5)
    assert len(sees.codes) >= before + 5
    assert sees.codes[-1].number > following
    shows.stream.close()
    sees.stream.close()


async def test_a_key_frame_is_asked_for_again_until_it_comes() -> None:
    shows, sees = two_ends()
    following = await show(shows, 0, 5, until=lambda: len(sees.codes) >= 3)
    sees.lost_requests = sees.requests + 2
    shows.harm = unreadable
    following = await show(shows, following, 4, until=lambda: sees.requests >= sees.lost_requests)
    shows.harm = lambda packet: [packet]
    before = len(sees.codes)
    await show(shows, following, 5, until=lambda: len(sees.codes) >= before + 3)
    assert sees.requests > sees.lost_requests
    assert len(sees.codes) >= before + 3
    shows.stream.close()
    sees.stream.close()


@pytest.mark.parametrize("kind", ["PLI", "FIR with the same number"])
async def test_many_requests_make_few_key_frames(kind: str) -> None:
    shows, sees = two_ends()
    following = await show(shows, 0, 5, until=lambda: len(sees.codes) >= 3)
    keys = 0

    def harm(packet: bytes) -> list[bytes]:
        nonlocal keys
        starts = packet[12] & 0x80 and packet[12] & 0x10
        keys += bool(starts) and not packet[16] & 1
        return [packet]

    shows.harm = harm
    fir = encode_report(RtcpReport(2, None, ()), "name") + bytes.fromhex("84ce0004 00000002 00000000 00000001 05000000".replace(" ", ""))
    for _ in range(20):
        shows.stream.control(encode_pli(2, 1, "name") if kind == "PLI" else fir)
        following = await show(shows, following, 1)
    assert 1 <= keys <= 4
    shows.stream.close()
    sees.stream.close()
