"""How long bytes wait in a TCP connection, on a clock that is set by hand and on one that nobody reads from."""

import asyncio
import socket

from sinchphone.media.network.tcp_backlog import LATE_SECONDS, TcpBacklog, outstanding_bytes


def test_what_is_acknowledged_as_fast_as_before_is_not_late() -> None:
    backlog = TcpBacklog()
    for packet in range(200):
        now = packet * 0.02
        backlog.wrote(100, now)
        assert not backlog.is_late(600, now + 0.01), "six packets are on their way, for 120 ms"


def test_what_stays_for_longer_is_late_until_it_is_acknowledged() -> None:
    backlog = TcpBacklog()
    backlog.wrote(100, 0.0)
    assert not backlog.is_late(0, 0.05)
    for packet in range(5):
        backlog.wrote(100, 1.0 + packet * 0.02)
    assert not backlog.is_late(500, 1.1)
    assert backlog.is_late(500, 1.1 + LATE_SECONDS)
    assert not backlog.is_late(100, 1.1 + LATE_SECONDS)
    assert not backlog.is_late(0, 9.0)


def test_a_long_way_is_not_late() -> None:
    """A round trip of 0.7 s, as over a satellite."""
    backlog = TcpBacklog()
    for packet in range(200):
        backlog.wrote(100, packet * 0.02)
        assert not backlog.is_late(min(packet + 1, 35) * 100, packet * 0.02) or packet < 35


def test_what_is_remembered_is_bounded() -> None:
    backlog = TcpBacklog()
    for packet in range(5000):
        backlog.wrote(100, packet * 0.02)
    assert len(backlog._written) < 2000
    assert backlog.is_late(backlog._octets, 5000 * 0.02)


async def test_what_nobody_reads_stays_outstanding() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, *server.getsockname())
        other, _ = server.accept()
        try:
            assert outstanding_bytes(transport) == 0
            transport.write(bytes(16_000_000))
            assert outstanding_bytes(transport) > 1_000_000
        finally:
            transport.abort()
            other.close()
