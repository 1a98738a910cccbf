"""SIP's sockets: what one agent sends another receives, over everything; and what happens when nobody is there."""

import asyncio
import datetime
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sinchphone.errors import ConfigError, NetworkError
from sinchphone.exchange.tls import Issued, issue
from sinchphone.gateway.sip.network.hop import Hop, Transport, TransportError
from sinchphone.gateway.sip.network.streams import StreamConnections, StreamLimits
from sinchphone.gateway.sip.network.transport import SipTransports, TransportOptions
from sinchphone.protocol.sip.framing import FramingLimits
from tests.waiting import until

PATIENCE_SECONDS = 20.0
PING = b"OPTIONS sip:b SIP/2.0\r\nContent-Length: 2\r\n\r\nhi"
PONG = b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"


class Side:
    """One agent's sockets, what came, and what failed."""

    def __init__(self, **options: Any) -> None:
        self.came: asyncio.Queue[tuple[bytes, Hop]] = asyncio.Queue()
        self.failures: asyncio.Queue[TransportError] = asyncio.Queue()
        self.transports = SipTransports(TransportOptions(**options), lambda data, hop: self.came.put_nowait((data, hop)))

    def send(self, data: bytes, hop: Hop) -> None:
        self.transports.send(data, hop, self.failures.put_nowait)

    async def receive(self) -> tuple[bytes, Hop]:
        return await asyncio.wait_for(self.came.get(), PATIENCE_SECONDS)

    async def failure(self) -> TransportError:
        return await asyncio.wait_for(self.failures.get(), PATIENCE_SECONDS)


@asynccontextmanager
async def running(**options: Any) -> AsyncIterator[Side]:
    side = Side(**options)
    await side.transports.start()
    try:
        yield side
    finally:
        await side.transports.close()
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("sip ")]


@pytest.fixture
def issued(tmp_path: Path) -> Issued:
    return issue(tmp_path, "127.0.0.1", datetime.datetime.now(datetime.UTC))


def to(side: Side, transport: Transport, host: str = "127.0.0.1", server_name: str = "") -> Hop:
    port = side.transports.tls_port if transport == "tls" else side.transports.port
    return Hop(transport, host, port or 0, server_name=server_name)


has_ipv6 = pytest.mark.skipif(not Path("/proc/net/if_inet6").exists() or not Path("/proc/net/if_inet6").read_text(), reason="needs IPv6")


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("::1", marks=has_ipv6)])
async def test_a_message_and_its_answer_go_over_every_transport(issued: Issued, transport: Transport, host: str) -> None:
    options = {"certificate": issued.certificate, "ca_files": (issued.authority,), "hosts": (host,)}
    async with running(**options) as ada, running(**options) as bob:
        for _ in range(2):
            ada.send(PING, to(bob, transport, host))
            data, source = await bob.receive()
            assert data == PING
            assert (source.transport, source.host) == (transport, host)
            bob.send(PONG, source)
            data, back = await ada.receive()
            assert data == PONG
            assert (back.transport, back.host, back.port) == (transport, host, to(bob, transport).port)
        assert ada.failures.empty()
        assert bob.failures.empty()


async def test_udp_and_tcp_listen_at_the_same_port_and_tls_beside_it(issued: Issued) -> None:
    async with running(certificate=issued.certificate, ca_files=(issued.authority,)) as side:
        assert side.transports.tls_port == side.transports.port + 1
        assert side.transports.address(Hop("udp", "127.0.0.9", 1)) == ("127.0.0.1", side.transports.port)
        assert side.transports.address(Hop("tls", "127.0.0.9", 1)) == ("127.0.0.1", side.transports.tls_port)
        with pytest.raises(TransportError):
            side.transports.address(Hop("udp", "::1", 1))


async def test_an_agent_at_every_address_says_the_one_that_the_peer_reaches() -> None:
    async with running(hosts=("0.0.0.0",)) as side:
        assert side.transports.address(Hop("udp", "127.0.0.9", 1)) == ("127.0.0.1", side.transports.port)


