"""Calls through coturn on loopback, by relay only, over each of its transports; and what is said when it doesn't take us."""

import asyncio
import datetime
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sinchphone.exchange.tls import Issued, issue
from sinchphone.media.ice_servers import IceServer
from sinchphone.media.network.tcp_backlog import LATE_SECONDS
from sinchphone.media.port import CandidateFound, Connected, Moved, PortFailed, PortOptions, PortWarning
from sinchphone.media.webrtc.ice import turn as turn_client
from sinchphone.media.webrtc.port import WebRtcPort
from tests.media.webrtc import coturn
from tests.media.webrtc.coturn import PASSWORD, USER, Turn, a_turn_server, short_lived
from tests.media.webrtc.webrtc_parties import HERE, PATIENCE_S, a_call, a_party, cut_off, hear, share_of

pytestmark = pytest.mark.skipif(not coturn.is_there(), reason=coturn.MISSING)


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Issued:
    return issue(tmp_path_factory.mktemp("tls"), "127.0.0.1", datetime.datetime.now(datetime.UTC))


@pytest.fixture
def trusted(issued: Issued, monkeypatch: pytest.MonkeyPatch) -> None:
    """A private authority is trusted as OpenSSL says."""
    monkeypatch.setenv("SSL_CERT_FILE", str(issued.authority))


def relayed(*servers: IceServer) -> PortOptions:
    return PortOptions(ice_servers=servers, relay_only=True)


def server(turn: Turn, transport: str, name: str = USER, password: str = PASSWORD) -> IceServer:
    return IceServer(urls=(turn.url(transport),), username=name, credential=password)


async def talk_by_relay(one: PortOptions, other: PortOptions) -> None:
    async with a_call(one, other) as (caller, callee):
        for party, hz in ((caller, 620), (callee, 440)):
            assert (await party.wait_for(Connected)).pair == "relay"
            assert share_of(await hear(party, 2.0), hz) > 0.95
            addresses = [event.candidate.candidate for event in party.seen if isinstance(event, CandidateFound) and event.candidate]
            assert addresses
            assert all(" typ relay raddr 0.0.0.0 rport 9" in each for each in addresses)  # nothing of ours is told
            assert not party.has(PortWarning)


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_two_parties_talk_by_relay_only(transport: str, tmp_path: Path, issued: Issued) -> None:
    async with a_turn_server(tmp_path, issued) as turn:
        options = relayed(server(turn, transport))
        await talk_by_relay(options, options)


class _Counted:
    """The bytes of IP packets that are written to a server over TCP, and when."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._sent: list[tuple[float, int]] = []
        send, headers = turn_client._StreamLink.send, 20 + 32  # IPv4, TCP with time stamps

        def counted(link: turn_client._StreamLink, data: bytes) -> None:
            self._sent.append((time.monotonic(), len(data) + -len(data) % 4 + headers))
            send(link, data)

        monkeypatch.setattr(turn_client._StreamLink, "send", counted)

    def kbps(self, since: float) -> float:
        """The most in any second."""
        sent = [each for each in self._sent if each[0] >= since]
        return max(8e-3 * sum(size for at, size in sent if begin <= at < begin + 1) for begin, _ in sent)


async def test_the_headers_of_the_way_to_a_relay_count_within_max_kbps(
    tmp_path: Path, issued: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trap: those of TCP came on top of it, a quarter as much again."""
    async with a_turn_server(tmp_path, issued) as turn:
        options = replace(relayed(server(turn, "tcp")), max_kbps=40)
        counted = _Counted(monkeypatch)
        async with a_call(options, replace(HERE, max_kbps=40)) as (caller, callee):
            assert caller.port._path.ice.relay_bytes == 30
            assert callee.port._path.ice.relay_bytes == 0
            began = time.monotonic()
            assert share_of(await hear(callee, 5.0), 440) > 0.95
            assert 25 < counted.kbps(began + 1) < 40 * 1.05


