"""The capture file, read again: by a reader of the test's own for its form, and by tshark, where there is one, for its content."""

import json
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.protocol.trace.event import Route, TraceEvent, TraceKind
from sinchphone.protocol.trace.pcapng import SoundPacket, write_pcapng

INVITE = (
    "INVITE sip:bob@127.0.0.1:5062 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK1\r\nFrom: <sip:ada@x>;tag=1\r\n"
    "To: <sip:bob@x>\r\nCall-ID: abc\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
)
UDP = Route(transport="udp", source="127.0.0.1:5060", target="127.0.0.1:5062")
TCP = Route(transport="tcp", source="[::1]:5060", target="[::1]:5062")


def event(kind: TraceKind, body: str, route: Route | None = None, seq: int = 1) -> TraceEvent:
    return TraceEvent(
        seq=seq, at=1_700_000_000.5 + seq, kind=kind, call="c", source="ada", target="bob", summary="said", body=body, route=route
    )


def rtp(sequence: int) -> bytes:
    return struct.pack("!BBHII", 0x80, 0, sequence, 160 * sequence, 7) + bytes([0xFF] * 160)


EVENTS = [
    event(TraceKind.SIP, INVITE, UDP, 1),
    event(TraceKind.SIP, INVITE.replace("UDP", "TCP"), TCP, 2),
    event(TraceKind.REST, 'POST /calls HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}', None, 3),
    event(TraceKind.PUBSUB, '{"md":1,"fu":"ada"}', None, 4),
    event(TraceKind.CALLBACK, 'HTTP/1.1 200\r\n\r\n{"action":{"name":"hangup"}}', None, 5),
    event(TraceKind.CALL, "", None, 6),
]  # fmt: skip
SOUND = [SoundPacket(at=1_700_000_003.0 + n / 50, route=UDP, data=rtp(n)) for n in range(3)]


def blocks(file: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(file):
        kind, size = struct.unpack_from("<II", file, at)
        assert size % 4 == 0
        assert struct.unpack_from("<I", file, at + size - 4) == (size,)
        yield kind, file[at + 8 : at + size - 4]
        at += size


def test_the_file_has_a_section_two_interfaces_and_a_packet_for_each_event() -> None:
    kinds = [kind for kind, _ in blocks(write_pcapng(EVENTS, SOUND))]
    assert kinds == [0x0A0D0D0A, 1, 1, *([6] * (len(EVENTS) + len(SOUND)))]


ROUTES = [None, UDP, TCP, Route(transport="tcp", source="x", target=""), Route(transport="udp", source="[::1]:9", target="127.0.0.1:99999")]


@given(st.text(), st.text(), st.sampled_from(ROUTES), st.sampled_from(TraceKind))
def test_whatever_is_in_an_event_the_file_stays_whole(summary: str, body: str, route: Route | None, kind: TraceKind) -> None:
    odd = TraceEvent(seq=1, at=-5.0, kind=kind, call=None, source=summary, target="", summary=summary, body=body, route=route)
    assert len(list(blocks(write_pcapng([odd])))) == 4


def test_a_body_that_is_longer_than_a_packet_is_cut() -> None:
    file = write_pcapng([event(TraceKind.SIP, "x" * 200_000, UDP), event(TraceKind.REST, "x" * 500_000)])
    assert all(len(body) < 300_000 for _, body in blocks(file))


needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="there is no tshark here")


def dissected(file: bytes, folder: Path, *options: str) -> list[Any]:
    path = folder / "call.pcapng"
    path.write_bytes(file)
    command = ["tshark", "-r", str(path), "-T", "json", "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", *options]
    read = subprocess.run(command, capture_output=True, timeout=60, check=True)
    return [packet["_source"]["layers"] for packet in json.loads(read.stdout)]


@needs_tshark
def test_wireshark_reads_sip_rest_and_messages_for_what_they_are(tmp_path: Path) -> None:
    packets = dissected(write_pcapng(EVENTS), tmp_path)
    assert packets[0]["sip"]["sip.msg_hdr_tree"]["sip.Call-ID"] == "abc"
    assert packets[0]["ip"]["ip.checksum.status"] == packets[0]["udp"]["udp.checksum.status"] == "1"
    assert packets[1]["ipv6"]["ipv6.src"] == "::1"
    assert "sip" in packets[1]
    assert "http" in packets[2]
    assert "json" in packets[3]
    assert "http" in packets[4]
    assert "said" in str(packets[0].get("frame.comment", packets[0]))


@needs_tshark
def test_wireshark_reads_the_sound(tmp_path: Path) -> None:
    packets = dissected(write_pcapng([], SOUND), tmp_path, "-d", "udp.port==5060,rtp")
    assert [packet["rtp"]["rtp.seq"] for packet in packets] == ["0", "1", "2"]


def test_half_a_character_that_a_peer_wrote_does_not_cost_the_file() -> None:
    written = write_pcapng([event(TraceKind.SIP, f"{INVITE}\ud800", UDP), event(TraceKind.PUBSUB, '{"bd":"\udc80"}')])
    assert written.count(b"bob@127.0.0.1") == 1
    assert b'{"bd":"?"}' in written
