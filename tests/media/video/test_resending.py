"""Packets of pictures that are asked for again, however often and however soon."""

import asyncio

from sinchphone.media.agreement import PictureAgreement
from sinchphone.media.legs.path_control import PathControl
from sinchphone.media.video.sender import VideoSender
from sinchphone.picture.ladder import PictureSetting

SSRC = 7
AGREED = PictureAgreement("VP8", 96, frozenset({96}), sends=True, nack=True, numbering=None)


class Clock:
    """Goes on when it's told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_request_is_answered_as_soon_as_it_comes_and_a_doubled_one_once_in_a_round_trip() -> None:
    async def ask() -> list[int]:
        clock, sent = Clock(), list[int]()

        def transmit(packet: bytes) -> bool:
            sent.append(int.from_bytes(packet[2:4], "big"))
            return True

        sender = VideoSender(SSRC, PathControl(transmit, clock=clock), clock=clock)
        sender._terms, sender.setting = AGREED, PictureSetting(160, 90, 5.0, 1_000_000)
        sender._pacer.pace(1e9)
        sender._packetize([b"\x90\x80" + bytes(20)], 0)
        sender.round_trip = 0.045  # reports take longer than requests do
        for later in (0.041, 0.010, 0.040):
            clock.now += later
            sender.resend(sent[:1])
        return sent

    sent = asyncio.run(ask())
    assert sent == [sent[0]] * 3  # at first, at the first request and at the third


def test_attack_asking_for_everything_all_the_time_makes_no_queue_that_grows() -> None:
    async def flood() -> tuple[int, int]:
        clock, sent = Clock(), list[int]()

        def transmit(packet: bytes) -> bool:
            sent.append(int.from_bytes(packet[2:4], "big"))
            return True

        sender = VideoSender(SSRC, PathControl(transmit, clock=clock), clock=clock)
        sender._terms, sender.setting = AGREED, PictureSetting(640, 360, 15.0, 500_000)
        sender._pacer.pace(1e9)
        for _ in range(50):
            clock.now += 0.1
            sender._packetize([b"\x90\x80" + bytes(1_000)] * 10, 0)
        sender._pacer.pace(600_000.0)
        sender.round_trip = 0.0005  # a peer on the same machine, or one that lies
        before = len(sent)
        for _ in range(1_000):
            clock.now += 0.001
            sender.resend(sent[:500])
        return len(sent) - before, len(sender._pacer.clear())

    again, queued = asyncio.run(flood())
    assert again + queued <= 600
