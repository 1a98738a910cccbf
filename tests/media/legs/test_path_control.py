"""Whether a path is known to carry more than what is sent, so that what is asked for may be sent again without copies."""

import pytest

from sinchphone.media.legs.path_control import BELOW_BYTES, PathControl
from sinchphone.protocol.congestion.allocation import Demand, Priority
from sinchphone.protocol.rtp.packet import RtpPacket, encode_packet
from sinchphone.protocol.rtp.transport_feedback import TransportFeedback

SSRC, EXTENSION = 7, 3
FRAME_S = 0.020
TICKS = 4_000  # a second of feedback
EACH_BYTES = 120  # of sound, without headers
EVERY = 5  # packets to one of feedback


class ToldPath:
    """A packet each 20 ms over a link of so many kbit/s, and its far end tells when they came."""

    def __init__(self, kbps: float, *, tells: bool = True) -> None:
        self.now = self._free_at = 100.0
        self.sent = 0
        self.path = PathControl(self._transmit, clock=lambda: self.now)
        self.path.agree(EXTENSION)
        self._kbps, self._tells = kbps, tells
        self._arrivals: list[int] = []

    def _transmit(self, packet: bytes) -> bool:
        self._free_at = max(self.now, self._free_at) + (len(packet) + BELOW_BYTES) * 8e-3 / self._kbps
        self._arrivals.append(round(self._free_at * TICKS))
        self.sent += 1
        return True

    def talk(self, seconds: float) -> None:
        for frame in range(round(seconds / FRAME_S)):
            packet = RtpPacket(111, frame, 960 * frame, SSRC, bytes(EACH_BYTES), False)
            self.path.send(self.path.pad(encode_packet(packet)))
            self.now += FRAME_S
            if self._tells and frame % EVERY == EVERY - 1:
                self.path.fed_back(TransportFeedback(self.sent - EVERY, tuple(self._arrivals[-EVERY:])))


@pytest.mark.parametrize(("kbps", "more"), [(2_000, True), (150, True), (90, False), (80, False)])
def test_a_link_carries_more_that_is_much_faster_than_what_is_sent(kbps: float, more: bool) -> None:
    told = ToldPath(kbps)
    told.talk(2.0)
    assert told.path.carries_more is more


def test_a_link_that_nothing_is_known_of_yet_is_not_believed_to_carry_more() -> None:
    told = ToldPath(2_000)
    told.talk(0.1)
    assert not told.path.carries_more


def test_of_a_peer_that_tells_by_reports_alone_nothing_can_be_known_and_it_is_tried() -> None:
    told = ToldPath(80, tells=False)
    told.talk(2.0)
    assert told.path.carries_more


def sound(number: int, size: int = EACH_BYTES) -> bytes:
    return encode_packet(RtpPacket(111, number, 960 * number, SSRC, bytes(size), False))


def test_of_a_limit_reports_and_requests_leave_less_for_the_streams_and_for_what_is_sent_again() -> None:
    now = 100.0
    path = PathControl(lambda _: True, max_kbps=48, clock=lambda: now)
    path.demand(SSRC, Demand(priority=Priority.SOUND, least=0.0, most=100_000.0))
    path.send(sound(0))
    now += 1.0
    share, room = path.share(SSRC), path.room
    for _ in range(20):
        path.control(bytes(58))
    assert path.room == room - 20 * 100
    assert path.share(SSRC) == pytest.approx(0.88 * 48_000 - 20 * 100 * 8 / 2)
    assert path.share(SSRC) < share
    now += 2.1
    assert path.share(SSRC) == share


def test_nothing_is_sent_again_into_a_queue_that_others_keep_full(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []

    def transmit(packet: bytes) -> bool:
        sent.append(packet)
        return True

    path = PathControl(transmit, clock=lambda: 100.0)
    path.resend(sound(1))
    assert sent == [sound(1)]
    monkeypatch.setattr(path._controller, "is_beside_others", lambda _: True)
    path.resend(sound(2))
    assert sent == [sound(1)]
