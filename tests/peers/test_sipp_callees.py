"""We call sipp, which does what its scenario says: refusals, challenges, early sound, reliable responses, changes, forks, crossings."""

from pathlib import Path
from typing import Any

import dns.resolver
import dns.rrset
import pytest

from sinchphone.gateway.sip.calls import Refused, SipAnswered, SipEarly, SipEnded, SipError, SipReoffered, SipRinging
from sinchphone.gateway.sip.network.resolve import Resolver
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.sip.digest import Credentials
from sinchphone.protocol.sip.transactions.transaction import Timing
from tests.peers.peerkit.programs import HOST
from tests.peers.peerkit.sipp import scenario
from tests.peers.peerkit.station import OurCall, Station, station

TRUNK = Credentials("trunk", "secret")
QUICK = Timing(t1=0.01, t2=0.08, t4=0.1)  # give up after 0.64 s


async def answered(us: Station, uri: str, **more: object) -> OurCall:
    call = await us.call(uri, **more)  # type: ignore[arg-type]
    await call.event(SipAnswered)
    return call


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_rings_answers_and_returns_our_sound(tmp_path: Path, media: MediaThread, transport: str) -> None:
    async with scenario("uas_answer", tmp_path / "bob", transport=transport, echo=True) as bob, station(media) as us:  # type: ignore[arg-type]
        call = await us.call(f"{bob.uri};transport={transport}", hz=700)
        await call.event(SipAnswered)
        assert [type(one) for one in call.events] == [SipRinging, SipAnswered]
        await call.mouth.hears(700)
        await call.hang_up()
        await bob.succeeds()


async def test_answers_with_another_codec(tmp_path: Path, media: MediaThread) -> None:
    async with scenario("uas_answer_pcma", tmp_path / "bob", echo=True) as bob, station(media) as us:
        call = await answered(us, bob.uri, hz=700)
        assert call.port.codec is not None
        assert call.port.codec.name == "PCMA"
        await call.mouth.hears(700)
        await call.hang_up()
        await bob.succeeds()


async def test_sound_before_the_answer_is_heard_and_ringing_after_it_doesnt_end_it(tmp_path: Path, media: MediaThread) -> None:
    async with scenario("uas_early_media", tmp_path / "bob") as bob, station(media) as us:
        call = await us.call(bob.uri)
        await call.event(SipEarly)
        await call.until(lambda: any(abs(frame.astype(int)).max() > 500 for frame in call.mouth.heard))
        await call.event(SipAnswered)
        assert [type(one) for one in call.events] in ([SipEarly, SipRinging, SipAnswered], [SipEarly, SipAnswered])
        await call.hang_up()
        await bob.succeeds()


async def test_is_busy(tmp_path: Path, media: MediaThread) -> None:
    async with scenario("uas_busy", tmp_path / "bob") as bob, station(media) as us:
        call = await us.call(bob.uri)
        assert await call.ended() == Refused(486, "Busy Here")
        await bob.succeeds()


@pytest.mark.parametrize(
    "status", ["404 Not Found", "480 Temporarily Unavailable", "488 Not Acceptable Here", "503 Overloaded", "603 Decline"]
)
async def test_refuses_and_is_acknowledged(tmp_path: Path, media: MediaThread, status: str) -> None:
    async with scenario("uas_refuses", tmp_path / "bob", status=status) as bob, station(media) as us:
        refused = await (await us.call(bob.uri)).ended()
        assert isinstance(refused, Refused)
        assert f"{refused.status} {refused.reason}" == status
        await bob.succeeds()


async def test_rings_until_we_give_up(tmp_path: Path, media: MediaThread) -> None:
    async with scenario("uas_rings_until_cancel", tmp_path / "bob") as bob, station(media) as us:
        call = await us.call(bob.uri)
        await call.event(SipRinging)
        await call.hang_up()
        await bob.succeeds()


async def test_rings_until_the_agents_own_limit(tmp_path: Path, media: MediaThread) -> None:
    async with scenario("uas_rings_until_cancel", tmp_path / "bob") as bob, station(media, ring_seconds=0.7) as us:
        call = await us.call(bob.uri)
        await call.ended()
        await bob.succeeds()


async def test_answers_in_the_moment_in_which_we_give_up(tmp_path: Path, media: MediaThread) -> None:
    async with scenario("uas_cancel_crosses_200", tmp_path / "bob") as bob, station(media) as us:
        call = await us.call(bob.uri)
        await call.event(SipRinging)
        await call.hang_up()
        assert not any(isinstance(one, SipAnswered) for one in call.events)
        await bob.succeeds()


