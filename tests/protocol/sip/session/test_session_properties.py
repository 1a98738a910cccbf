"""Two sessions on a network that loses, doubles and delays: whatever happens, each call has one end, and nothing waits."""

import heapq
from collections.abc import Callable
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from sinchphone.protocol.sip.message import Request, read_message, respond
from sinchphone.protocol.sip.session import vocabulary as v
from sinchphone.protocol.sip.session.machine import SipSession
from sinchphone.protocol.sip.session.state import SessionOptions
from sinchphone.protocol.sip.session.vocabulary import Effect, SipEvent, SipPhase
from sinchphone.protocol.sip.transactions.layer import Arrived, Layer, LayerEffect, Responded, Transmit, Unanswered, Unsent
from sinchphone.protocol.sip.transactions.transaction import cancel
from sinchphone.protocol.sip.uri import SipAddress, parse_uri
from sinchphone.protocol.sip.via import MAGIC_COOKIE

OFFER = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
ORDERS: dict[str, Callable[[int], v.Order]] = {
    "ring": lambda _: v.SipRing(),
    "early": lambda _: v.SendEarly(OFFER),
    "answer": lambda _: v.SipAnswer(OFFER),
    "refuse": lambda _: v.SipRefuse(486),
    "hang up": lambda _: v.SipHangUp(),
    "reoffer": lambda number: v.Reoffer(OFFER + f"a=x:{number}\r\n"),
    "answer reoffer": lambda number: v.AnswerReoffer(OFFER + f"a=y:{number}\r\n"),
    "refuse reoffer": lambda _: v.RefuseReoffer(488),
    "digit": lambda _: v.SendDigit("5", 160),
}
TOKENS = count(1)


class Side:
    """One user agent without sockets."""

    def __init__(self, name: str, world: "World") -> None:
        self.name, self.world = name, world
        self.layer: Layer[str] = Layer()
        self.session: SipSession | None = None
        self.key = ""
        self.keys: dict[int, str] = {}
        self.serials: dict[str, int] = {}
        self.events: list[SipEvent] = []
        options = SessionOptions(new_token=lambda: f"{name}{next(TOKENS):020}", chance=lambda: 0.5, ring_seconds=120, session_seconds=300)
        self.options = options

    def dial(self) -> None:
        self.session = SipSession.outgoing(
            self.options,
            call_id="call",
            target=parse_uri("sip:b@b.example"),
            caller=SipAddress(parse_uri("sip:a@a.example")),
            offer=OFFER,
            headers={},
        )
        self.feed(v.SipDial())

    def feed(self, event: v.Input) -> None:
        assert self.session is not None
        for effect in self.session.handle(event, self.world.now):
            self.perform(effect)

    def dressed(self, request: Request) -> Request:
        via = f"SIP/2.0/UDP {self.name}.example;branch={MAGIC_COOKIE}{self.name}{next(TOKENS)}"
        return request.with_header("Via", via).with_header("Contact", f"<sip:{self.name}@{self.name}.example>")

    def perform(self, effect: Effect) -> None:
        match effect:
            case v.SendRequest(serial, request, _, _):
                key, effects = self.layer.request(self.dressed(request), "", self.world.now, is_reliable=False)
                self.keys[serial], self.serials[key] = key, serial
                self.act(effects)
            case v.SendAck(request, _):
                self.world.send(self, bytes(self.dressed(request)))
            case v.CancelRequest(serial, _):
                invite = self.layer.sent(self.keys[serial])
                if invite is not None:
                    self.act(self.layer.request(cancel(invite), "", self.world.now, is_reliable=False)[1])
            case v.Reply(key, response):
                self.act(self.layer.respond(key, response.with_header("Contact", f"<sip:{self.name}@{self.name}.example>"), self.world.now))
            case v.Notify(event):
                self.events.append(event)
            case v.ReofferDone() | v.DigitDone():
                pass

    def act(self, effects: list[LayerEffect[str]]) -> None:
        for effect in effects:
            match effect:
                case Transmit(message, _, _):
                    self.world.send(self, bytes(message))
                case Arrived(key, request, _):
                    self.arrived(key, request)
                case Responded(key, response) if key in self.serials:
                    self.feed(v.GotResponse(self.serials[key], response))
                case Unanswered(key) | Unsent(key) if key in self.serials:
                    serial = self.serials[key]
                    sent = next(one for one in (self.session and self.session.pending.get(serial),) if one) if self.session else None
                    if sent is not None:
                        made = respond(sent.request.with_header("Via", "SIP/2.0/UDP x"), 408)
                        self.feed(v.GotResponse(serial, made))
                case _:
                    pass

    def arrived(self, key: str | None, request: Request) -> None:
        if key is None:
            if self.session is not None:
                self.feed(v.GotAck(request))
        elif request.method == "CANCEL":
            invite = self.layer.invite_key(request)
            self.act(self.layer.respond(key, respond(request, 200 if invite else 481, tag="c"), self.world.now))
            if invite and self.session is not None:
                self.feed(v.GotCancel(invite, request))
        elif request.recipient.tag:
            assert self.session is not None
            self.feed(v.GotRequest(key, request))
        elif request.method == "INVITE" and self.session is None:
            self.session = SipSession.incoming(self.options, key, request, self.world.now)
        else:
            self.act(self.layer.respond(key, respond(request, 482, tag="c"), self.world.now))

    def receive(self, data: bytes) -> None:
        self.act(self.layer.receive(read_message(data), "", self.world.now, is_reliable=False))

    @property
    def deadline(self) -> float | None:
        due = [self.layer.deadline, self.session.deadline if self.session else None]
        return min((one for one in due if one is not None), default=None)

    def elapse(self) -> None:
        self.act(self.layer.elapse(self.world.now))
        if self.session is not None and self.session.deadline is not None and self.session.deadline <= self.world.now:
            self.feed(v.SipElapsed())


