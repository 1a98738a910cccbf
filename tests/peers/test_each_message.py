"""Each message of a call over UDP is lost, comes twice, late, or after the next one (RFC 3261 17, RFC 3262 3, RFC 6026): the call comes
about all the same, is heard both ways, ends on both sides as it was to end, and leaves nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import pytest

from sinchphone.gateway.options import TrunkOptions
from sinchphone.gateway.sip.calls import Refused, SipAnswered, SipCall, SipEnded, SipError, SipEvent, SipReferred, SipRinging
from sinchphone.gateway.sip.registrar import Registrar
from sinchphone.gateway.trunk.trunk import Trunk
from sinchphone.gateway.trunk.trunk_registration import TrunkRegistration
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.sip.transactions.transaction import Timing
from sinchphone.tasks import start_task
from tests.peers.peerkit.disturbing import DisturbingRelay, Fate, disturbing
from tests.peers.peerkit.programs import HOST
from tests.peers.peerkit.station import OurCall, Station, nothing_left, station
from tests.waiting import until

T1_S: Final = 0.03
TIMING: Final = Timing(t1=T1_S, t2=4 * T1_S, t4=5 * T1_S)
LATE_S: Final = 2.5 * T1_S  # after the first repetition
ADA_HZ, BOB_HZ = 700.0, 1000.0
AT_ONCE: Final = 8


class Pair:
    """A call of ada's to bob through a relay."""

    def __init__(self, ada: Station, bob: Station, relay: DisturbingRelay) -> None:
        self.ada, self.bob, self.relay = ada, bob, relay

    async def talk(self) -> tuple[OurCall, OurCall]:
        out = await self.ada.call(f"sip:bob@{HOST}:{self.relay.port}", hz=ADA_HZ)
        inward = await self.bob.next_call()
        await out.event(SipAnswered)
        await asyncio.gather(out.mouth.hears(BOB_HZ), inward.mouth.hears(ADA_HZ))
        return out, inward

    async def over(self, *calls: OurCall) -> None:
        for call in calls:
            assert isinstance(await call.ended(), SipEnded)
        await self.ada.at_rest()
        await self.bob.at_rest()
        for call in self.ada.calls + self.bob.calls:
            await call.close()
        assert self.relay.has_disturbed, self.relay.came


async def disturbed(media: MediaThread, run: Callable[[Pair], Awaitable[None]], *kinds: str) -> None:
    """A call for each kind of message and each fate; what goes wrong is told of all of them."""

    async def one(what: str, fate: Fate) -> None:
        async with (
            station(media, timing=TIMING, alone=False) as bob,
            station(media, timing=TIMING, alone=False) as ada,
            disturbing(bob.agent.port, what, fate, LATE_S) as relay,
        ):
            await run(Pair(ada, bob, relay))

    await each(media, one, *kinds)


async def each(media: MediaThread, one: Callable[[str, Fate], Awaitable[None]], *kinds: str) -> None:
    """Some at once: most of the time is waiting for transactions to end."""
    some = asyncio.Semaphore(AT_ONCE)
    wrong: dict[str, str] = {}

    async def bounded(what: str, fate: Fate) -> None:
        async with some:
            try:
                await one(what, fate)
            except Exception as error:  # noqa: BLE001 - told below
                wrong[f"{what} {fate.value}"] = repr(error)

    async with nothing_left(media):
        await asyncio.gather(*(bounded(what, fate) for what in kinds for fate in Fate))
    assert wrong == {}


@pytest.mark.parametrize("ender", ["caller", "called"])
async def test_a_call_is_answered_and_ended(media: MediaThread, ender: str) -> None:
    async def run(pair: Pair) -> None:
        out, inward = await pair.talk()
        await (out if ender == "caller" else inward).hang_up()
        await pair.over(out, inward)
        assert len(pair.bob.calls) == 1

    await disturbed(media, run, "INVITE", "100 INVITE", "180 INVITE", "200 INVITE", "ACK", "BYE", "200 BYE")


