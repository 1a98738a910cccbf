"""What a leg counts for whoever judges its sound: bytes on the line, and bits of speech."""

from sinchphone.audio.frame import FRAME_SAMPLES, RATE
from sinchphone.media.legs.path_control import BELOW_BYTES, PathControl
from sinchphone.media.legs.receiver import Receiver
from sinchphone.protocol.rtp.packet import RtpPacket, encode_packet
from tests.media.legs.numbered_packets import NumberedPackets

SSRC = 7


def test_bytes_on_the_line_are_those_of_whole_packets_and_of_what_is_sent_again() -> None:
    path = PathControl(lambda _: True, clock=lambda: 0.0)
    packets = [encode_packet(RtpPacket(111, number, 960 * number, SSRC, b"x" * 80, False)) for number in range(3)]
    for packet in [*packets, packets[1]]:
        path.send(packet)
    assert path.sent_bytes(SSRC) == 4 * (12 + 80 + BELOW_BYTES)
    assert path.sent_bytes(SSRC + 1) == 0


def test_what_does_not_go_out_is_not_on_the_line() -> None:
    path = PathControl(lambda _: False, clock=lambda: 0.0)
    path.send(encode_packet(RtpPacket(111, 1, 960, SSRC, b"x" * 80, False)))
    assert path.sent_bytes(SSRC) == 0


def test_bits_of_speech_leave_out_the_small_packets_of_pauses() -> None:
    now = 0.0
    receiver = Receiver(NumberedPackets(), clock=lambda: now)
    sizes = [100] * 50 + [10] * 50 + [100] * 50
    for number, size in enumerate(sizes):
        now = number * FRAME_SAMPLES / RATE
        receiver.push(number, number * FRAME_SAMPLES, b"1".rjust(size, b"0"))
        receiver.pull(FRAME_SAMPLES)
    stats = receiver.stats()
    assert 8 * stats.coded_bytes * RATE / stats.coded_samples == 40_000
    assert stats.coded_samples < 101 * FRAME_SAMPLES


def test_sound_from_a_codecs_own_copy_is_counted_apart() -> None:
    now = 0.0
    receiver = Receiver(NumberedPackets(), clock=lambda: now)
    for number in range(60):
        now = number * FRAME_SAMPLES / RATE
        if number % 10 != 5:
            receiver.push(number, number * FRAME_SAMPLES, b"+1")
        receiver.pull(FRAME_SAMPLES)
    stats = receiver.stats()
    assert 0 < stats.recovered_samples <= 6 * FRAME_SAMPLES
