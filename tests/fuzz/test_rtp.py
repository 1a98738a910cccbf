"""Whatever comes in RTP and RTCP packets costs bounded memory and time, and raises nothing but a RemoteProtocolError: what is read can be
written again, a digit is heard once at most, a packet is played once at most, and a pull gives as many samples as were asked for.

Packets, reports, NACKs, RFC 2198 and RFC 4733 payloads, the jitter buffer and a whole leg: from any bytes, and from real streams with bits
turned, packets lost, doubled, late and out of order, and counters that jump.
"""

from collections import Counter
from typing import Any, Final

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.audio.frame import FRAME_SAMPLES
from sinchphone.audio.playout.jitter import MAX_PACKETS, JitterBuffer, Lost, NotYet, Packet
from sinchphone.errors import RemoteProtocolError
from sinchphone.media.agreement import COMFORT_NOISE, Agreement, EventFormat, RepairTerms
from sinchphone.media.codecs.choice import new_encoder
from sinchphone.media.codecs.codec import G722, OPUS, PCMA, PCMU
from sinchphone.media.legs.leg import PortLeg
from sinchphone.media.legs.stream import Stream
from sinchphone.protocol.digits import DIGITS
from sinchphone.protocol.rtp.nack import Missing, Nack, decode_nacks, encode_nack
from sinchphone.protocol.rtp.packet import (
    ReportBlock,
    RtcpReport,
    RtpPacket,
    SenderInfo,
    decode_packet,
    decode_reports,
    encode_bye,
    encode_packet,
    encode_report,
)
from sinchphone.protocol.rtp.red import MAX_BLOCKS, MAX_COPY_BYTES, MAX_OFFSET, Block, decode_red, encode_red
from sinchphone.protocol.rtp.telephone_event import (
    Digit,
    DigitReceiver,
    DigitSender,
    TelephoneEvent,
    encode_event,
)
from tests.fuzz.edits import flipped

flips = st.lists(st.tuples(st.integers(0, 200), st.integers(1, 255)), max_size=6)
u7, u8, u16, u32 = (st.integers(0, (1 << bits) - 1) for bits in (7, 8, 16, 32))
packets = st.builds(RtpPacket, u7, u16, u32, u32, st.binary(min_size=1, max_size=40), st.booleans())
blocks = st.builds(ReportBlock, u32, u8, st.integers(-0x800000, 0x7FFFFF), u32, u32, u32, u32)
senders = st.none() | st.builds(SenderInfo, st.integers(0, (1 << 64) - 1), u32, u32, u32)
reports = st.builds(RtcpReport, u32, senders, st.lists(blocks, max_size=3).map(tuple))
names = st.text(max_size=300)
nacks = st.builds(Nack, u32, st.lists(u16, min_size=1, max_size=25).map(tuple))
compounds = st.lists(
    st.one_of(
        st.builds(encode_report, reports, names),
        st.builds(encode_nack, u32, nacks, names),
        st.builds(encode_bye, u32, names),
        st.binary(max_size=60),
    ),
    max_size=4,
).map(b"".join)
copies = st.builds(Block, u7, st.integers(0, MAX_OFFSET), st.binary(min_size=1, max_size=60) | st.just(b"x" * MAX_COPY_BYTES))
primaries = st.builds(Block, u7, st.just(0), st.binary(min_size=1, max_size=60))


@given(st.binary(max_size=80) | st.builds(flipped, packets.map(encode_packet), flips))
def test_any_datagram_is_a_packet_that_can_be_written_again_or_none(data: bytes) -> None:
    packet = decode_packet(data)
    if packet is not None:
        assert decode_packet(encode_packet(packet)) == packet
        assert packet.payload


@given(packets)
def test_a_packet_is_read_as_it_was_written(packet: RtpPacket) -> None:
    assert decode_packet(encode_packet(packet)) == packet


