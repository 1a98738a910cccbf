"""A gateway whose doors are fakes: legs that do what the test says, media that only counts."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sinchphone.errors import MediaError
from sinchphone.exchange.access.address_policy import AddressPolicy
from sinchphone.gateway.bridging.b2bua import B2buaCall
from sinchphone.gateway.call_facts import CallerName, Dialled, Failure, Source
from sinchphone.gateway.call_records import CallRecords
from sinchphone.gateway.callbacks.backends import Backends
from sinchphone.gateway.context import GatewayContext
from sinchphone.gateway.legs.leg import Gone, LegEvent
from sinchphone.gateway.legs.reasons import CallEnding
from sinchphone.gateway.open_calls import OpenCalls
from sinchphone.gateway.relay.relay import MediaTransport, RelayEvent, Side
from sinchphone.gateway.routing.routing import Dialling, Route, ToUser
from sinchphone.media.outbox import Outbox
from sinchphone.protocol.sdp.jsep import Candidate
from sinchphone.signaling.dialect import Domain
from sinchphone.tasks import start_task

LIMIT_S = 5.0
OFFER = "v=0 offer"


class FakeLeg:
    """Either direction: remembers its orders, and says what the test has it say."""

    def __init__(self, name: str = "leg", *, stubborn: bool = False) -> None:
        self.id = name
        self.transport = MediaTransport.RTP
        self.signalled_from: str | None = None
        self.media_host: str | None = None
        self.caller = CallerName(Domain.SIP, "desk@example", None)
        self.dialled = Dialled(Domain.SIP, "bob@example")
        self.headers: Mapping[str, str] = {}
        self.offer: str | None = OFFER
        self.orders: list[Any] = []
        self.released = 0
        self.allowance: asyncio.Future[Failure] = asyncio.get_running_loop().create_future()
        self.runs = 0
        self.other: FakeLeg | None = None
        self.forwards_as: str | None = None
        self.takes_digits = True
        self.refuses_reoffers = False
        self.transfer_fails: Failure | None = None
        self._stubborn = stubborn
        self._events = Outbox[LegEvent]()
        self._over = asyncio.Event()
        self._changed = asyncio.Event()

    def say(self, *events: LegEvent) -> None:
        for event in events:
            self._events.put(event)
            if isinstance(event, Gone):
                self._events.end()
                self._over.set()

    def note(self, *order: Any) -> None:
        self.orders.append(order[0] if len(order) == 1 else order)
        self._changed.set()

    async def until(self, order: Any) -> None:
        async with asyncio.timeout(LIMIT_S):
            while order not in self.orders:
                self._changed.clear()
                await self._changed.wait()

    def events(self) -> Outbox[LegEvent]:
        return self._events

    async def run(self) -> None:
        self.runs += 1
        try:
            await self._over.wait()
        except asyncio.CancelledError:
            self.note("cancelled")
            raise

    async def start(self, offer: str) -> None:
        self.note("start", offer)

    async def ring(self) -> None:
        self.note("ring")

    async def early(self, sdp: str) -> None:
        self.note("early", sdp)

    async def answer(self, sdp: str) -> None:
        self.note("answer", sdp)

    async def trickle(self, candidate: Candidate | None, *, branch: str = "") -> None:
        self.note("trickle", candidate, branch)

    async def media_connected(self, codec: str) -> None:
        self.note("connected", codec)

    async def media_failed(self, reason: str) -> None:
        self.note("media failed", reason)
        self.say(Gone(failure=Failure(408, reason)))

    async def media_silent(self, silent_s: float) -> None:
        self.note("media silent", silent_s)

    async def send_digit(self, digit: str, duration_ms: int) -> None:
        if not self.takes_digits:
            raise MediaError("no digits")
        self.note("digit", digit)

    async def answer_reoffer(self, sdp: str, *, offered: bool = True) -> str | None:
        self.note("reoffer answered", sdp)
        return None if offered else "v=0 their answer"

    async def reoffer(self, sdp: str) -> str:
        self.note("reoffered", sdp)
        if self.refuses_reoffers:
            raise MediaError("not now")
        return "v=0 agreed"

    async def transfer(self, to: str, replaces: str = "") -> Failure | None:
        self.note("transfer", to, *([replaces] if replaces else []))
        return self.transfer_fails

    async def tell_transfer(self, news: Any) -> None:
        self.note("transfer told", news.status)

    async def refuse_reoffer(self, failure: Failure) -> None:
        self.note("reoffer refused", failure.status)

    async def hang_up(self, failure: Failure | None = None) -> None:
        self.note("hang up", failure.status if failure else None)
        if not self._stubborn and not self._over.is_set():
            self.say(Gone(failure=failure))

    def alternative(self) -> "FakeLeg | None":
        return self.other

    async def used_up(self) -> Failure:
        return await self.allowance

    def release(self) -> None:
        self.released += 1


class FakeRelay:
    """Descriptions go through, marked."""

    def __init__(self) -> None:
        self.orders: list[Any] = []
        self.deleted = 0
        self.broken: set[str] = set()
        self.holding: set[Side] = set()
        self.news = Outbox[RelayEvent]()

    def _note(self, *order: Any) -> None:
        self.orders.append(order)
        if order[0] in self.broken:
            raise MediaError(f"{order[0]} doesn't work")

    async def offer(self, offer: str, towards: MediaTransport, *, signalled_from: str | None = None) -> str:
        self._note("offer", offer, towards)
        return f"{offer} relayed"

    async def ringing(self, answer: str, *, branch: str = "") -> None:
        self._note("ringing", answer, branch)

    async def answer(self, answer: str, *, branch: str = "", signalled_from: str | None = None) -> str:
        self._note("answer", answer, branch)
        return f"{answer} relayed"

    async def renew(self, side: Side, offer: str) -> str:
        self._note("renew", side, offer)
        return f"{offer} renewed"

    def hears(self, side: Side) -> bool:
        return side not in self.holding

    async def propose(self, side: Side) -> str:
        self._note("propose", side)
        return "v=0 anew"

    async def settle(self, side: Side, answer: str) -> None:
        self._note("settle", side, answer)

    async def withdraw(self) -> None:
        self._note("withdraw")

    async def add_candidate(self, side: Side, candidate: Candidate | None, *, branch: str = "") -> None:
        self._note("candidate", side, candidate, branch)

    async def dtmf(self, towards: Side, digits: str) -> None:
        self._note("dtmf", towards, digits)

    def events(self) -> Outbox[RelayEvent]:
        return self.news

    async def delete(self) -> None:
        self.deleted += 1
        self.news.end()


@dataclass
class FakeMediaBackends:
    relays: list[FakeRelay] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)

    def relay(self, call_id: str, caller: MediaTransport, *, signalled_from: str | None = None) -> FakeRelay:
        made = FakeRelay()
        made.broken = self.broken
        self.relays.append(made)
        return made

    def port(self, call_id: str, transport: MediaTransport, *, signalled_from: str | None = None) -> Any:
        raise MediaError("there is no port in these tests")

    def at(self, host: str | None) -> "FakeMediaBackends":
        return self


class Call:
    """One conversation among fakes."""

    def __init__(self, legs: Sequence[FakeLeg], route: Route | None = None, *, caller: FakeLeg | None = None, session: Any = None) -> None:
        self.caller = caller or FakeLeg("caller")
        self.legs = list(legs)
        self.media_backends = FakeMediaBackends()
        self.asked: list[Any] = []
        self.was_asked_for_legs = False
        self.meanwhile: CallEnding | None = None  # happens while the legs are made
        chosen = route or ToUser("bob")

        async def legs_of(route: Route, call: Dialling, application: str) -> Sequence[Any]:
            self.was_asked_for_legs = True
            if self.meanwhile is not None:
                self.conversation.lifetime.end(self.meanwhile)
            return self.legs

        class Routes:
            def by_plan(self, call: Dialling) -> Route:
                return chosen

            def by_action(self, action: Any, call: Dialling) -> Route:
                return chosen

        nobody: Any = None
        made: Any = SimpleNamespace(legs=legs_of)
        context = GatewayContext(
            media=nobody,
            media_backends=cast(Any, self.media_backends),
            rooms=nobody,
            trunk=None,
            routes=cast(Any, Routes()),
            legs=made,
            announcements=nobody,
            backends=Backends(None, {}, AddressPolicy(listens_on="127.0.0.1")),
            records=CallRecords(),
            default_application="acme",
            recordings=nobody,
            addresses=nobody,
            url="http://127.0.0.1:4600",
            open_calls=OpenCalls(lambda _: None),
        )
        dialling = Dialling(source=Source.PHONE, caller=self.caller.caller, dialled=self.caller.dialled)
        self.conversation = B2buaCall(context, self.caller, dialling, "acme", session)
        self.task = start_task(self.conversation.run(), name="run")

    @property
    def relay(self) -> FakeRelay:
        return self.media_backends.relays[0]

    async def over(self) -> None:
        async with asyncio.timeout(LIMIT_S):
            await self.task

    async def cancel(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task

    def check_nothing_is_left(self) -> None:
        assert all(relay.deleted for relay in self.media_backends.relays)
        assert all(leg.released == 1 for leg in self.legs if self.was_asked_for_legs)
        ours = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert ours == [], "tasks are left behind"


@pytest.fixture
async def calls() -> Any:
    """Makes calls; at the end nothing may be left of any."""
    made: list[Call] = []

    def call(*legs: FakeLeg, **more: Any) -> Call:
        made.append(Call(legs, **more))
        return made[-1]

    yield call
    for each in made:
        if not each.task.done():
            await each.cancel()
        each.check_nothing_is_left()


@pytest.fixture
def make_leg() -> type[FakeLeg]:
    return FakeLeg
