"""Bad weather at the user agent: loss, strangers, floods, silence, crossings. It leaves no call, no transaction, no task, no port."""

import asyncio
from pathlib import Path

import pytest

from sinchphone.gateway.sip.calls import Refused, SipAnswered, SipCall, SipEnded
from sinchphone.gateway.sip.limits import SourceLimits
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.sip.transactions.transaction import Timing
from tests.peers.peerkit.baresip import phone
from tests.peers.peerkit.lossy import lossy
from tests.peers.peerkit.programs import HOST
from tests.peers.peerkit.raw import SDP, raw, tag_of
from tests.peers.peerkit.sipp import scenario
from tests.peers.peerkit.station import station

QUICK = Timing(t1=0.01, t2=0.08, t4=0.1)  # give up after 0.64 s
LOSS = 0.3


async def test_thirty_percent_loss_between_two_of_us(media: MediaThread) -> None:
    timing = Timing(t1=0.1, t2=0.8, t4=1.0)
    async with station(media, timing=timing) as bob, station(media, timing=timing) as ada, lossy(bob.agent.port, LOSS, 4) as relay:
        for _ in range(3):
            outgoing = await ada.call(f"sip:bob@{HOST}:{relay.port}", hz=700)
            incoming = await bob.next_call()
            await outgoing.event(SipAnswered)
            await outgoing.change("inactive")
            await incoming.hang_up()
            assert isinstance(await outgoing.ended(), SipEnded)
            await outgoing.close()
            await incoming.close()
        assert relay.lost > 10
        await ada.at_rest()
        await bob.at_rest()


async def test_thirty_percent_loss_and_a_password(tmp_path: Path, media: MediaThread) -> None:
    timing = Timing(t1=0.1, t2=0.8, t4=1.0)
    async with station(media, passwords={"ada": "secret-1"}, timing=timing) as us:
        async with lossy(us.agent.port, LOSS, 5, renames=False) as relay:  # a digest covers the URI
            options = {"target": f"{HOST}:{relay.port}", "service": "ada", "user": ("ada", "secret-1")}
            async with scenario("uac_registers", tmp_path / "ada", **options) as ada:  # type: ignore[arg-type]
                await ada.succeeds()
        await us.at_rest()


async def test_flood_of_registrations_is_held_back_and_others_are_served(media: MediaThread) -> None:
    limits = SourceLimits(registrations_at_once=20, registrations_a_second=1)
    async with station(media, passwords={"ada": "secret-1"}, limits=limits) as us:
        async with raw(us.agent.port) as flood, raw(us.agent.port, "127.0.0.2") as other:
            for number in range(1000):
                flood.send(flood.request("REGISTER", f"flood{number}"))
                if number % 50 == 0:
                    await asyncio.sleep(0)
            for _ in range(3):  # the kernel drops some of what floods the socket
                other.send(other.request("REGISTER", "other"))
                await asyncio.sleep(0.2)
            assert "401" in (await other.receives("Call-ID: other")).splitlines()[0]
            challenged = [one for one in flood.came if " 401 " in one.splitlines()[0]]
            assert 10 <= len(challenged) <= 25
            assert len(flood.came) <= 250
        assert us.agent.open_calls == 0


async def test_who_guesses_passwords_is_told_to_try_later_and_no_more(media: MediaThread) -> None:
    limits = SourceLimits(failures_at_once=5, failures_a_second=0.01)
    async with station(media, passwords={"ada": "secret-1"}, limits=limits) as us, raw(us.agent.port) as eve:
        eve.send(eve.request("REGISTER", "first"))
        nonce = (await eve.receives(" 401 ")).split('nonce="')[1].split('"')[0]
        uri = f"sip:bob@{HOST}:{us.agent.port}"
        for number in range(50):
            guess = f'username="ada", realm="sinchphone", nonce="{nonce}", uri="{uri}", response="{number:032x}"'
            guess += ', qop=auth, nc=00000001, cnonce="x"'
            eve.send(eve.request("REGISTER", f"guess{number}", extra=f"Authorization: Digest {guess}"))
        async with raw(us.agent.port, "127.0.0.2") as other:
            other.send(other.request("REGISTER", "other"))
            await other.receives(" 401 ")
        answered = [one for one in eve.came if not one.startswith("SIP/2.0 503 ")]
        assert len(answered) <= 6
        assert all("Retry-After:" in one for one in eve.came if one not in answered)


async def test_flood_of_calls_has_a_limit(media: MediaThread) -> None:
    async with station(media, calls=3) as us:

        async def ring_on(sip: SipCall) -> None:
            await sip.ring()
            async for _ in sip.events():
                pass

        us.behave = ring_on
        async with raw(us.agent.port) as flood:
            for number in range(20):
                flood.send(flood.invite(f"flood{number}"))
            for _ in range(17):
                await flood.receives("SIP/2.0 503 ")
            assert us.agent.open_calls == 3