@given(reports, names, nacks)
def test_reports_and_requests_are_read_as_they_were_written(report: RtcpReport, name: str, nack: Nack) -> None:
    assert decode_reports(encode_report(report, name)) == [report]
    data = encode_nack(report.ssrc, nack, name)
    [read] = decode_nacks(data)
    assert (read.ssrc, set(read.sequences)) == (nack.ssrc, set(nack.sequences))
    assert decode_nacks(encode_report(report, name) + data) == [read]


@given(compounds, flips)
def test_any_compound_packet_gives_no_more_than_it_has_bytes_for(data: bytes, turned: list[tuple[int, int]]) -> None:
    data = flipped(data, turned)
    for report in decode_reports(data):
        assert decode_reports(encode_report(report, "")) == [report]
    assert sum(8 + 24 * len(report.blocks) for report in decode_reports(data)) <= len(data)
    assert sum(len(nack.sequences) for nack in decode_nacks(data)) <= 17 * len(data) // 4


@given(st.lists(copies, max_size=MAX_BLOCKS - 1), primaries, flips, st.integers(0, 3000))
def test_copies_are_read_as_they_were_written_and_any_other_bytes_are_the_peers_fault(
    past: list[Block], primary: Block, turned: list[tuple[int, int]], end: int
) -> None:
    payload = encode_red([*past, primary])
    assert decode_red(payload) == (*past, primary)
    try:
        read = decode_red(flipped(payload, turned)[:end])
    except RemoteProtocolError:
        return
    assert len(read) <= MAX_BLOCKS
    assert sum(len(block.payload) for block in read) < len(payload)


@given(st.binary(max_size=60))
def test_any_payload_is_copies_or_the_peers_fault(payload: bytes) -> None:
    try:
        read = decode_red(payload)
    except RemoteProtocolError:
        return
    assert all(block.payload for block in read)


# Digits

times = st.floats(0, 0.5)
events = st.builds(TelephoneEvent, st.integers(0, 20), st.booleans(), st.integers(0, 63), u16).map(encode_event)
stamps = st.integers(0, 40).map(lambda n: (0xFFFFF000 + 400 * n) & 0xFFFFFFFF) | u32


@given(
    st.lists(st.tuples(events | st.binary(max_size=6), stamps, st.booleans(), st.sampled_from([8_000, 16_000, 48_000]), times), max_size=60)
)
def test_any_events_give_digits_no_faster_than_anybody_dials(pushed: list[tuple[bytes, int, bool, int, float]]) -> None:
    receiver, now, heard = DigitReceiver(), 5.0, list[Digit]()
    for payload, timestamp, marker, clock_rate, pause in pushed:
        now += pause
        heard += receiver.push(payload, timestamp, marker=marker, clock_rate=clock_rate, now=now, exact=not marker)
    heard += receiver.expire(now + 1) + receiver.restart()
    assert len(heard) <= min(24 + 15 * (now - 4), len(pushed))
    assert all(digit.digit in DIGITS and digit.duration_ms >= 0 for digit in heard)


@given(
    st.text(DIGITS, max_size=8),
    st.lists(st.sampled_from(["came", "came", "lost", "doubled", "late"]), min_size=100, max_size=100),
    st.data(),
)
def test_digits_over_any_bad_line_are_heard_once_each_or_not_at_all(digits: str, fate: list[str], data: st.DataObject) -> None:
    sender, receiver = DigitSender(8_000), DigitReceiver()
    sender.push(digits)
    heard, came, held = "", "", list[tuple[bytes, int, bool]]()
    last, first = -1, data.draw(u32)
    for tick in range(len(digits) * 12 + 40):
        now = tick * 0.020
        event = sender.tick((first + 160 * tick) & 0xFFFFFFFF)
        arriving, held = (held, []) if tick % 3 == 0 else ([], held)
        if event is not None:
            packet = (event.payload, event.timestamp, event.marker)
            match fate[tick % len(fate)]:
                case "came":
                    arriving = [packet, *arriving]
                case "doubled":
                    arriving = [packet, packet, *arriving]
                case "late":
                    held = [*held, packet]
            if fate[tick % len(fate)] in ("came", "doubled") and event.timestamp != last:
                came, last = came + DIGITS[event.payload[0]], event.timestamp
        for payload, timestamp, marker in arriving:
            heard += "".join(one.digit for one in receiver.push(payload, timestamp, marker=marker, clock_rate=8_000, now=now))
        heard += "".join(one.digit for one in receiver.expire(now))
    assert _is_within(heard, digits), "in their order, and none twice"
    assert _is_within(came, heard), "what came at its time is heard"