@has_ipv6
async def test_one_agent_listens_with_both_versions_of_ip() -> None:
    async with running(hosts=("127.0.0.1", "::1")) as both, running(hosts=("::1",)) as other:
        other.send(PING, to(both, "udp", "::1"))
        assert (await both.receive())[0] == PING
        both.send(PING, to(both, "tcp", "127.0.0.1"))
        assert (await both.receive())[0] == PING
        other.send(PING, to(both, "udp", "127.0.0.1"))
        assert "version of IP" in str(await other.failure())


async def test_requests_to_one_neighbour_share_a_connection_and_answers_take_the_same() -> None:
    async with running() as ada, running() as bob:
        for _ in range(3):
            ada.send(PING, to(bob, "tcp"))
        sources = {(await bob.receive())[1] for _ in range(3)}
        assert len(sources) == 1
        bob.send(PONG, sources.pop())
        assert (await ada.receive())[0] == PONG


async def test_a_connection_is_made_again_after_it_was_closed() -> None:
    async with running() as ada:
        async with running() as bob:
            ada.send(PING, to(bob, "tcp"))
            gone = to(bob, "tcp")
            await bob.receive()
        async with running(port=gone.port) as bob:
            await until(lambda: not ada.transports._streams._open)
            ada.send(PING, gone)
            assert (await bob.receive())[0] == PING


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_where_nobody_listens_the_sender_hears_it(transport: Transport) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        if transport == "udp":
            taken.close()
        async with running() as ada:
            ada.send(PING, Hop(transport, "127.0.0.1", port))
            await ada.failure()


async def test_a_refusal_of_one_datagram_doesnt_cost_another() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        nobody = Hop("udp", "127.0.0.1", free.getsockname()[1])
    async with running() as ada, running() as bob:
        for _ in range(20):
            ada.send(PING, nobody)
            ada.transports.send(PING, to(bob, "udp"), pytest.fail)  # type: ignore[arg-type]
        for _ in range(20):
            assert (await bob.receive())[0] == PING
            assert isinstance(await ada.failure(), TransportError)


async def test_a_server_whose_certificate_isnt_trusted_hears_nothing(issued: Issued, tmp_path: Path) -> None:
    other = issue(tmp_path / "other", "127.0.0.1", datetime.datetime.now(datetime.UTC))
    async with running(certificate=issued.certificate) as bob, running(ca_files=(other.authority,)) as ada:
        ada.send(PING, to(bob, "tls"))
        assert "certificate" in str(await ada.failure())
        assert bob.came.empty()


async def test_a_certificate_for_another_name_isnt_good(issued: Issued) -> None:
    async with running(certificate=issued.certificate) as bob, running(ca_files=(issued.authority,)) as ada:
        ada.send(PING, to(bob, "tls", server_name="carrier.example"))
        assert "certificate" in str(await ada.failure())
        ada.send(PING, to(bob, "tls", server_name="localhost"))
        assert (await bob.receive())[0] == PING


async def test_a_server_that_never_ends_the_handshake_isnt_waited_for(issued: Issued) -> None:
    async with silent_server() as port, running(ca_files=(issued.authority,), connect_seconds=0.3) as ada:
        ada.send(PING, Hop("tls", "127.0.0.1", port))
        assert "too long" in str(await ada.failure())


@asynccontextmanager
async def silent_server(
    behave: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]] | None = None,
) -> AsyncIterator[int]:
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if behave is not None:
            await behave(reader, writer)
        await over.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        over.set()
        server.close()


async def test_a_server_that_hangs_up_instead_of_answering_is_a_failure() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"hi")
        writer.close()

    async with silent_server(hang_up) as port, running() as ada:
        ada.send(PING, Hop("tcp", "127.0.0.1", port))
        assert "closed before an answer" in str(await ada.failure())