@pytest.mark.parametrize("kind", ["udp", "tcp"])
async def test_a_carrier_that_never_answers(media: MediaThread, kind: str) -> None:
    async with station(media, timing=QUICK) as us:
        taken: list[asyncio.StreamWriter] = []
        server = await asyncio.start_server(lambda _, writer: taken.append(writer), HOST, 0)
        async with raw(us.agent.port) as silent:
            port = silent.port if kind == "udp" else server.sockets[0].getsockname()[1]
            call = await us.call(f"sip:x@{HOST}:{port};transport={kind}")
            refused = await call.ended()
            assert isinstance(refused, Refused)
            assert refused.status == 408
            # Timers A and B: at 0, 1, 3, 7, 15, 31 and 63 times T1 of 64. A machine that is late with one may be too late for the last.
            assert 3 <= len(silent.came) <= 7 if kind == "udp" else not silent.came
            assert len(set(silent.came)) == (kind == "udp")
        await us.at_rest()
        server.close()
        for one in taken:
            one.close()


async def test_a_carrier_that_says_trying_and_nothing_more(media: MediaThread) -> None:
    async with station(media, timing=QUICK, ring_seconds=1.0) as us, raw(us.agent.port) as carrier:
        call = await us.call(f"sip:x@{HOST}:{carrier.port}")
        carrier.reply(await carrier.receives("INVITE sip:"), "100 Trying")
        assert isinstance(await call.ended(), Refused)
        await carrier.receives("CANCEL sip:")
        await us.at_rest()


async def test_two_invites_cross_a_cancel(media: MediaThread) -> None:
    """The INVITE is repeated after its CANCEL, and another one for the same call comes by another branch (a fork that we got twice)."""
    async with station(media, timing=QUICK) as us:
        over: list[SipCall] = []

        async def ring_on(sip: SipCall) -> None:
            await sip.ring()
            async for _ in sip.events():
                pass
            over.append(sip)

        us.behave = ring_on
        async with raw(us.agent.port) as ada:
            first = ada.invite("crossing", branch="one")
            ada.send(first)
            ringing = await ada.receives(" 180 ")
            ada.send(ada.request("CANCEL", "crossing", branch="one"))
            ada.send(first)
            ada.send(ada.invite("crossing", branch="two"))
            assert "CANCEL" in await ada.receives("SIP/2.0 200 ")
            terminated = await ada.receives("SIP/2.0 487 ")
            assert tag_of(terminated) == tag_of(ringing)
            ada.send(ada.request("ACK", "crossing", branch="one", to_tag=tag_of(terminated)))
            second = await ada.receives(lambda one: "branch=z9hG4bKtwo" in one and " 100 " not in one.splitlines()[0])
            if " 180 " in second.splitlines()[0]:  # taken for a call of its own: it can be cancelled too
                ada.send(ada.request("CANCEL", "crossing", branch="two"))
                second = await ada.receives("SIP/2.0 487 ")
            ada.send(ada.request("ACK", "crossing", branch="two", to_tag=tag_of(second)))
            await us.at_rest()
        assert {sip.is_over for sip in over} == {True}


async def test_a_cancel_that_comes_after_the_answer_changes_nothing(media: MediaThread) -> None:
    async with station(media, timing=QUICK) as us, raw(us.agent.port) as ada:
        ada.send(ada.invite("late", branch="late"))
        call = await us.next_call()
        answer = await ada.receives("SIP/2.0 200 ")
        ada.send(ada.request("CANCEL", "late", branch="late"))
        await ada.receives(lambda one: "CANCEL" in one and " 200 " in one.splitlines()[0])
        ada.send(ada.request("ACK", "late", to_tag=tag_of(answer)))
        await call.hang_up()
        ada.reply(await ada.receives("BYE sip:"), "200 OK")
        await us.at_rest()


async def test_a_caller_that_vanishes_while_it_rings(media: MediaThread) -> None:
    async with station(media, timing=QUICK, ring_seconds=1.0) as us:

        async def ring_on(sip: SipCall) -> None:
            await sip.ring()
            async for _ in sip.events():
                pass

        us.behave = ring_on
        async with raw(us.agent.port) as ada:
            ada.send(ada.invite("gone"))
            await ada.receives(" 180 ")
        await us.at_rest()


@pytest.mark.parametrize("status", ["200 OK", "183 Session Progress"])
@pytest.mark.parametrize(
    "body", ["", "nonsense", "v=0\r\nm=audio 1 RTP/AVP 0\r\n", SDP.format(host="nowhere.invalid", port=1), "v=0\r\n" * 5000]
)
async def test_an_answer_that_makes_no_sense_ends_the_call(media: MediaThread, status: str, body: str) -> None:
    async with station(media, timing=QUICK, ring_seconds=2.0) as us, raw(us.agent.port) as bob:
        call = await us.call(f"sip:x@{HOST}:{bob.port}")
        invite = await bob.receives("INVITE sip:")
        bob.reply(invite, status, body=body)
        await asyncio.sleep(0.1)
        await call.sip.hang_up()
        if status.startswith("200"):
            bob.reply(await bob.receives("BYE sip:"), "200 OK")
        else:
            bob.reply(await bob.receives("CANCEL sip:"), "200 OK")
            bob.reply(invite, "487 Request Terminated")
        await us.at_rest()


async def test_closing_the_agent_ends_what_is_open(tmp_path: Path, media: MediaThread) -> None:
    async with phone(tmp_path / "bob", "bob", hz=440) as bob:
        async with station(media) as us:
            call = await us.call(bob.uri)
            await call.event(SipAnswered)
            await us.call(f"sip:nobody@{HOST}:{bob.port}")
        await bob.event("CALL_CLOSED")