def _is_within(part: str, whole: str) -> bool:
    """Whether the text is the other one without some of its characters."""
    rest = iter(whole)
    return all(one in rest for one in part)


# What is missing


@given(
    st.lists(st.tuples(st.integers(-40, 60) | st.integers(-40_000, 40_000), times, st.booleans()), max_size=80),
    st.none() | st.floats(0, 0.2),
)
def test_no_packet_is_asked_for_without_end_nor_once_it_came(course: list[tuple[int, float, bool]], round_trip: float | None) -> None:
    missing, now, sequence = Missing(), 0.0, 65_500
    missing.round_trip = round_trip
    asked: Counter[int] = Counter()
    for step, pause, found in course:
        now += pause / 10
        sequence = (sequence + step) % 0x10000
        missing.arrived(sequence, now)
        asked[sequence] = 0
        if found:
            missing.found((sequence - 1) % 0x10000)
        due = missing.due(now)
        assert sequence not in due
        assert len(missing) <= 100
        asked.update(due)
    assert round_trip is None or round_trip <= 0.1 or not any(asked.values())


# The jitter buffer

moves = st.tuples(
    st.sampled_from(["next", "next", "next", "again", "hole", "late", "jump", "spare", "pull", "pull", "pull", "wait", "restart"]),
    st.integers(0, 200),
    st.floats(0, 0.04) | st.floats(0, 3),
)


@given(st.lists(moves, max_size=150), u16, u32)
def test_a_packet_is_played_once_at_most_and_the_buffer_stays_small(
    course: list[tuple[str, int, float]], sequence: int, timestamp: int
) -> None:
    buffer, now, number, pushed, spares = JitterBuffer(), 0.0, 0, 0, 0
    played: list[bytes] = []
    for move, size, pause in course:
        now += pause
        match move:
            case "pull":
                match buffer.pull(now):
                    case Packet(payload=payload):
                        played.append(payload)
                    case Lost(samples, copy):
                        assert samples > 0
                        assert copy is None or samples <= copy.recoverable
                    case NotYet():
                        pass
            case "wait":
                buffer.wait(size)
            case "restart":
                buffer.restart()
            case _:
                number += {"next": 1, "hole": 2 + size, "jump": 40_000 + size}.get(move, 0)
                at = number - (1 + size % 30 if move in ("late", "spare") else 0)
                spare = move == "spare"
                pushed, spares = pushed + (not spare), spares + spare
                stamp = (timestamp + 960 * at) & 0xFFFFFFFF
                buffer.push(Packet((sequence + at) % 0x10000, stamp, b"%d" % pushed, 1 + 960 * (size % 3), 960 * (size % 2), spare), now)
        assert len(buffer) <= MAX_PACKETS
        assert 0 <= buffer.target <= 1
    assert len(played) == len(set(played))
    stats = buffer.stats()
    counters = (stats.mended, stats.late, stats.doubled, stats.stray, stats.skipped, stats.lost_samples, stats.resyncs)
    assert min(counters) >= 0
    assert stats.received == pushed
    assert len(played) + stats.late + stats.doubled + stats.stray + stats.skipped + len(buffer) <= pushed + spares


# A whole leg