@pytest.mark.parametrize("name", ["uas_challenge", "uas_challenge_sha256"])
async def test_wants_a_password_and_gets_it(tmp_path: Path, media: MediaThread, name: str) -> None:
    async with scenario(name, tmp_path / "bob") as bob, station(media) as us:
        call = await answered(us, bob.uri, credentials=TRUNK)
        await call.hang_up()
        await bob.succeeds()


async def test_a_password_is_tried_once(tmp_path: Path, media: MediaThread) -> None:
    async with scenario("uas_challenge_wrong", tmp_path / "bob") as bob, station(media) as us:
        refused = await (await us.call(bob.uri, credentials=TRUNK)).ended()
        assert isinstance(refused, Refused)
        assert refused.status == 401
        await bob.succeeds()


async def test_wants_the_password_for_a_bye_too(tmp_path: Path, media: MediaThread) -> None:
    async with scenario("uas_challenges_bye", tmp_path / "bob") as bob, station(media) as us:
        call = await answered(us, bob.uri, credentials=TRUNK)
        await call.sip.hang_up()
        await bob.succeeds()
        await call.ended()


@pytest.mark.parametrize(("name", "credentials"), [("uas_challenges_reinvite", TRUNK), ("uas_asks_to_wait", None)])
async def test_a_change_is_repeated_where_it_must_be(
    tmp_path: Path, media: MediaThread, name: str, credentials: Credentials | None
) -> None:
    async with scenario(name, tmp_path / "bob") as bob, station(media) as us:
        call = await answered(us, bob.uri, credentials=credentials)
        await call.change("sendrecv")
        await call.hang_up()
        await bob.succeeds()


@pytest.mark.parametrize("name", ["uas_reliable_early", "uas_reliable_twice"])
async def test_a_reliable_response_is_acknowledged_and_its_description_taken(tmp_path: Path, media: MediaThread, name: str) -> None:
    async with scenario(name, tmp_path / "bob", echo=True) as bob, station(media) as us:
        call = await us.call(bob.uri, hz=700)
        await call.event(SipEarly)
        await call.event(SipAnswered)
        await call.connect()
        await call.mouth.hears(700)
        await call.hang_up()
        await bob.succeeds()


@pytest.mark.parametrize("name", ["uas_holds", "uas_holds_old_style"])
async def test_puts_us_on_hold_and_takes_us_back(tmp_path: Path, media: MediaThread, name: str) -> None:
    async with scenario(name, tmp_path / "bob", echo=True) as bob, station(media) as us:
        call = await answered(us, bob.uri, hz=700)
        await call.until(lambda: sum(isinstance(one, SipReoffered) for one in call.events) == 1)
        assert call.port.direction in ("recvonly", "inactive")
        await call.until(lambda: sum(isinstance(one, SipReoffered) for one in call.events) == 2)
        assert call.port.direction == "sendrecv"
        call.mouth.heard.clear()
        await call.mouth.hears(700)
        await call.hang_up()
        await bob.succeeds()


async def test_is_elsewhere(tmp_path: Path, media: MediaThread) -> None:
    async with scenario("uas_answer", tmp_path / "new") as new, station(media) as us:
        async with scenario("uas_moved", tmp_path / "old", keys={"redirect": new.uri}) as old:
            call = await answered(us, old.uri)
            await call.hang_up()
            await old.succeeds()
        await new.succeeds()


@pytest.mark.parametrize("redirect", ["tel:+15550100", "http://x", "nonsense", "sip:", "sip:@", "sip:loop@{us}"])
async def test_a_redirection_that_leads_nowhere_is_the_end(tmp_path: Path, media: MediaThread, redirect: str) -> None:
    async with station(media) as us, scenario("uas_moved", tmp_path / "old", keys={"redirect": redirect.format(us=us.at)}) as old:
        refused = await (await us.call(old.uri)).ended()
        assert isinstance(refused, Refused)
        await old.succeeds()


@pytest.mark.parametrize("name", ["uas_session_timer", "uas_interval_too_small"])
async def test_session_timers_are_agreed_on(tmp_path: Path, media: MediaThread, name: str) -> None:
    async with scenario(name, tmp_path / "bob") as bob, station(media) as us:
        call = await answered(us, bob.uri)
        if name == "uas_session_timer":
            await bob.program.until(lambda: "CSeq: 1002 ACK" in bob.messages, "a refresh of the peer's")
        await call.hang_up()
        await bob.succeeds()


