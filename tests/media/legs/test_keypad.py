"""A leg's keypad: when digits count as sent."""

import asyncio

import pytest

from sinchphone.errors import MediaError
from sinchphone.media.agreement import Agreement, EventFormat
from sinchphone.media.codecs.codec import PCMU
from sinchphone.media.legs.digits.keypad import Keypad
from sinchphone.media.legs.outbound import Outbound
from sinchphone.media.legs.path_control import PathControl
from sinchphone.protocol.rtp.packet import decode_packet
from sinchphone.protocol.rtp.telephone_event import TelephoneEvent, decode_event

EVENT = EventFormat(101, 8_000)
LIMIT_S = 10.0


class Peer:
    """Where a keypad's packets arrive; the keypad is stopped the moment when so many ends of digits have."""

    def __init__(self, *, hangs_up_after: int) -> None:
        out = Outbound(7, PathControl(self._arrive))
        out.start(Agreement(PCMU, PCMU.payload_type, {}, EVENT))
        self.keypad = Keypad(out)
        self.keypad.agree(EVENT)
        self.ends = 0
        self._hangs_up_after = hangs_up_after

    def _arrive(self, data: bytes) -> bool:
        packet = decode_packet(data)
        assert packet is not None
        event = decode_event(packet.payload)
        assert event is not None
        self._hear(event)
        return True

    def _hear(self, event: TelephoneEvent) -> None:
        self.ends += event.end
        if event.end and self.ends == self._hangs_up_after:
            self.keypad.stop()


async def test_digits_are_sent_when_the_peer_hangs_up_on_hearing_the_last_one() -> None:
    peer = Peer(hangs_up_after=1)
    async with asyncio.timeout(LIMIT_S):
        await peer.keypad.press("9")
    assert peer.ends == 1


async def test_digits_are_not_sent_when_the_peer_hangs_up_before_the_last_one() -> None:
    peer = Peer(hangs_up_after=3)  # the three ends of the first
    with pytest.raises(MediaError, match="could not be sent"):
        async with asyncio.timeout(LIMIT_S):
            await peer.keypad.press("19")


async def test_a_press_ends_when_the_ends_of_its_digits_were_repeated() -> None:
    peer = Peer(hangs_up_after=0)
    async with asyncio.timeout(LIMIT_S):
        await peer.keypad.press("19")
    assert peer.ends == 6
