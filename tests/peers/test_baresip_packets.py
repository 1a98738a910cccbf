"""A real phone (baresip) says how long it wants packets to be, and gets them so; with the sound in them as it was said."""

import asyncio
from pathlib import Path

import pytest

from sinchphone.audio.levels.level import dbfs
from sinchphone.media.codecs.opus import packet_samples
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.rtp.packet import RtpPacket, decode_packet
from tests.peers.peerkit.baresip import Baresip, phone
from tests.peers.peerkit.sound import ENOUGH, read
from tests.peers.peerkit.station import station

PHONE_HZ, OUR_HZ = 440.0, 1000.0
SAID_DBFS = -15.3  # of either tone: a sine of 8000
CODECS = {"pcmu": "PCMU", "opus": "opus"}
WITHIN_DB = 1.0
PAUSE_S = 3.0


class Wire:
    """What we sent over it."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, RtpPacket]] = []  # from which port

    def tap(self, packet: bytes, source: str, target: str) -> None:
        decoded = decode_packet(packet)
        if decoded is not None:
            self.sent.append((int(source.rpartition(":")[2]), decoded))

    def ours(self, phone: Baresip) -> list[RtpPacket]:
        """All that doesn't come from the phone's ports."""
        return [packet for port, packet in self.sent if not phone.port <= port < phone.port + 24]


def milliseconds(codec: str, packet: RtpPacket) -> float:
    return packet_samples(packet.payload) / 48 if codec == "opus" else len(packet.payload) / 8


async def level_heard(ada: Baresip, seconds: float = 0.5) -> float:
    """Of the end of what the phone recorded [dBFS]."""
    samples, rate = read(ada.recording())
    return dbfs(samples[-round(seconds * rate) :])


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("packet_ms", [10, 40, 60])
async def test_a_phone_gets_packets_of_the_length_that_its_offer_wants(
    tmp_path: Path, media: MediaThread, codec: str, packet_ms: int
) -> None:
    wire = Wire()
    async with (
        station(media, rtp={"codecs": (CODECS[codec],), "tap": wire.tap}) as us,
        phone(tmp_path / "ada", "ada", hz=PHONE_HZ, codec=codec, packet_ms=packet_ms) as ada,
    ):
        await ada.dial(f"sip:us@{us.at}")
        call = await us.next_call()
        await call.mouth.hears(PHONE_HZ)
        assert dbfs(call.mouth.last(0.3)) == pytest.approx(SAID_DBFS, abs=WITHIN_DB)
        await call.hang_up()
        await ada.event("CALL_CLOSED")
        assert await ada.hears(OUR_HZ) > ENOUGH
        assert await level_heard(ada) == pytest.approx(SAID_DBFS, abs=WITHIN_DB)
    assert {milliseconds(codec, packet) for packet in wire.ours(ada)} == {packet_ms}


async def test_a_phone_that_wants_no_silence_gets_next_to_nothing_in_a_pause_and_all_that_is_said_after_it(
    tmp_path: Path, media: MediaThread
) -> None:
    wire = Wire()
    async with (
        station(media, rtp={"codecs": ("opus",), "tap": wire.tap}) as us,
        phone(tmp_path / "ada", "ada", hz=PHONE_HZ, codec="opus", pauses=True) as ada,
    ):
        await ada.dial(f"sip:us@{us.at}")
        call = await us.next_call()
        await call.mouth.hears(PHONE_HZ)
        call.mouth.hz = 0.0
        await asyncio.sleep(1.0)  # until the encoder believes it
        before = len(wire.ours(ada))
        await asyncio.sleep(PAUSE_S)
        assert len(wire.ours(ada)) - before <= PAUSE_S * 5
        call.mouth.hz = OUR_HZ
        await asyncio.sleep(2.0)
        assert dbfs(call.mouth.last(0.3)) == pytest.approx(SAID_DBFS, abs=WITHIN_DB)
        await call.hang_up()
        await ada.event("CALL_CLOSED")
        assert await ada.hears(OUR_HZ) > ENOUGH
        assert await level_heard(ada) == pytest.approx(SAID_DBFS, abs=WITHIN_DB)
    assert any(packet.marker for packet in wire.ours(ada)[-120:])