async def test_two_phones_answer_and_the_second_is_hung_up(tmp_path: Path, media: MediaThread) -> None:
    async with scenario("uas_forks", tmp_path / "bob") as bob, station(media) as us:
        call = await answered(us, bob.uri)
        await bob.program.until(lambda: "tag=two" in bob.messages and "BYE" in bob.messages, "a BYE for the second one")
        assert not call.sip.is_over
        await call.hang_up()
        await bob.succeeds()


async def test_hangs_up(tmp_path: Path, media: MediaThread) -> None:
    async with scenario("uas_hangs_up", tmp_path / "bob") as bob, station(media) as us:
        call = await answered(us, bob.uri)
        assert isinstance(await call.ended(), SipEnded)
        await bob.succeeds()


async def test_two_byes_cross(tmp_path: Path, media: MediaThread) -> None:
    async with scenario("uas_crosses_bye", tmp_path / "bob") as bob, station(media) as us:
        call = await answered(us, bob.uri)
        await call.hang_up()
        await bob.succeeds()
        assert sum(isinstance(one, SipEnded | Refused) for one in call.events) == 1


async def test_knows_no_telephone_events_and_gets_info(tmp_path: Path, media: MediaThread) -> None:
    async with scenario("uas_wants_info", tmp_path / "bob") as bob, station(media) as us:
        call = await answered(us, bob.uri)
        await call.sip.send_digit("7", 160)
        await call.hang_up()
        await bob.succeeds()


async def test_answers_without_a_description(tmp_path: Path, media: MediaThread) -> None:
    async with scenario("uas_answers_without_sdp", tmp_path / "bob") as bob, station(media) as us:
        await (await us.call(bob.uri)).ended()
        await bob.succeeds()


async def test_vanishes_after_the_answer_and_our_bye_finds_nobody(tmp_path: Path, media: MediaThread) -> None:
    async with station(media, timing=QUICK, rtp={"lost_after_s": 1.0}) as us:
        async with scenario("uas_vanishes", tmp_path / "bob", echo=True) as bob:
            call = await answered(us, bob.uri)
            await bob.succeeds()
        await call.hang_up()
        await us.at_rest()


async def test_a_change_that_is_refused_leaves_the_call_as_it_was(tmp_path: Path, media: MediaThread) -> None:
    async with scenario("uas_challenges_reinvite", tmp_path / "bob") as bob, station(media, timing=QUICK) as us:
        call = await answered(us, bob.uri)  # no password: the 407 is the end of it
        with pytest.raises(SipError) as refused:
            await call.change("inactive")
        assert refused.value.status == 407
        await call.port.withdraw()
        assert call.port.direction == "sendrecv"
        await bob.program.stop()
        await call.hang_up()


class Zone:
    """DNS for a test: services of carrier.test, and its hosts on loopback."""

    def __init__(self, *services: str) -> None:
        self._services = services

    async def resolve(self, qname: str, rdtype: str) -> list[Any]:
        if (qname, rdtype) == ("_sip._udp.carrier.test", "SRV"):
            return list(dns.rrset.from_text("x.", 60, "IN", "SRV", *self._services))
        if rdtype == "A" and qname.startswith("edge"):
            return list(dns.rrset.from_text("x.", 60, "IN", "A", HOST))
        raise dns.resolver.NXDOMAIN


async def test_the_next_server_of_a_domain_is_tried_where_the_first_isnt_there_or_is_overloaded(tmp_path: Path, media: MediaThread) -> None:
    async with scenario("uas_answer", tmp_path / "good") as good, scenario("uas_refuses", tmp_path / "full", status="503 Full") as full:
        zone = Zone("10 0 9 edge1.carrier.test.", f"20 0 {full.port} edge2.carrier.test.", f"30 0 {good.port} edge3.carrier.test.")
        async with station(media, resolver=Resolver(zone)) as us:
            call = await answered(us, "sip:bob@carrier.test")
            await call.hang_up()
            await full.succeeds()
            await good.succeeds()


async def test_nobody_is_there(media: MediaThread) -> None:
    async with station(media) as us:
        refused = await (await us.call(f"sip:nobody@{HOST}:9")).ended()
        assert isinstance(refused, Refused)
        assert refused.status == 503
        await us.at_rest()