class World:
    """Two sides, a clock, and a network. ``fates`` say what becomes of each message: lost, doubled or late; then all arrive."""

    def __init__(self, fates: list[float]) -> None:
        self.now = 0.0
        self.fates = fates
        self.queue: list[tuple[float, int, Side, bytes]] = []
        self.number = count()
        self.a, self.b = Side("a", self), Side("b", self)
        self.steps = 0

    def send(self, sender: Side, data: bytes) -> None:
        fate = self.fates.pop() if self.fates else 0.01
        other = self.b if sender is self.a else self.a
        if fate >= 0:  # below 0: lost
            heapq.heappush(self.queue, (self.now + fate, next(self.number), other, data))
        if fate > 1.5:  # and once more
            heapq.heappush(self.queue, (self.now + fate / 3, next(self.number), other, data))

    def run(self, until: float) -> None:
        while True:
            due = [one for one in (self.queue[0][0] if self.queue else None, self.a.deadline, self.b.deadline) if one is not None]
            if not due or min(due) > until:
                break
            self.steps += 1
            assert self.steps < 20_000, "they never come to rest"
            self.now = max(self.now, min(due))
            if self.queue and self.queue[0][0] <= self.now:
                _, _, side, data = heapq.heappop(self.queue)
                side.receive(data)
            else:
                for side in (self.a, self.b):
                    side.elapse()
        self.now = until


FATES = st.lists(st.one_of(st.just(-1.0), st.floats(0, 0.1), st.floats(0, 2)), max_size=60)
USUAL = ["ring", "early", "answer", "answer", "reoffer", "answer reoffer"]  # most scripts would end the call at once otherwise
WAITS = st.one_of(st.just(0.0), st.floats(0, 0.5), st.floats(0, 20))
SCRIPT = st.lists(st.tuples(st.sampled_from("aab"), st.sampled_from(USUAL + sorted(ORDERS)), WAITS), max_size=20)


def last_events(side: Side) -> list[SipEvent]:
    return [one for one in side.events if isinstance(one, v.Refused | v.SipEnded)]


@given(FATES, SCRIPT)
def test_whatever_happens_each_side_has_one_end_and_nothing_waits(fates: list[float], script: list[tuple[str, str, float]]) -> None:
    world = World(fates)
    world.a.dial()
    for number, (who, what, wait) in enumerate(script):
        world.run(world.now + wait)
        side = world.a if who == "a" else world.b
        if side.session is not None:
            side.feed(ORDERS[what](number))
        for one in (world.a, world.b):
            if one.session is not None and one.session.phase not in (SipPhase.TALKING, SipPhase.OVER, SipPhase.NEW):
                assert one.session.deadline is not None, one.session.phase
    world.run(world.now + 1000)  # longer than any ringing; session timers keep a call that both sides know
    for side in (world.a, world.b):
        assert len(last_events(side)) <= 1
        if side.session is not None and side.session.phase is SipPhase.OVER:
            assert len(last_events(side)) == 1
            assert side.events[-1] == last_events(side)[0]
    phases = {side.session.phase for side in (world.a, world.b) if side.session is not None}
    assert phases in ({SipPhase.TALKING}, {SipPhase.OVER}), phases
    if world.a.session is not None and world.a.session.phase is SipPhase.TALKING:
        world.a.feed(v.SipHangUp())
        world.run(world.now + 400)
    for side in (world.a, world.b):
        assert side.session is None or side.session.phase is SipPhase.OVER
        assert side.session is None or side.session.deadline is None
        assert len(side.layer) == 0


@given(st.lists(st.sampled_from([-1.0, 0.01, 0.01, 0.05]), min_size=40, max_size=40), st.booleans())
def test_a_call_gets_through_a_third_of_losses(fates: list[float], early: bool) -> None:
    if sum(one < 0 for one in fates) > 14:
        fates = [abs(one) / 100 for one in fates]
    world = World(fates)
    world.a.dial()
    world.run(20)
    if world.b.session is None:
        return  # more losses in a row than a request has repeats
    if early:
        world.b.feed(v.SendEarly(OFFER))
        world.run(40)
    world.b.feed(v.SipAnswer(OFFER))
    world.run(90)
    assert v.SipAnswered(OFFER) in world.a.events
    assert world.a.session is not None
    assert world.a.session.phase is world.b.session.phase is SipPhase.TALKING