REAL: Final = {payload_type: new_encoder(codec) for payload_type, codec in {0: PCMU, 8: PCMA, 9: G722, 111: OPUS}.items()}
SOUND: Final = {kind: encoder.encode(np.arange(FRAME_SAMPLES, dtype=np.int16)) for kind, encoder in REAL.items()}
HEARS: Final = Agreement(
    PCMU,
    0,
    {0: PCMU, 8: PCMA, 9: G722, 111: OPUS},
    event=EventFormat(101, 8_000),
    events={101: 8_000, 110: 48_000},
    repair=RepairTerms(red=63, reds=frozenset({63}), nack=True),
)
payloads = st.one_of(
    st.sampled_from(sorted(SOUND.items())),
    st.tuples(st.sampled_from([0, 8, 9, 111]), st.binary(min_size=1, max_size=60)),
    st.builds(
        lambda past, kind: (63, encode_red([Block(kind, 160, SOUND[kind])] * past + [Block(kind, 0, SOUND[kind])])),
        st.integers(0, 3),
        st.sampled_from([0, 111]),
    ),
    st.tuples(st.just(63), st.binary(min_size=1, max_size=40)),
    st.tuples(st.sampled_from([101, 110]), events),
    st.tuples(st.just(COMFORT_NOISE), st.binary(min_size=1, max_size=4)),
    st.tuples(st.integers(0, 127), st.binary(min_size=1, max_size=9) | st.just(b"\xff" * 1600)),
)
OURS: Final = 7
about_us = st.one_of(
    compounds,
    st.builds(lambda block, ssrc: encode_report(RtcpReport(ssrc, SenderInfo(1 << 40, 0, 0, 0), (block,)), ""), blocks, u32),
    st.builds(
        lambda lost, last_sr: encode_report(RtcpReport(5, None, (ReportBlock(OURS, lost, lost, 0, 0, last_sr, 0),)), ""),
        st.integers(0, 255),
        u32,
    ),
    st.builds(lambda sequences: encode_nack(5, Nack(OURS, tuple(sequences)), ""), st.lists(st.integers(0, 60), min_size=1, max_size=25)),
)
turns = st.tuples(
    payloads, st.integers(-3, 4) | st.integers(-70_000, 70_000), st.sampled_from([5, 5, 5, 5, 6]), about_us, flips, st.floats(0, 0.06)
)


@given(st.lists(turns, max_size=40), st.integers(1, 2000), st.booleans())
def test_any_stream_of_packets_leaves_a_leg_that_gives_the_sound_that_is_asked_for(
    course: list[tuple[tuple[int, bytes], int, int, bytes, list[tuple[int, int]], float]], block: int, turned: bool
) -> None:
    clock, sent, told = [10.0], list[bytes](), list[Any]()
    leg = PortLeg()

    def transmit(packet: bytes) -> bool:
        sent.append(packet)
        return True

    stream = Stream(OURS, "us", transmit, told.append, leg, may_pause=turned, clock=lambda: clock[0], wall=lambda: 1_795_248_000 + clock[0])
    stream.agree(HEARS)
    stream.open()
    sequence = 65_530
    for (payload_type, payload), step, ssrc, control, flip, pause in course:
        clock[0] += pause
        sequence += step
        packet = encode_packet(RtpPacket(payload_type, sequence & 0xFFFF, 160 * sequence & 0xFFFFFFFF, ssrc, payload, marker=step > 3))
        leg.send(np.full(FRAME_SAMPLES, 100, np.int16))
        stream.take(flipped(packet, flip if turned else []), control=False)
        stream.take(flipped(control, flip if turned else []), control=True)
        assert len(leg.pull(block)) == block
        stream.report()
        stream.stats("opus")
    assert len(sent) <= 16 + len(course) * (1 + 2 + 1 + 3), "our own frames, twice more each, and what we ask for"
    assert sum(len(packet) for packet in sent) <= 1500 * len(sent)