async def test_an_answer_over_a_connection_that_is_gone_fails() -> None:
    async with running() as bob:
        _, writer = await asyncio.open_connection("127.0.0.1", bob.transports.port)
        writer.write(PING)
        _, source = await bob.receive()
        writer.close()
        await until(lambda: not bob.transports._streams._open)
        bob.send(PONG, source)
        assert "gone" in str(await bob.failure())


async def test_a_peer_that_doesnt_read_is_given_up() -> None:
    async with silent_server() as port, running() as ada:
        big = PING + b"x" * 60_000
        for _ in range(1000):
            ada.send(big, Hop("tcp", "127.0.0.1", port))
            await asyncio.sleep(0)
            if not ada.failures.empty():
                break
        await ada.failure()


async def test_keep_alives_are_answered_and_are_no_messages() -> None:
    async with running() as bob:
        reader, writer = await asyncio.open_connection("127.0.0.1", bob.transports.port)
        writer.write(b"\r\n\r\n" + PING[:10])
        assert await asyncio.wait_for(reader.readexactly(2), PATIENCE_SECONDS) == b"\r\n"
        writer.write(PING[10:] + b"\r\n" + PING)
        assert [(await bob.receive())[0] for _ in range(2)] == [PING, PING]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
            for keep_alive in (b"\r\n\r\n", b"\0\0\0\0", b"", b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12), PING):
                phone.sendto(keep_alive, ("127.0.0.1", bob.transports.port))
        assert (await bob.receive())[0] == PING
        assert bob.came.empty()
        writer.close()


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"x" * 20_000, b"A b\r\nContent-Length: 99999999\r\n\r\n"])
async def test_a_stream_that_cant_be_understood_is_closed(garbage: bytes) -> None:
    async with running() as bob:
        reader, writer = await asyncio.open_connection("127.0.0.1", bob.transports.port)
        writer.write(garbage)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), PATIENCE_SECONDS)
        writer.close()
        assert bob.came.empty()
        assert not bob.transports._streams._open


async def test_flood_of_connections_from_one_source_leaves_room_for_others() -> None:
    async with running(connections_per_source=3) as bob:
        port = bob.transports.port
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), PATIENCE_SECONDS)
        writer.close()
        _, other = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
        other.write(PING)
        assert (await bob.receive())[1].host == "127.0.0.2"
        for _, one in held:
            one.close()
        await until(lambda: len(bob.transports._streams._open) == 1)
        _, again = await asyncio.open_connection("127.0.0.1", port)
        again.write(PING)
        assert (await bob.receive())[1].host == "127.0.0.1"
        other.close()
        again.close()


async def test_flood_of_unfinished_handshakes_counts_as_connections(issued: Issued) -> None:
    async with running(certificate=issued.certificate, connections_per_source=2) as bob:
        held = [await asyncio.open_connection("127.0.0.1", bob.transports.tls_port) for _ in range(2)]
        await until(lambda: len(bob.transports._streams._open) == 2)
        reader, writer = await asyncio.open_connection("127.0.0.1", bob.transports.tls_port)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), PATIENCE_SECONDS)
        for one in (writer, *(one for _, one in held)):
            one.close()
        await until(lambda: not bob.transports._streams._open)