async def test_early_media_is_acknowledged(media: MediaThread) -> None:
    async def run(pair: Pair) -> None:
        async def early(sip: SipCall) -> None:
            await pair.bob.answer(sip, early=True)

        pair.bob.behave = early
        out, inward = await pair.talk()
        await out.hang_up()
        await pair.over(out, inward)

    await disturbed(media, run, "183 INVITE", "PRACK", "200 PRACK", "200 INVITE", "ACK")


@pytest.mark.parametrize("asker", ["caller", "called"])
async def test_a_change_is_agreed_on(media: MediaThread, asker: str) -> None:
    async def run(pair: Pair) -> None:
        out, inward = await pair.talk()
        one, other = (out, inward) if asker == "caller" else (inward, out)
        await one.change("sendonly")
        await one.mouth.hears_nothing()
        await one.change("sendrecv")
        await asyncio.gather(one.mouth.hears(other.mouth.hz), other.mouth.hears(one.mouth.hz))
        await one.hang_up()
        await pair.over(out, inward)

    await disturbed(media, run, "re-INVITE", "200 re-INVITE", "re-ACK")


async def test_a_call_is_cancelled(media: MediaThread) -> None:
    async def run(pair: Pair) -> None:
        over: list[SipEvent] = []

        async def ring_on(sip: SipCall) -> None:
            await sip.ring()
            over.extend([event async for event in sip.events()])

        pair.bob.behave = ring_on
        out = await pair.ada.call(f"sip:bob@{HOST}:{pair.relay.port}")
        await out.event(SipRinging)
        await out.sip.hang_up()
        ended = await out.ended()
        assert isinstance(ended, Refused | SipEnded)
        await until(lambda: bool(over))
        assert isinstance(over[-1], SipEnded)
        assert over[-1].status == 487
        await pair.over()

    await disturbed(media, run, "CANCEL", "200 CANCEL", "487 INVITE", "ACK")


async def test_a_call_is_refused(media: MediaThread) -> None:
    async def run(pair: Pair) -> None:
        pair.bob.behave = lambda sip: sip.refuse(486)
        out = await pair.ada.call(f"sip:bob@{HOST}:{pair.relay.port}")
        refused = await out.ended()
        assert isinstance(refused, Refused)
        assert refused.status == 486
        await pair.over()

    await disturbed(media, run, "INVITE", "486 INVITE", "ACK")


@pytest.mark.parametrize("status", [200, 486])
async def test_a_transfer_is_told_of(media: MediaThread, status: int) -> None:
    async def run(pair: Pair) -> None:
        out, inward = await pair.talk()
        asking = start_task(out.sip.refer("sip:carol@carol.example"), name="refer")
        await inward.event(SipReferred)
        await inward.sip.tell_refer(180)
        await inward.sip.tell_refer(status)
        if status == 200:
            await asking
        else:
            with pytest.raises(SipError) as refused:
                await asking
            assert refused.value.status == status
        if not out.sip.is_over:
            await out.hang_up()
        await pair.over(out, inward)

    await disturbed(media, run, "REFER", "202 REFER", "NOTIFY", "200 NOTIFY")


async def test_a_registration_is_made_and_withdrawn(media: MediaThread) -> None:
    async def one(what: str, fate: Fate) -> None:
        async with (
            station(media, passwords={"us": "secret"}, timing=TIMING, alone=False) as carrier,
            station(media, timing=TIMING, alone=False) as ours,
            disturbing(carrier.agent.port, what, fate, LATE_S, renames=False) as relay,
        ):
            registrar = carrier.registrar
            assert isinstance(registrar, Registrar)
            options = TrunkOptions(host=HOST, port=relay.port, transport="udp", username="us", password="secret", register=True)
            trunk = Trunk(options)
            registration = TrunkRegistration(ours.agent, trunk)
            registration.start()
            await until(lambda: bool(trunk.learnt))
            assert len(registrar.contacts("us")) == 1
            await registration.close()
            assert registrar.contacts("us") == []
            assert relay.has_disturbed
            await ours.at_rest()
            await carrier.at_rest()

    await each(media, one, "REGISTER", "401 REGISTER", "200 REGISTER")