async def test_what_would_wait_long_on_the_way_to_a_relay_is_not_sent(
    tmp_path: Path, issued: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's TCP takes nothing, as on a line that has become narrow: what is added would be heard seconds late."""
    async with a_turn_server(tmp_path, issued) as turn, a_call(relayed(server(turn, "tcp")), HERE) as (caller, callee):
        assert share_of(await hear(callee, 1.0), 440) > 0.95
        monkeypatch.setattr(turn_client, "outstanding_bytes", lambda transport: 1 << 20)
        await asyncio.sleep(2 * LATE_SECONDS)
        sent = (await caller.port.stats()).packets_sent
        assert not caller.port._path.ice.send_media(b"\x80")
        await asyncio.sleep(1.0)
        assert (await caller.port.stats()).packets_sent == sent
        monkeypatch.setattr(turn_client, "outstanding_bytes", lambda transport: 0)
        assert share_of(await hear(callee, 2.0), 440) > 0.95


async def test_keys_are_agreed_on_behind_what_waits_on_the_way_to_a_relay(
    tmp_path: Path, issued: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trap: a TCP segment that is lost in that moment ended the call."""
    async with a_turn_server(tmp_path, issued) as turn:
        monkeypatch.setattr(turn_client._StreamLink, "is_late", True)
        async with a_call(relayed(server(turn, "tcp")), HERE) as (caller, callee):
            assert (await caller.port.stats()).packets_sent == 0
            monkeypatch.undo()
            assert share_of(await hear(callee, 2.0), 440) > 0.95


async def test_short_lived_credentials_are_taken(tmp_path: Path, issued: Issued) -> None:
    async with a_turn_server(tmp_path, issued, rest=True) as turn:
        one, other = (relayed(server(turn, "udp", *short_lived(user))) for user in ("alice", "bob"))
        await talk_by_relay(one, other)


async def test_of_several_urls_the_one_that_works_is_enough(tmp_path: Path, issued: Issued) -> None:
    async with a_turn_server(tmp_path, issued) as turn:
        dead = IceServer(
            urls=(f"turn:127.0.0.1:{coturn.free_port()}?transport=tcp", f"stun:127.0.0.1:{coturn.free_port()}"),
            username="x",
            credential="y",
        )
        options = relayed(dead, server(turn, "udp", password="wrong"), server(turn, "tcp"))
        await talk_by_relay(options, options)


@pytest.mark.parametrize("why", ["expired", "wrong"])
async def test_refused_credentials_are_said_and_the_call_goes_on_without(why: str, tmp_path: Path, issued: Issued) -> None:
    async with a_turn_server(tmp_path, issued, rest=True) as turn:
        name, password = short_lived("alice", seconds=-60) if why == "expired" else ("alice", "wrong")
        options = PortOptions(ice_servers=(server(turn, "udp", name, password),), loopback=True)
        async with a_call(options, HERE) as (caller, _):
            warning = await caller.wait_for(PortWarning)
            assert "127.0.0.1 over UDP refused the credentials" in warning.message
            assert password not in warning.message


async def test_a_server_that_is_not_there_is_said(tmp_path: Path) -> None:
    options = PortOptions(
        ice_servers=(IceServer(urls=(f"turn:127.0.0.1:{coturn.free_port()}?transport=tcp",), username="u", credential="p"),), loopback=True
    )
    async with a_party(WebRtcPort(options), 440) as party:
        await party.port.offer()
        assert "can't be reached" in (await party.wait_for(PortWarning)).message


async def test_a_server_that_never_answers_is_said() -> None:
    options = PortOptions(
        ice_servers=(IceServer(urls=(f"turn:127.0.0.1:{coturn.free_port()}",), username="u", credential="p"),), loopback=True
    )
    async with a_party(WebRtcPort(options), 440) as party:
        await party.port.offer()
        assert "didn't answer" in (await party.wait_for(PortWarning)).message


async def test_with_relays_only_and_no_relay_the_call_fails_at_once(tmp_path: Path) -> None:
    nowhere = relayed(IceServer(urls=(f"turn:127.0.0.1:{coturn.free_port()}?transport=tcp",), username="u", credential="p"))
    async with a_party(WebRtcPort(nowhere), 440) as caller, a_party(WebRtcPort(HERE), 620) as callee:
        started = time.monotonic()
        await callee.trickle_to(caller.port.add_candidate)
        await caller.port.accept(await callee.port.answer(await caller.port.offer()))
        await caller.wait_for(PortFailed)
        assert caller.has(PortWarning)
        assert time.monotonic() - started < 5  # not only when the time to connect is over


async def test_a_relayed_call_moves_to_another_allocation_when_the_first_is_dead(tmp_path: Path, issued: Issued) -> None:
    async with a_turn_server(tmp_path, issued) as turn:
        options = relayed(server(turn, "udp"))
        async with a_call(options, options) as (caller, callee):
            await hear(callee, 0.5)
            cut_off(caller.port)
            await caller.wait_for(Moved)
            await callee.wait_for(Moved)
            await hear(callee, 0.5)
            assert share_of(await hear(callee, 1.5), 440) > 0.95


async def test_a_relayed_call_over_tcp_survives_the_loss_of_its_connection(tmp_path: Path, issued: Issued) -> None:
    async with a_turn_server(tmp_path, issued) as turn:
        options = relayed(server(turn, "tcp"))
        async with a_call(options, options) as (caller, callee):
            relay = caller.port._path.ice._nominated[1].protocol
            relay.connection_lost(None)  # as the library says it when the connection to the server breaks off
            async with asyncio.timeout(PATIENCE_S):
                assert "relay" in (await caller.wait_for(Moved)).pair
            await hear(callee, 0.5)
            assert share_of(await hear(callee, 1.5), 440) > 0.95