async def test_what_follows_the_handshake_at_once_is_read_and_answered_encrypted(issued: Issued) -> None:
    context = ssl.create_default_context(cafile=issued.authority)
    async with running(certificate=issued.certificate) as bob:
        for _ in range(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", bob.transports.tls_port, ssl=context)
            writer.write(b"\r\n\r\n" + PING)
            assert await asyncio.wait_for(reader.readexactly(2), PATIENCE_SECONDS) == b"\r\n"
            _, source = await bob.receive()
            bob.send(PONG, source)
            assert await asyncio.wait_for(reader.readexactly(len(PONG)), PATIENCE_SECONDS) == PONG
            writer.close()


class Plain(asyncio.Transport):
    """A connection without a network."""

    is_aborted = False

    def get_extra_info(self, name: str, default: object = None) -> object:
        return ("192.0.2.1", 5060) if name == "peername" else default

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        self.is_aborted = True


@pytest.mark.parametrize("ends", [True, False])
async def test_a_message_that_never_ends_ends_its_stream_but_a_stream_that_is_never_between_two_goes_on(
    ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, came = [100.0], list[bytes]()
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now[0])
    limits = StreamLimits(framing=FramingLimits(), connections=1, per_source=1, idle_seconds=900, connect_seconds=1, origins={})
    stream = StreamConnections(limits, lambda data, _: came.append(data), ssl.create_default_context()).accept(None)
    plain = Plain()
    stream.connection_made(plain)
    stream.data_received(PING[:9])
    for _ in range(60):
        now[0] += 1
        stream.data_received(PING[9:] + PING[:9] if ends else b"")
        stream.check(now[0])
    assert (plain.is_aborted, len(came)) == ((False, 60) if ends else (True, 0))
    stream.abort()


async def test_a_connection_that_says_nothing_is_closed_after_a_time() -> None:
    async with running(idle_seconds=0.2) as bob:
        reader, writer = await asyncio.open_connection("127.0.0.1", bob.transports.port)
        assert await asyncio.wait_for(reader.read(), PATIENCE_SECONDS) == b""
        writer.close()
        await until(lambda: not bob.transports._streams._open)


async def test_a_closed_agent_sends_nothing_and_leaves_nothing_open() -> None:
    async with running() as ada, running() as bob:
        ada.send(PING, to(bob, "tcp"))
        await bob.receive()
        await bob.transports.close()
        for transport in ("udp", "tcp"):
            bob.send(PONG, to(ada, transport))
            assert "closed" in str(await bob.failure())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.bind(("127.0.0.1", bob.transports.port))


async def test_closing_ends_connections_that_are_being_made(issued: Issued) -> None:
    async with silent_server() as port, running(ca_files=(issued.authority,)) as ada:
        ada.send(PING, Hop("tls", "127.0.0.1", port))
        await asyncio.sleep(0.05)
        await ada.transports.close()
        assert "closed" in str(await ada.failure())


async def test_names_are_no_hops() -> None:
    async with running() as ada:
        for transport in ("udp", "tcp"):
            ada.send(PING, Hop(transport, "localhost", 5060))
            assert "address" in str(await ada.failure())


async def test_a_port_that_is_taken_is_said() -> None:
    async with running() as ada:
        with pytest.raises(NetworkError, match="another program"):
            await Side(port=ada.transports.port).transports.start()


@pytest.mark.parametrize(
    "options", [{"hosts": ()}, {"hosts": ("localhost",)}, {"hosts": ("127.0.0.1", "127.0.0.2")}, {"port": 70_000}, {"idle_seconds": 0}]
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        TransportOptions(**options)


@pytest.mark.parametrize(
    ("neighbour", "told"),
    [
        ("192.0.2.9", "198.51.100.7"),
        ("10.0.0.9", "198.51.100.7"),
        ("127.0.0.1", "127.0.0.1"),  # it would have to go out to come back in
        ("127.0.0.2", "127.0.0.1"),
    ],
)
async def test_others_than_this_machine_are_told_the_public_address(neighbour: str, told: str) -> None:
    transports = Side(public_address="198.51.100.7").transports
    assert transports.address(Hop("udp", neighbour, 5060))[0] == told
    assert transports.local_address(Hop("udp", neighbour, 5060))[0] == "127.0.0.1"


async def test_a_public_address_of_the_other_version_of_ip_is_not_told() -> None:
    transports = Side(public_address="2001:db8::7").transports
    assert transports.address(Hop("udp", "192.0.2.9", 5060))[0] == "127.0.0.1"
    named = Side(public_address="sip.example.org").transports
    assert named.address(Hop("udp", "192.0.2.9", 5060))[0] == "sip.example.org"
